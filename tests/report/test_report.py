"""The report as text: whole and safe HTML, and nothing in it that the store does not hold."""

from __future__ import annotations

import csv
import io
import os
import re
import resource
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from outcomes import result
from reader import Node, read
from reported import finished, planned

from harness import arguments, cli, requests, tables
from harness.amounts import duration
from harness.cli import main
from harness.forecast.history import Place, past
from harness.measure.spec import Benched
from harness.report import gather, kept
from harness.store import Store
from harness.verbs import session

ROOT = Path(__file__).parents[2]

HOSTILE = """</script><script>alert("$title")</script><img src=x onerror='alert(1)'> & ${style} "'"""


@pytest.fixture(scope="module")
def page(file: Path) -> Node:
    return read(file.read_text())


def rows(page: Node) -> list[Node]:
    return [
        body for table in page.find("table", class_="rows") for body in table.find("tbody") if "id" in body.attributes
    ]


def report(store: Path, *more: str, code: int = 0) -> Node:
    path = store.parent / "another.html"
    benches = [] if "--bench" in more else ["--bench", str(store.parent / "no benches")]
    assert main(["report", "--store", str(store), "--out", str(path), *benches, *more]) == code
    return read(path.read_text())


def test_every_id_is_its_own_and_every_reference_leads_somewhere(page: Node) -> None:
    ids = Counter(name for node in page.all() if (name := node.attributes.get("id")))
    assert ids and max(ids.values()) == 1
    spoken = [node.attributes.get("aria-controls") or "" for node in page.find("button", class_="opens")]
    spoken += [link.removeprefix("#") for node in page.all() if (link := node.attributes.get("href"))]
    spoken += [
        name for node in page.all() for v in node.attributes.values() for name in re.findall(r"url\(#(.+?)\)", v or "")
    ]
    assert len(spoken) > 100 and set(spoken) <= set(ids)


def test_every_row_of_every_table_is_there_with_what_lies_behind_it(page: Node) -> None:
    numbered = [name for name in tables.table_names() if tables.NUMBERED.fullmatch(name)]
    assert len(numbered) == 6
    for name in numbered:
        bodies = [body for body in rows(page) if (body.attributes["id"] or "").startswith(f"{name}-row-")]
        assert len(bodies) == len(tables.load_table(name).row)
    for body in rows(page):
        shown, hidden = [child for child in body.children if isinstance(child, Node)]
        (button,) = shown.find("button", class_="opens")
        assert button.attributes["aria-controls"] == hidden.attributes["id"] and "hidden" in hidden.attributes
        assert hidden.find("div", class_="details")[0].text
        (cell,) = [child for child in hidden.children if isinstance(child, Node)]
        assert cell.attributes["colspan"] == str(sum(isinstance(child, Node) for child in shown.children))


def test_nothing_is_fetched(file: Path, page: Node) -> None:
    text = file.read_text()
    assert "://" not in text and "@import" not in text
    assert not [
        node for node in page.all() if node.tag in ("link", "img", "iframe", "base") or "src" in node.attributes
    ]
    (policy,) = [n for n in page.find("meta") if n.attributes.get("http-equiv")]
    assert "default-src 'none'" in (policy.attributes["content"] or "")


def test_no_place_on_this_machine_is_told(file: Path, store: Path) -> None:
    assert str(store.parent) not in file.read_text() and "--store runs" in file.read_text()


def test_the_first_screen_counts_what_the_tables_say(
    page: Node, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts: Counter[str] = Counter()
    for name in (node.attributes["id"] for node in page.by_id("tables").find("details", class_="table")):
        main(["table", name or "", "--preset", "cpu", "--store", str(store), "--format", "csv"])
        verdicts.update(row["verdict"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out)))
    told = {
        b.attributes["data-show"] or "": int(b.find("span", class_="number")[0].text)
        for b in page.find("button")
        if "data-show" in b.attributes
    }
    assert told == dict(verdicts) and told["not comparable"] >= 2 and told["incomplete"] >= 4
    head = page.find("header")[0].text
    for heading in ("What was asked", "What was found", "On which machine", "What must not be concluded"):
        assert heading in head
    assert "Nothing about the paper's numbers: preset cpu" in head and "4.97" in head
    assert "a <fast> one, 2 cores, no GPU" in head and f"of {sum(verdicts.values())} rows" in head


def test_a_finished_row_shows_seeds_curve_proof_and_provenance(page: Node) -> None:
    row = page.by_id("table1-row-4")
    shown, behind = (child for child in row.children if isinstance(child, Node))
    assert "64.00±0.50 (3)" in shown.text and "not comparable" in shown.text and "data-measured" in row.attributes
    for cell in planned().lines[3].cells:
        assert cell.key in behind.text and f"{63.5 + cell.seed / 2:.2f} (8)" in behind.text
    (chart,) = behind.find("svg", class_="chart")
    assert len(chart.find("path", class_="seed")) == 3 and chart.find("text", class_="value")[0].text == "64.00"
    assert "from 57.00 to 64.00" in (chart.attributes["aria-label"] or "")
    (proofs,) = behind.find("table", aria_label="Fold")
    cells = [[cell.text for cell in line.all() if cell.tag in ("td", "th")] for line in proofs.find("tr")[1:]]
    assert cells == [
        ["mpbn-threshold", "float32", "exact", "3 of 3", "0", "3,000", "0"],
        ["norm-conv", "float32", "rounds", "3 of 3", "21", "3,000", "0.25"],
    ]
    assert "25.0" in behind.find("details")[0].text
    assert "seed 0: abc0; seed 1: abc1; seed 2: abc2" in behind.text and "2026-11-24 09:07 UTC" in behind.text


def test_what_failed_is_no_number_or_missing_is_shown_as_that(page: Node, store: Path) -> None:
    first, second, fifth = (page.by_id(f"table1-row-{n}") for n in (1, 2, 5))
    assert "50.00±0.00 (2 of 3)" in first.text and "diverged, epoch 3: loss is inf <b>" in first.text
    assert "2 of 3 seeds have a number" in first.text
    assert second.text.count("missing") == 3 and "0 of 3 seeds have a number" in second.text
    lost = planned().lines[1].cells[0].key
    assert page.by_id("missing").text.count(f"{lost}/result.json: is not understood") == 1  # JSON has no NaN
    assert "data-measured" not in second.attributes
    assert fifth.text.count("missing") == 3 and not fifth.find("svg")
    assert {row.attributes["data-verdict"] for row in (first, second, fifth)} == {"incomplete"}


def test_the_commands_repeat_the_row(page: Node, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store.parent)
    line = planned().lines[3]
    typed = [
        code.text for code in page.by_id("table1-row-4").find("code") if code.text.startswith("python -m harness run")
    ]
    assert len(typed) == 2
    for command in typed:
        options = arguments.parse(shlex.split(command)[3:]).asked
        assert options.store == Path("results/repeat")
        plans = session.plans_of(options, Store(store), lambda cells: {}) if "runs/" not in command else None
        cells = plans[0].cells if plans else [session._cell(target, Store(store)) for target in options.targets]
        assert tuple(cells) == line.cells


def test_every_command_can_be_typed(page: Node) -> None:
    codes = [code.text for code in page.find("code") if code.text.startswith("python -m harness")]
    assert len(codes) > 20
    for command in set(codes):
        arguments.parse(shlex.split(command)[3:])


def test_a_changed_row_is_repeated_by_its_cells_alone(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    changed = next(line for line in planned("ambiguities").lines if line.row.change.text and line.cells)
    Store(root).write_result(finished(changed.cells[0], 60.0))
    behind = report(root, "ambiguities", "--preset", "cpu").by_id(f"ambiguities-row-{changed.number}")
    typed = [code.text for code in behind.find("code") if code.text.startswith("python")]
    assert typed == [f"python -m harness run runs/{changed.cells[0].key} --store results/repeat"]
    assert f"Unlike the protocol: {changed.row.change.text}" in behind.text


def test_other_tables_are_shown_once_they_have_results(tmp_path: Path) -> None:
    shared = {cell for name in tables.table_names() if tables.NUMBERED.fullmatch(name) for cell in planned(name).cells}
    own = next(c for c in planned("ambiguities").cells if c not in shared)
    Store(tmp_path / "runs").write_result(finished(own, 60.0))
    anchors = [n.attributes["id"] for n in report(tmp_path / "runs", "--preset", "cpu").find("details", class_="table")]
    assert anchors[:6] == [f"table{n}" for n in range(1, 7)] and "ambiguities" in anchors
    empty = report(tmp_path / "none", "--preset", "cpu", "--replace")
    assert "ambiguities" not in [node.attributes["id"] for node in empty.find("details", class_="table")]


def test_the_figures_that_results_alone_can_tell_are_there_those_of_the_paper_first(page: Node) -> None:
    names = [part.attributes.get("id") for part in page.by_id("figures").find("section")]
    assert names[1] == "figure-figure2" and {"figure-rates", "figure-inflation"} <= set(names)
    assert "figure-energy" not in names, "its operations are not counted yet, and a report counts none"
    for name in ("figure-rates", "figure-inflation"):
        (svg,) = page.by_id(name).find("svg", class_="figure")
        assert svg.attributes["role"] == "img" and svg.attributes["aria-label"]
    assert "added nothing: in all" in page.by_id("figure-inflation").text


def test_benches_are_shown_with_interval_verdict_and_machine(page: Node) -> None:
    (table,) = page.by_id("benches").find("table", class_="bench")
    lines = [[cell.text for cell in line.all() if cell.tag in ("td", "th")] for line in table.find("tr")]
    assert lines[1] == ["resnet20, width 0.25, T = 4, batch 32"]
    assert lines[4][:2] == ["mpbn, folded", "vanilla <b>"] and "1.234 [1.224, 1.244]" in lines[4]
    assert lines[4][-1].endswith("slower") and table.find("span", class_="bad")
    said = page.by_id("benches").text
    assert "3 timings: 1 slower" in said and "a <fast> one, 1 threads" in said and "bench latency" in said
    assert [link.text for link in page.find("nav")[0].find("a") if link.attributes["href"] == "#benches"] == ["Benches"]


def test_without_a_recorded_bench_nothing_is_said_of_them(tmp_path: Path) -> None:
    page = report(tmp_path / "runs", "table1", "--preset", "cpu")
    assert "benches" not in {node.attributes.get("id") for node in page.all()}
    assert "#benches" not in {node.attributes.get("href") for node in page.all()}


def test_a_damaged_bench_is_a_problem_and_no_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/latency-cpu.json").write_text('{"bench": "latency"')
    page = report(tmp_path / "runs", "table1", "--preset", "cpu", "--bench", str(tmp_path / "bench"))
    assert "latency-cpu.json" in capsys.readouterr().err and "Benches" not in page.find("nav")[0].text


def test_the_missing_cells_and_what_they_cost(page: Node, store: Path) -> None:
    missing = page.by_id("missing")
    held = Store(store)
    shown = [node.attributes["id"] or "" for node in page.by_id("tables").find("details", class_="table")]
    cells = {cell for name in [*shown, *tables.figure_names()] for cell in planned(name).cells}
    lacking = [cell for cell in cells if held.result(cell) is None]
    assert f"{len(lacking)} of {len(cells)} cells have no result" in missing.text and "1 failed" in missing.text
    line = planned().lines[4]
    cost = past(line.cells, held, Place(cluster="", gpu=False))[line.cells[0]]
    told = next(r.text for r in missing.find("tr") if r.text.startswith("baseline 4 ") and "CIFAR-10 " in r.text)
    assert duration(cost.seconds) in told and cost.source in told and "0, 1, 2" in told
    assert "python -m harness run table1 --preset cpu --store runs" in missing.text


def test_of_what_nothing_is_known_it_says_so(tmp_path: Path) -> None:
    page = report(tmp_path / "runs", "table1", "--preset", "cpu")
    missing = page.by_id("missing").text
    assert "36 of 36 cells have no result" in missing and "Of 36 nothing is known" in missing and "not known" in missing
    assert "On none: nothing is measured yet" in page.find("header")[0].text


def test_without_a_preset_rows_are_judged(tmp_path: Path) -> None:
    line = planned("table1", None).lines[1]
    for cell in line.cells:
        Store(tmp_path / "runs").write_result(finished(cell, 92.0 + cell.seed / 4))
    page = report(tmp_path / "runs", "table1")
    row = page.by_id("table1-row-2")
    assert row.attributes["data-verdict"] == "reproduced" and "0.03 points above the paper" in row.text
    assert "another, smaller experiment" not in page.find("header")[0].text


def test_text_from_outside_stays_text(tmp_path: Path) -> None:
    quoted = HOSTILE.replace("\\", "\\\\").replace('"', '\\"')
    words = f'label = "{quoted}", note = "{quoted}"'
    entry = f'{{ dataset = "cifar10", method = "mpbn", architecture = "resnet20", timesteps = 2, {words} }}'
    (tmp_path / "evil.toml").write_text(
        f'name = "evil"\ntitle = "{quoted}"\nfootnote = ["{quoted}"]\nrow = [{entry}]\n'
    )
    drawn = entry.replace(quoted, "<img src=x>&", 1)  # as long as a legend can be
    head = 'name = "evil-figure"\ntitle = "Evil"\n[[panel]]\n'
    (tmp_path / "drawn.toml").write_text(f"{head}row = [{drawn.split(', note')[0]} }}]\n")
    for cell in planned(str(tmp_path / "evil.toml")).cells:
        Store(tmp_path / "runs").write_result(
            result(cell, 60.0, environment={"cpu": HOSTILE, HOSTILE: HOSTILE}, curve=finished(cell, 60.0).curve)
        )
    page = report(tmp_path / "runs", str(tmp_path / "evil.toml"), str(tmp_path / "drawn.toml"), "--preset", "cpu")
    assert len(page.find("script")) == 1 and not page.find("img")
    assert not [node for node in page.all() if any(name.startswith("on") for name in node.attributes)]
    (table,) = [node for node in page.find("details", class_="table") if "evil" in (node.attributes["id"] or "")]
    assert table.text.count(" ".join(HOSTILE.split())) >= 5  # title, name, note, footnote, provenance
    assert "<img src=x>& (n = 3)" in page.find("svg", class_="figure")[0].text


def test_two_tables_of_one_name_do_not_share_ids(tmp_path: Path) -> None:
    entry = '{ dataset = "cifar10", method = "mpbn", architecture = "resnet20", timesteps = 2 }'
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.toml").write_text(f'name = "mine"\ntitle = "Mine"\nrow = [{entry}]\n')
    files = [str(tmp_path / folder / "mine.toml") for folder in ("a", "b")]
    page = report(tmp_path / "runs", *files, "--preset", "cpu")
    ids = Counter(name for node in page.all() if (name := node.attributes.get("id")))
    assert max(ids.values()) == 1 and {"mine-toml-row-1", "mine-toml-2-row-1"} <= set(ids)


def test_the_same_store_gives_the_same_bytes(file: Path, store: Path, bench: Path, tmp_path: Path) -> None:
    again = tmp_path / "new folder/again.html"
    assert main(["report", "--preset", "cpu", "--store", str(store), "--bench", str(bench), "--out", str(again)]) == 0
    assert again.read_bytes() == file.read_bytes()


def test_it_is_opened_where_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    report(tmp_path / "runs", "table1", "--preset", "cpu", "--open")
    assert opened == [(tmp_path / "another.html").resolve().as_uri()]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("tabel1", "unknown table or figure `tabel1`; did you mean"),
        ("--preset cqu", "unknown preset `cqu`; did you mean `cpu`?"),
        ("--only method=mpnb", "no row has method `mpnb`"),
        ("--out .", "--out .: is a folder; name a file"),
    ],
)
def test_bad_input_is_one_line_and_2(
    typed: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = [] if "--out" in typed else ["--out", str(tmp_path / "r.html")]
    assert main(["report", *typed.split(), "--store", str(tmp_path), *out]) == cli.BAD_INPUT
    said = capsys.readouterr()
    assert message in said.err and said.err.count("\n") == 1 and said.out == ""


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full"])
def test_a_device_without_end_is_not_read_for_what_it_shows(device: str) -> None:
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, limits[1]))
    try:
        kept.keep(Path(device), cast("gather.Found", SimpleNamespace(results=[])))  # a MemoryError otherwise
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def test_a_page_that_shows_more_is_not_replaced_unasked(
    store: Path, bench: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, there = tmp_path / "r.html", file.read_text()
    out.write_text(there)
    typed = ["report", "--store", str(store), "--bench", str(bench), "--out", str(out)]
    assert main(typed) == cli.BAD_INPUT
    finished = re.findall(r"(\d+) of \d+ training runs", there)
    said = capsys.readouterr()
    assert f"r.html: shows {finished[0]} finished runs, this report would show 0; it was not replaced" in said.err
    assert "type: python -m harness report --store" in said.err and said.err.count(" --preset cpu\n") == 1
    assert not said.out and out.read_text() == there and int(finished[0]) > 0
    assert main([*typed, "--preset", "cpu"]) == 0 and main([*typed, "--replace"]) == 0
    assert "0 of " in re.findall(r"\d+ of \d+ training runs", out.read_text())[0]


def test_the_page_that_is_written_by_default_is_nobodys(tmp_path: Path) -> None:
    """`report` after the demo must not change a tracked file."""
    out = requests.Report.out
    tracked = subprocess.run(["git", "ls-files", out], cwd=ROOT, capture_output=True, text=True, check=True)
    ignored = subprocess.run(["git", "check-ignore", "-q", out], cwd=ROOT, check=False)
    assert not tracked.stdout and ignored.returncode == 0


def test_only_leaves_the_tables_that_have_such_rows(tmp_path: Path) -> None:
    page = report(tmp_path / "runs", "--preset", "cpu", "--only", "method=mpbn-element")
    assert [node.attributes["id"] for node in page.find("details", class_="table")] == ["table6", "claims"]


def test_an_empty_store_is_told_without_heavy_imports(tmp_path: Path) -> None:
    script = "import sys; from harness.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    typed = ["report", "--preset", "cpu", "--store", str(tmp_path), "--out", str(tmp_path / "r.html")]
    done = subprocess.run([sys.executable, "-c", script, *typed], capture_output=True, text=True, check=True)
    assert not {"torch", "matplotlib", "pandas"} & set(done.stdout.split())


def test_results_are_told_without_torch(store: Path, tmp_path: Path) -> None:
    """And a second time without what draws: the pictures are kept."""
    script = "import sys; from harness.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    typed = ["report", "--preset", "cpu", "--store", str(store), "--out", str(tmp_path / "r.html")]
    environ = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    pages = []
    for drawing in (True, False):
        done = subprocess.run(
            [sys.executable, "-c", script, *typed], capture_output=True, text=True, check=True, env=environ
        )
        imported = set(done.stdout.split())
        assert not {"torch", "pandas"} & imported
        assert bool({"matplotlib", "multiprocessing.popen_fork"} & imported) == drawing, "here, or in helpers"
        pages.append((tmp_path / "r.html").read_text().count("<svg"))
    assert pages[0] == pages[1] > 1


def test_the_answer_comes_first(page: Node) -> None:
    head = page.find("header")[0]
    said = [node for node in head.all() if node.tag in ("h1", "p", "h2")]
    assert [node.tag for node in said[:3]] == ["h1", "p", "p"] and said[2].attributes["class"] == "answer"
    told = said[2].text
    assert told.startswith("Not tried at full size here. In the smaller experiment (preset cpu) MPBN leads")
    assert told == page.by_id("table1").find("p", class_="answer")[0].text
    (forest,) = head.find("svg", class_="forest")
    assert "+2.50" in (forest.attributes["aria-label"] or "") and len(forest.find("circle", class_="dot")) == 3


def test_nothing_that_is_not_measured_looks_good(page: Node) -> None:
    claimed = [row for row in rows(page) if "data-claim" in row.attributes]
    unmeasured = [row for row in claimed if row.attributes["data-verdict"] == "not measured"]
    assert len(unmeasured) > 10 and all(row.attributes["class"] == "quiet" for row in unmeasured)
    assert not [row for row in unmeasured if row.find("span", class_="good")]
    heads = [head.text.strip() for head in page.by_id("claims").find("thead")[0].find("th")]
    assert heads.index("As measured") < heads.index("Own numbers")
    assert {"agree", "disagree", "do not say"} <= {cell.text for row in claimed for cell in row.find("td")}


def test_no_two_benches_share_a_title(bench: Path, tmp_path: Path) -> None:
    known = msgspec.json.decode((bench / "latency-cpu.json").read_bytes(), type=Benched)
    (tmp_path / "benches").mkdir()
    for place, threads in enumerate((1, 2, 2)):
        one = msgspec.structs.replace(known, environment={**known.environment, "threads": threads})
        (tmp_path / f"benches/latency-{place}.json").write_bytes(msgspec.json.encode(one))
    page = report(tmp_path / "runs", "table1", "--preset", "cpu", "--bench", str(tmp_path / "benches"))
    titles = [part.find("h3")[0].text for part in page.by_id("benches").find("details", class_="table")]
    assert titles == [f"Inference, folded, threads: {text}cpu" for text in ("1", "2 (1)", "2 (2)")]
