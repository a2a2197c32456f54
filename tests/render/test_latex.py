"""LaTeX that a paper takes: numbered by LaTeX, referred to by a label, no wider than its text, in two columns too."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from outcomes import result
from reported import planned

from harness.plan import Plan
from harness.render import Page, claims_page, render, table_page
from harness.render.compact import compact_page
from harness.statements import as_printed, load_claims, load_tables
from harness.stats import Outcome
from harness.tables import table_names
from harness.verbs.settings import settings_page

RULES = r"\def\toprule{\hline}\def\midrule{\hline}\def\bottomrule{\hline}\def\addlinespace{\noalign{\smallskip}}"
"""In place of booktabs, which is of another package than LaTeX itself."""


def outcomes(plan: Plan) -> dict[str, Outcome]:
    return {cell.key: result(cell, 60.0 + cell.seed / 3 + len(cell.method)) for cell in plan.cells}


def pages() -> list[Page]:
    plans = [planned(name, preset) for name in table_names() for preset in ("cpu", None)]
    claims = load_claims()
    printed = {claim.name: as_printed(claim, load_tables(claims)) for claim in claims}
    found = [table_page(plan, outcomes(plan)) for plan in plans]
    found += [compact_page(plan, outcomes(plan)) for plan in plans]
    return [*found, claims_page(claims, printed, {}, protocol="paper"), settings_page()]


def compile(folder: Path, header: str, body: str) -> str:
    """The log; twice, as `longtable` wants it."""
    (folder / "a.tex").write_text(rf"{header}{RULES}\begin{{document}}{body}\end{{document}}")
    for _ in range(2):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "a.log").read_text(errors="replace")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("form", ["{article}", "[twocolumn]{article}", "{IEEEtran}"])
def test_nothing_is_wider_than_the_text(form: str, tmp_path: Path) -> None:
    """In one column, in two, and in a template that papers are written in, where it is there."""
    name = form.partition("{")[2].replace("}", ".cls")
    if not subprocess.run(["kpsewhich", name], capture_output=True, check=False).stdout:
        pytest.skip(f"no {name} here")
    texts = [text for page in pages() if "longtable" not in (text := render(page, "latex")) or form == "{article}"]
    assert len(texts) > 20
    header = rf"\documentclass{form}\usepackage{{longtable}}"
    log = compile(tmp_path, header, "\n\\clearpage\n".join(texts))
    assert not re.findall(r"^Overfull.*", log, re.M) and "Missing character" not in log
    assert "multiply defined" not in log


def test_latex_numbers_a_table_by_itself() -> None:
    text = render(table_page(planned("table2"), {}), "latex")
    assert r"\caption{CIFAR-10 against other methods (protocol paper $\cdot$ preset cpu)}" in text
    assert r"\label{tab:table-2-paper-cpu}" in text
    assert r"\label{tab:table-2-paper}" in render(table_page(planned("table2", None), {}), "latex")


def test_a_long_table_breaks_over_pages() -> None:
    claims = load_claims()
    printed = {claim.name: as_printed(claim, load_tables(claims)) for claim in claims}
    text = render(claims_page(claims, printed, {}), "latex")
    assert r"\begin{longtable}" in text and r"\endhead" in text and r"\begin{table" not in text
    assert "longtable" not in render(table_page(planned("table1"), {}), "latex")


def test_what_is_the_same_in_all_rows_is_told_once() -> None:
    plan = planned()
    text = render(table_page(plan, outcomes(plan)), "latex")
    assert "All rows: Network ResNet20" in text and text.count("ResNet20") == 2  # the title says it too


# --- methods by data sets ---------------------------------------------------------------------------------------------


def cells_of(plan: Plan, accuracies: dict[int, tuple[float, ...]]) -> dict[str, Outcome]:
    lines = {line.number: line for line in plan.lines}
    return {
        cell.key: result(cell, value)
        for number, values in accuracies.items()
        for cell, value in zip(lines[number].cells, values, strict=False)
    }


def bold(page: Page) -> list[tuple[str, ...]]:
    return [tuple(cell for i, cell in enumerate(line.cells) if i in line.strong) for line in page.lines]


def test_methods_by_data_sets_and_timesteps() -> None:
    plan = planned()
    page = compact_page(plan, cells_of(plan, {1: (50, 51, 52), 2: (60, 61.1, 62), 3: (70, 71, 72), 4: (70, 71.5, 72)}))
    assert [column.head for column in page.columns] == ["Method", "Network", "CIFAR-10, T = 1", "CIFAR-10, T = 2"]
    assert [line.cells[0] for line in page.lines] == ["baseline", "MPBN"]
    assert bold(page) == [("71.00±1.00",), ("61.03±1.00", "71.17±1.04")], "a tie is bold, what is told apart is not"
    assert r"\textbf{61.03$\pm$1.00}" in render(page, "latex") and "**61.03±1.00**" in render(page, "markdown")
    assert 'class="right strong"' in render(page, "html")


def test_a_mean_over_the_seeds_that_finished_is_never_the_best() -> None:
    plan = planned()
    page = compact_page(plan, cells_of(plan, {1: (50, 51, 52), 2: (90, 91)}))
    assert [line.cells[2] for line in page.lines] == ["51.00±1.00", "90.50±0.71 (2 of 3)"] and bold(page) == [(), ()]


def test_nothing_measured_is_said() -> None:
    page = compact_page(planned(), {})
    assert page.lines == () and "Nothing of it is measured yet." in render(page, "latex")
