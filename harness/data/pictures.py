"""Image files to bytes by PIL: one rule for every loader of what is an image of 8 bits a channel."""

from __future__ import annotations

import importlib.metadata
import io
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

AS_BYTES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"})
"""PIL's modes that hold bytes; of the others (`I;16`, `I`, `F`) it would cut off all above 255."""
FRAMES = frozenset({"GIF", "PNG", "TIFF", "WEBP"})
"""Formats that may hold several images of which PIL shows the first. (A photograph's MPO holds previews of itself.)"""


class Damaged(Exception):
    """What is wrong with an image; whoever knows where it lies makes a `UserError` of it."""

    def __init__(self, what: object, advice: str = "copy it again from the source") -> None:
        self.advice = advice
        super().__init__(str(what))

    def at(self, where: str) -> UserError:
        return UserError(f"damaged image ({self})", where, self.advice)


class Unfit(Damaged):
    """An image as it should be, of a kind that is not taken."""

    def at(self, where: str) -> UserError:
        return UserError(str(self), where, self.advice)


def decoder() -> str:
    """What decodes: its release, which stands for the libjpeg that came with it."""
    return f"pillow {importlib.metadata.version('pillow')}"


def decoded(file: Path | bytes, mode: str) -> Image.Image:
    """In `mode`, `RGB` or `L`. Raises Damaged, and OSError for a file that cannot be opened."""
    from PIL import Image, UnidentifiedImageError

    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as stream:
        try:
            with Image.open(stream) as image:
                _check(image)
                return image.convert(mode)
        except UnidentifiedImageError:
            empty = not stream.seek(0, io.SEEK_END)
            raise Damaged("empty file" if empty else "of no known kind") from None
        except Damaged:
            raise
        except (Exception, Image.DecompressionBombError) as problem:  # a plugin may fail in any way on rubbish
            raise Damaged(problem) from None


def _check(image: Image.Image) -> None:
    if image.mode not in AS_BYTES:
        raise Unfit(f"image of more than 8 bits a channel (mode {image.mode})", "convert it to 8 bits")
    if image.format in FRAMES and (frames := getattr(image, "n_frames", 1)) > 1:
        raise Unfit(f"{frames} images in one file", "keep one of them")
