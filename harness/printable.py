"""Text of others - labels, reasons, logs, paths - made fit to be shown: no sign of it rules the terminal or hides.

A label may come from a stranger's table, a reason from his store, a log from his training. What a terminal would obey
(ESC, BEL, C1) or what turns the order of letters round (bidirectional controls) is written out: ``\\x1b``.
"""

from __future__ import annotations

import codecs
import json
import re

BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
"""What ends a line somewhere, or jumps within it."""
UNSEEN = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and line feed, DEL, C1
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls
    r"\u2028\u2029\ufeff\U000e0000-\U000e007f"  # separators, byte order mark, tags
    r"\ud800-\udfff"  # halves of signs: a path that is not UTF-8 has them
)
_UNSEEN = re.compile(f"[{UNSEEN}]")
FORMULA = re.compile(r"\s*(?:[=@]|[+-](?!\d*\.?\d+\s*(?:\[|$)))")
"""How a cell begins that a spreadsheet computes; a number with its sign, and its interval behind it, is none."""
SPELT = {
    "±": "+-", "−": "-", "–": "-", "—": "-", "·": "-", "×": "x", "≤": "<=", "≥": ">=", "≈": "~", "≠": "/=", "→": "->",
    "…": "...", "Δ": "D", "τ": "tau", "λ": "lambda", "μ": "mu", "σ": "sigma", "√": "sqrt", "½": "1/2", "¾": "3/4",
    "▁": "_", "▂": "_", "▃": "-", "▄": "-", "▅": "=", "▆": "=", "▇": "#", "█": "#", "✓": "+", "✗": "x",
    "“": '"', "”": '"', "’": "'", "‘": "'",
} | {sign: f"^{digit}" for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}  # fmt: skip
"""What stands for a sign of ours where the output's encoding lacks it."""
SPELLING = "harness-spelling"
"""Error handler of an output that takes `SPELT`, and writes out any other sign that its encoding lacks."""


def printable(text: str) -> str:
    """In one line."""
    return _UNSEEN.sub(_written_out, BREAKS.sub(" ", text))


def printable_lines(text: str) -> str:
    """Lines and tabs are kept; a carriage return ends a line, as a progress bar means it."""
    return _UNSEEN.sub(_written_out, text.replace("\r\n", "\n").replace("\r", "\n"))


def readable(text: str, most: int = 400) -> str:
    """Lines of a log: a bar without a line feed, or the zeros that a power cut left, are shown by their two ends."""
    return "\n".join(shortened(line, most) for line in printable_lines(text).split("\n"))


def inert(text: str) -> str:
    """In a cell of CSV: what a spreadsheet would take for a formula stands behind an apostrophe."""
    safe = printable(text)
    return f"'{safe}" if FORMULA.match(safe) else safe


def as_json(value: object) -> str:
    """In ASCII, which every encoding has and no terminal obeys. Raises ValueError for a number that JSON lacks."""
    return json.dumps(value, indent=2, allow_nan=False).replace("\x7f", "\\u007f")


def shortened(text: str, most: int) -> str:
    """At most so many characters, its beginning and its end."""
    if len(text) <= most:
        return text
    end = (most - 1) // 3
    return f"{text[: most - 1 - end]}…{text[-end:] if end else ''}"


def _written_out(found: re.Match[str]) -> str:
    return found[0].encode("ascii", "backslashreplace").decode() if ord(found[0]) > 0x7F else f"\\x{ord(found[0]):02x}"


def _spelt(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    return "".join(SPELT.get(s) or s.encode("ascii", "backslashreplace").decode() for s in signs), error.end


codecs.register_error(SPELLING, _spelt)
