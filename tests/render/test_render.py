"""Every format prints the same page, whatever a cell holds: results, failures, running and missing seeds."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser

import pandas as pd
import pytest
from outcomes import result

from harness.errors import UserError
from harness.plan import Line, Plan
from harness.render import FORMATS, Page, claims_page, render, table_page
from harness.render.latex import escape
from harness.render.terminal import terminal
from harness.spec import Cell, Recipe, Row
from harness.statements import as_printed, load_claims, load_tables
from harness.stats import Outcome
from harness.store.result import Failure, Progress
from harness.tables import load_table

CONTRACT = "table,row,dataset,method,architecture,timesteps,paper_accuracy,paper_std,accuracy,std,n,verdict"


def planned(name: str = "table1", preset: str | None = None, **changes: str) -> Plan:
    def line(number: int, row: Row) -> Line:
        if row.method not in ("vanilla", "mpbn", "mpbn-element") and name != "ambiguities":
            return Line(number=number, row=row, cells=(), blank="no method yet")
        fields = {key: getattr(row, key) for key in ("method", "architecture", "dataset", "timesteps")} | changes
        recipe = row.change.onto(Recipe(epochs=4))
        cells = tuple(Cell(**fields, seed=seed, recipe=recipe) for seed in range(3))
        return Line(number=number, row=row, cells=cells)

    table = load_table(name)
    lines = tuple(line(number, row) for number, row in enumerate(table.row, start=1))
    return Plan(table=table, protocol="paper", preset=preset, lines=lines)


def mixed(plan: Plan) -> dict[str, Outcome]:
    """Row 1 reproduced, 2 below, 3 with a diverged seed, 4 running, 5 NaN; the rest missing."""
    first = [line.cells for line in plan.lines[:5]]
    held: dict[str, Outcome] = {c.key: result(c, 90.3 + c.seed / 10) for c in first[0]}
    held |= {c.key: result(c, 91.0 + c.seed / 10) for c in first[1]}
    held |= {c.key: result(c, 92.8 + c.seed / 10) for c in first[2][:2]}
    held[first[2][2].key] = Failure(cell=first[2][2], kind="diverged", reason="loss is inf | <b>", epoch=3, when="")
    held[first[3][0].key] = Progress(
        epoch=2, epochs=4, accuracy=50.0, images_per_second=9.0, seconds_left=9.0, host="h", pid=1
    )
    held[first[4][0].key] = result(first[4][0], math.nan)
    return held


@pytest.fixture
def page() -> Page:
    plan = planned()
    return table_page(plan, mixed(plan))


def rows_of(page: Page) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(page, "csv"))))


def test_csv_keeps_the_contract(page: Page):
    head, first, *_ = render(page, "csv").splitlines()
    assert head.startswith(CONTRACT)
    assert first.startswith("table1,1,CIFAR-10,baseline,ResNet20,1,90.40,,90.40,0.10,3,reproduced,")


def test_csv_reads_back_by_pandas(page: Page):
    frame = pd.read_csv(io.StringIO(render(page, "csv")))
    assert list(frame["n"]) == [3, 3, 2, *[0] * 9]
    assert list(frame["verdict"][:4]) == ["reproduced", "below", "incomplete", "incomplete"]
    assert frame["accuracy"].isna().tolist() == [False] * 3 + [True] * 9
    assert frame["paper_std"].isna().all()
    assert frame["troubles"][2] == "seed 2 diverged at epoch 3: loss is inf | <b>"


def test_json_carries_the_same_names_and_values(page: Page):
    rows, table = json.loads(render(page, "json"))["rows"], rows_of(page)
    assert [list(row) for row in rows] == [list(row) for row in table]
    assert rows[0]["accuracy"] == pytest.approx(90.4) and rows[0]["paper_std"] is None
    assert rows[4]["accuracy"] is None and rows[4]["n"] == 0
    assert [str(row["n"]) for row in rows] == [row["n"] for row in table]


def test_nothing_that_is_not_a_number_reaches_json():
    plan = planned()
    held: dict[str, Outcome] = {c.key: result(c, 90.0, last_accuracy=math.nan) for c in plan.lines[0].cells}
    row = json.loads(render(table_page(plan, held), "json"))["rows"][0]
    assert (row["accuracy"], row["best_accuracy"], row["last_accuracy"]) == (90.0, 90.0, None)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_shows_numbers_verdicts_and_troubles(page: Page, form: str):
    text = render(page, form)
    for expected in ("90.4", "reproduced", "below", "incomplete", "diverged at epoch 3", "nan"):
        assert expected in text, expected
    assert not text.endswith("\n")


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "csv"])
def test_people_read_the_limits_and_the_footnotes(page: Page, form: str):
    text = " ".join(render(page, form).split())
    for expected in ("4.97", "best epoch", "flatters", "Table 2 confirms"):
        assert expected in text, expected


@pytest.mark.parametrize("form", FORMATS)
def test_rows_without_a_method_show_the_papers_number_and_say_so(form: str):
    page = table_page(planned("table2"), {})
    text = render(page, form)
    assert text.count("no method yet") == 27
    for accuracy in (row.accuracy for row in load_table("table2").row):
        assert f"{accuracy:.2f}".rstrip("0") in text


def test_an_empty_store_invents_nothing():
    for row in rows_of(table_page(planned("table2"), {})):
        assert (row["accuracy"], row["std"], row["n"]) == ("", "", "0")
        assert row["verdict"] in ("no method yet", "incomplete")


def test_stand_ins_go_by_their_own_name():
    plan = planned("table6", preset="smoke", dataset="digits")
    page = table_page(plan, {c.key: result(c, 97.0 + c.seed / 10) for c in plan.cells})
    assert "digits in place of CIFAR-10" in terminal(page, width=120)
    assert "preset smoke" in render(page, "markdown")
    row = rows_of(page)[0]
    assert (row["dataset"], row["trained_on"], row["verdict"]) == ("CIFAR-10", "digits", "not comparable")
    assert "preset smoke is not the paper" in render(page, "html")


def test_differences_from_a_base_row_are_shown_seed_by_seed():
    plan = planned("ambiguities")
    gains = {1: (0.0, 0.0, 0.0), 2: (-1.0, -2.0, -3.0)}
    held = {
        cell.key: result(cell, 93.0 + cell.seed + gains[line.number][cell.seed], last_accuracy=91.0 + cell.seed)
        for line in plan.lines[:2]
        for cell in line.cells
    }
    page = table_page(plan, held)
    first, second, third = rows_of(page)[:3]
    assert (first["base"], first["base_difference"], first["best_minus_last"]) == ("", "", "2.00")
    assert (second["method"], second["change"]) == ("MPBN, surrogate tanh", "surrogate tanh")
    assert (second["base"], second["base_difference"], second["base_n"]) == ("1", "-2.00", "3")
    assert (second["base_low"], second["base_high"]) == ("-4.4841", "0.4841")
    assert (second["best_minus_last"], second["best_minus_last_std"]) == ("0.00", "1.00")
    assert (third["base_difference"], third["base_n"]) == ("", "0")
    text = terminal(page, width=160)
    assert re.search(r"MPBN, surrogate tanh .* −2\.00 \[−4\.48, \+0\.48\] +0\.00±1\.00", text)
    assert "(rows 2–5 from row 1; rows 7–16 from row 6)" in " ".join(text.split())
    for form in FORMATS:
        assert "4.48" in render(page, form)


def test_a_table_without_bases_has_no_such_columns(page: Page):
    assert not {"Δ base [95 %]", "Best−last"} & set(page.heads)
    assert {row["base_difference"] for row in rows_of(page)} == {""}


def test_several_pages_are_one_document():
    pages = [table_page(planned("table1"), {}), table_page(planned("table6"), {})]
    rows = list(csv.DictReader(io.StringIO(render(pages, "csv"))))
    assert [row["table"] for row in rows] == ["table1"] * 12 + ["table6"] * 4
    assert [len(page["rows"]) for page in json.loads(render(pages, "json"))] == [12, 4]
    text = render(pages, "html")
    assert text.count("<!doctype html>") == text.count("</html>") == 1 and text.count("<table>") == 2
    assert render(pages[:1], "json") == render(pages[0], "json")
    assert render(pages, "markdown") == "\n\n".join(render(page, "markdown") for page in pages)


def test_variant_data_is_said():
    plan = planned(data="variant-12ab")
    page = table_page(plan, {c.key: result(c, 90.0 + c.seed / 10) for c in plan.cells})
    assert "variant data" in render(page, "markdown")
    assert rows_of(page)[0]["variant"] == "true"


def test_a_users_row_is_marked():
    plan = planned()
    own = Line(
        number=13, row=Row(method="mine", architecture="r", dataset="cifar10", timesteps=2), cells=(), added=True
    )
    page = table_page(with_line(plan, own), {})
    assert "mine (yours)" in render(page, "markdown")
    assert rows_of(page)[-1]["added"] == "true"


def with_line(plan: Plan, line: Line) -> Plan:
    return Plan(table=plan.table, protocol=plan.protocol, preset=plan.preset, lines=(*plan.lines, line))


def test_footnotes_are_numbered_and_marked():
    page = table_page(planned("table4"), {})
    text = render(page, "markdown")
    assert "OTTT \\[54\\]¹" in text and "- ¹ suspect: equals MS-ResNet row" in text
    assert "Real Spike \\[21\\]²" in text and "- ² public code is SEW-based" in text


@pytest.mark.parametrize("width", [120, 80])
@pytest.mark.parametrize("name", [f"table{number}" for number in range(1, 7)])
def test_the_terminal_keeps_its_width_and_its_lines_whole(name: str, width: int):
    plan = planned(name)
    page = table_page(plan, {c.key: result(c, 90.0 + c.seed / 10) for c in plan.cells})
    lines = terminal(page, width=width, colour=False).splitlines()
    assert max(map(len, lines)) <= width
    for line in page.lines:  # no row is broken over two lines
        pattern = r"\s+".join(map(re.escape, (line.cells[0], line.cells[1], line.cells[2])))
        assert any(re.match(rf"\s*{pattern}\s", shown) for shown in lines), line.cells


def test_evidence_that_does_not_fit_is_told_beneath():
    plan = planned("table6")
    page = table_page(plan, {c.key: result(c, 90.0 + c.seed / 10) for c in plan.cells})
    wide, narrow = terminal(page, width=160), terminal(page, width=80)
    assert wide.count("fold exact 3/3") == 4
    assert narrow.count("fold exact 3/3") == 1 and "Evidence, rows 1–4: 3/3 seeds" in narrow


def test_colour_only_where_it_is_wanted(page: Page):
    assert "\x1b[" not in terminal(page, width=120, colour=False)
    assert "\x1b[32mreproduced" in terminal(page, width=120, colour=True)


def test_latex_escapes_what_latex_would_read():
    expected = r"50\% \& \#1\_a \{x\} \$y \textasciitilde{}\textasciicircum{} \textbackslash{}z"
    assert escape("50% & #1_a {x} $y ~^ \\z") == expected
    assert escape("90±0.1 −0.2 ¹ [3]") == r"90$\pm$0.1 $-$0.2 $^{1}$ {[}3{]}"


def test_latex_is_balanced(page: Page):
    text = render(page, "latex")
    bare = re.sub(r"\\[\\{}$%&#_]", "", text)
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
    body = [line for line in text.splitlines() if line.endswith(r"\tabularnewline") and "multicolumn" not in line]
    columns = len(re.findall(r"[lrp]", text.split(r"\begin{tabular}{")[1].splitlines()[0].replace(r"\textwidth", "")))
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {columns - 1}
    assert len(body) == 13
    assert text.isascii()


def test_markdown_rows_all_have_the_columns_of_the_head(page: Page):
    rows = [line for line in render(page, "markdown").splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {len(page.heads) + 1}
    assert len(rows) == 14
    assert "loss is inf \\| \\<b>" in render(page, "markdown")


def test_html_is_well_formed_and_escaped(page: Page):
    text, stack = render(page, "html"), []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag != "meta":
                stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert stack.pop() == tag

    Parser().feed(text)
    assert stack == [] and "&lt;b&gt;" in text
    assert not re.search(r"https?:|<script", text)
    assert '<td class="good">reproduced</td>' in text


@pytest.mark.parametrize("form", FORMATS)
def test_claims_in_every_format(form: str):
    claims = load_claims()
    tables = load_tables(claims)
    text = render(claims_page(claims, {c.name: as_printed(c, tables) for c in claims}, {}, protocol="paper"), form)
    assert text.count("not measured") >= len(claims) or "All rows: As measured not measured" in text
    said = ("not supported", "not checkable") if form in ("csv", "json") else ("disagree", "do not say")
    for expected in ("cifar100-best", "92.22", *said):
        assert expected in text, expected


def test_an_unknown_format_gets_a_suggestion(page: Page):
    with pytest.raises(UserError, match="--format: unknown format `markdow`; did you mean `markdown`"):
        render(page, "markdow")


def test_rendering_imports_nothing_heavy():
    code = (
        "import sys; from harness.plan import Line, Plan; from harness.render import render, table_page, FORMATS\n"
        "from harness.tables import load_table; t = load_table('table2')\n"
        "ls = tuple(Line(number=i, row=r, cells=(), blank='no method yet') for i, r in enumerate(t.row, 1))\n"
        "[render(table_page(Plan(table=t, protocol='paper', preset=None, lines=ls), {}), f) for f in FORMATS]\n"
        "print([m for m in ('torch', 'scipy', 'pandas', 'numpy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
