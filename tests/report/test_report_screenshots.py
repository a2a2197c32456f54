"""The README's pictures are of the page as it is now."""

from __future__ import annotations

import re

from screenshots import FOLDER, ROOT, SHOTS, form


def test_the_pictures_are_of_this_page() -> None:
    assert (FOLDER / "form.txt").read_text().strip() == form(), "type: make screenshots"


def test_the_readme_shows_them_and_no_others() -> None:
    shown = re.findall(r"docs/screens/([\w-]+)\.png", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(shot["name"] for shot in SHOTS) == sorted(p.stem for p in FOLDER.glob("*.png"))
    assert all((FOLDER / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in shown)
