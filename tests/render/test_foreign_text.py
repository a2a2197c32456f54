"""A label, a footnote, a reason may hold any sign: no format breaks over it, or passes on what a terminal obeys."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from test_printable import OBEYED, unseen

from harness.plan import Line, Plan
from harness.render import FORMATS, look, render, table_page
from harness.render.latex import ESCAPES, escape
from harness.report.markup import element
from harness.spec import Row, Table

GREEK = "α γ η π ρ φ Ω ≥ ≈ ≠ → ∞ ∈ ± λ µ"


def plan(label: str, *footnotes: str) -> Plan:
    row = Row(method="mine", architecture="resnet20", dataset="cifar10", timesteps=2, label=label, note=label)
    table = Table(name="mine", title=f"Mine {label}", row=(row,), footnote=footnotes)
    line = Line(number=1, row=row, cells=(), blank="no method yet")
    return Plan(table=table, protocol="paper", preset=None, lines=(line,))


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_passes_on_what_a_terminal_obeys(form: str) -> None:
    text = render(table_page(plan(f"a{OBEYED}b\rc", f"note {OBEYED}\r"), {}), form)
    assert not unseen(text) and "\r" not in text


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_footnote_breaks_no_format(form: str) -> None:
    assert "Mine" in render(table_page(plan("a", "", " "), {}), form) or form == "csv"


def test_a_label_is_no_formula_in_csv() -> None:
    text = render(table_page(plan("=cmd|'/C calc'!A0"), {}), "csv")
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["note"] == "'=cmd|'/C calc'!A0" and not any(value[:1] in "=+@" for value in row.values() if value)


def test_markup_writes_out_what_turns_letters_round() -> None:
    assert not unseen(element("td", f"a{OBEYED}", title=f"b{OBEYED}"))


def test_a_lone_dollar_is_a_dollar_in_a_figure() -> None:
    picture, _ = look.frame(r"$\frac{$ costs", (r"a $^$",), [r"no $\results{"], (r"$_{",))
    assert r"$\frac{$ costs" in look.files(picture, "t")["svg"].decode()


def test_latex_is_ascii_whatever_it_is_given() -> None:
    assert escape("αγη ≥ ∞ ∈") == r"$\alpha$$\gamma$$\eta$ $\geq$ $\infty$ $\in$"
    assert escape("Müller, Őri, Škoda, naïve") == r"M\"{u}ller, \H{O}ri, \v{S}koda, na\"{\i}ve"
    assert escape("中") == "{[}U+4E2D{]}"
    assert all(escape(chr(code)).isascii() for code in range(0x250))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_pdflatex_takes_every_sign(tmp_path: Path) -> None:
    every = " ".join(map(chr, ESCAPES)) + f" {GREEK} 中文 Őő Şş ǖ ẞ þð 🙂 \x1b"
    page = table_page(plan(every, every), {})
    body = render(replace(page, subtitle=every), "latex").replace(r"\toprule", r"\hline").replace(r"\midrule", "")
    body = body.replace(r"\bottomrule", r"\hline").replace(r"\addlinespace", "")  # booktabs is of another package
    (tmp_path / "a.tex").write_text(f"\\documentclass{{article}}\\begin{{document}}{body}\\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
