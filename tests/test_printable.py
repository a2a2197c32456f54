"""Text of others, made fit to be shown: nothing in it that a terminal obeys, whatever it came from."""

from __future__ import annotations

import io
import json

import pytest

from harness.columns import columns
from harness.errors import LONGEST, UserError, UserErrors, did_you_mean
from harness.printable import SPELLING, as_json, inert, printable, printable_lines, shortened

OBEYED = "\x1b\x07\x00\x7f\x9b\x85\u202e\u2066\u200f\ufeff\U000e0041\udcff"


def unseen(text: str) -> set[str]:
    """Signs that a terminal obeys, or that nobody sees."""
    return {sign for sign in text if sign not in "\n\xa0" and not sign.isprintable()}


def test_no_sign_is_left_that_a_terminal_obeys() -> None:
    assert not unseen(printable(f"a{OBEYED}b\tc\r\nd\u2028e"))
    assert printable("a\x1b[31mb") == r"a\x1b[31mb" and printable("a\u202eb") == r"a\u202eb"
    assert printable("MPBN ± λ, größer, 中文") == "MPBN ± λ, größer, 中文"


def test_lines_stay_where_there_may_be_several() -> None:
    assert printable_lines("1 %\r2 %\r3 %\r\ndone\n\x1b[2J") == "1 %\n2 %\n3 %\ndone\n\\x1b[2J"
    assert not unseen(printable_lines(OBEYED))


def test_an_error_is_one_line_of_bounded_length_that_nothing_obeys() -> None:
    error = UserError(f"unknown key `{OBEYED * 10_000}`", "a/" * 50_000, "did\nyou mean " + "x" * 100_000)
    assert len(str(error)) <= LONGEST + 10 and not unseen(str(error)) and "\n" not in str(error)
    assert str(UserError("short", "here", "do that")) == "here: short; do that"


def test_of_a_thousand_problems_the_first_are_told() -> None:
    lines = str(UserErrors(UserError(f"problem {n}") for n in range(1000))).splitlines()
    assert len(lines) == 21 and lines[-1] == "and 980 problems more"


def test_of_many_names_the_first_are_told() -> None:
    assert len(did_you_mean("", [f"name{n}" for n in range(10_000)])) < LONGEST


def test_columns_hold_one_line_a_cell() -> None:
    text = columns([("a\x1b[2Jb", "c\nd"), ("e", "f" * 1_000_000)])
    assert text.count("\n") == 1 and not unseen(text) and len(text) < 5000


def test_what_is_shortened_keeps_both_ends() -> None:
    assert shortened("abcdefghij", 10) == "abcdefghij" and shortened("abcdefghijk", 7) == "abcd…jk"


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+2", "-2+3", "@SUM(A1)", "\t=1", " =1", "=", "-x"])
def test_no_text_is_a_formula(text: str) -> None:
    assert inert(text).startswith("'")


@pytest.mark.parametrize("text", ["-1.20", "+3", "+1.98 [1.2, 2.7]", "mpbn", "", "a=b"])
def test_what_is_none_stays(text: str) -> None:
    assert inert(text) == text


def test_json_is_ascii_and_says_the_same() -> None:
    text = as_json({"a": f"±{OBEYED}"})
    assert text.isascii() and not unseen(text) and json.loads(text) == {"a": f"±{OBEYED}"}


@pytest.mark.parametrize(
    ("encoding", "told"), [("ascii", "1.2+-0.3 \\u4e2d"), ("cp1252", "1.2±0.3 \\u4e2d"), ("utf-8", "1.2±0.3 中")]
)
def test_what_an_encoding_lacks_is_spelt(encoding: str, told: str) -> None:
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding=encoding, errors=SPELLING)
    stream.write("1.2±0.3 中")
    stream.flush()
    assert raw.getvalue().decode(encoding) == told
