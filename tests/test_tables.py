"""The paper as data: every number as printed, and one clear line for everything that is wrong in a file."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

import pytest

from harness.errors import UserError, UserErrors
from harness.plan import Line, Plan
from harness.render import render, table_page
from harness.tables import (
    display,
    load_preset,
    load_protocol,
    load_table,
    method_label,
    preset_names,
    protocol_names,
    table_label,
    table_names,
)

PAPER = [f"table{number}" for number in range(1, 7)]
REFERENCE = list(csv.DictReader((Path(__file__).parent / "data/paper_numbers.csv").read_text().splitlines()))
ROW = 'row = [{ method = "mpbn", architecture = "resnet20", dataset = "cifar10", timesteps = 2%s }]\n'
HEAD = 'name = "mine"\ntitle = "Mine"\n'


def untrained(name: str) -> Plan:
    table = load_table(name)
    lines = tuple(Line(number=i, row=row, cells=(), blank="no method yet") for i, row in enumerate(table.row, start=1))
    return Plan(table=table, protocol="paper", preset=None, lines=lines)


def test_csv_of_the_six_tables_is_the_papers():
    ours = []
    for name in PAPER:
        for row in csv.DictReader(io.StringIO(render(table_page(untrained(name), {}), "csv"))):
            ours.append(
                {
                    "table": row["table"].removeprefix("table"),
                    "dataset": row["dataset"],
                    "method": row["method"].removesuffix(" style").removesuffix(" ANN"),  # what stands in says so
                    "ref": row["reference"],
                    "type": row["type"],
                    "architecture": row["architecture"],
                    "timesteps": row["timesteps"],
                    "accuracy": row["paper_accuracy"],
                    "std": row["paper_std"],
                    "note": row["note"],
                }
            )
    assert ours == REFERENCE


def test_counts():
    assert [len(load_table(name).row) for name in PAPER] == [12, 34, 28, 9, 9, 4]
    assert set(PAPER) <= set(table_names())
    assert not {"claims", "names", "settings"} & set(table_names())


@pytest.mark.parametrize("name", PAPER)
def test_a_table_is_named_as_its_file_and_knows_how_its_names_print(name: str):
    table = load_table(name)
    assert table.name == name
    for row in table.row:
        assert display("dataset", row.dataset) != row.dataset
        assert display("architecture", row.architecture) != row.architecture
        assert method_label(row) != row.method or row.method == "vanilla"


@pytest.mark.parametrize("name", PAPER)
def test_three_runs_where_and_only_where_a_deviation_is_printed(name: str):
    assert all(row.runs == (1 if row.std is None else 3) for row in load_table(name).row)


@pytest.mark.parametrize("name", PAPER)
def test_no_experiment_stands_twice_in_a_table(name: str):
    rows = Counter((r.method, r.architecture, r.dataset, r.timesteps) for r in load_table(name).row)
    assert max(rows.values()) == 1


def test_every_protocol_has_a_recipe_for_every_data_set_of_the_tables():
    datasets = {row.dataset for name in PAPER for row in load_table(name).row}
    assert protocol_names() == ["own", "own-sane", "paper", "released"]  # the first two: a recipe for each method
    for name in ("paper", "released"):
        assert datasets <= set(load_protocol(name).recipe)


def test_protocols_differ_where_paper_and_code_do():
    paper, released = load_protocol("paper").recipe["cifar10"], load_protocol("released").recipe["cifar10"]
    assert (paper.surrogate, released.surrogate) == ("ste", "tanh")
    assert (paper.epochs, paper.lr, paper.weight_decay, paper.batch) == (400, 0.1, 1e-4, 128)
    assert "autoaugment" not in paper.augmentation
    assert released.augmentation == ("crop", "flip", "autoaugment", "cutout")
    assert load_protocol("paper").recipe["cifar10dvs"].lr == 0.01
    assert load_protocol("paper").recipe["imagenet"].epochs == 320


def test_smoke_stands_in_for_every_data_set_and_cpu_for_none():
    assert {"smoke", "cpu"} <= set(preset_names())
    datasets = {row.dataset for name in PAPER for row in load_table(name).row}
    assert set(load_preset("smoke").datasets) == datasets
    assert load_preset("cpu").datasets == {}


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (HEAD + ROW % ", acuracy = 90", ["mine.toml: row 1: unknown key `acuracy`; did you mean `accuracy`?"]),
        (HEAD + ROW % ', accuracy = "90"', ["mine.toml: row 1: `accuracy`: expected `float | null`, got `str`"]),
        (HEAD + ROW % ", accuracy = 901", ["mine.toml: row 1: `accuracy` is 901.0; write percent, 0 to 100"]),
        (HEAD + ROW % ", accuracy = nan", ["mine.toml: row 1: `accuracy` is nan; write a finite number"]),
        (HEAD + ROW % ", base = 1", ["mine.toml: row 1: `base` is 1; write the number of another row, from 1"]),
        (
            HEAD + ROW % ', change = { surogate = "tanh", insert_after = ["flip"] }',
            [
                "mine.toml: row 1: change: unknown key `surogate`; did you mean `surrogate`?",
                "mine.toml: row 1: change: `insert_after`: expected `table`, got `array`",
            ],
        ),
        (HEAD + "row = []\n", ["mine.toml: has no rows; write at least one [[row]]"]),
        (HEAD + "row = 3\n", ["mine.toml: `row`: expected `array`, got `int`"]),
        (HEAD + "row = [3]\n", ["mine.toml: `row 1`: expected `table`, got `int`"]),
        (HEAD + "[[row]\n", ["mine.toml: not valid TOML: expected ']]' at the end of an array declaration (at line 3"]),
        ('title = "Mine"\n' + ROW % "", ["mine.toml: `name` is missing"]),
        (
            'name = 3\ntitel = "Mine"\n[[row]]\nmethod = "mpbn"\ntimestep = 2\n[[row]]\ntimesteps = "2"\n',
            [
                "mine.toml: unknown key `titel`; did you mean `title`?",
                "mine.toml: `name`: expected `str`, got `int`",
                "mine.toml: `title` is missing",
                "mine.toml: row 1: unknown key `timestep`; did you mean `timesteps`?",
                "mine.toml: row 1: `architecture` is missing",
                "mine.toml: row 1: `dataset` is missing",
                "mine.toml: row 1: `timesteps` is missing",
                "mine.toml: row 2: `method` is missing",
                "mine.toml: row 2: `architecture` is missing",
                "mine.toml: row 2: `dataset` is missing",
                "mine.toml: row 2: `timesteps`: expected `int`, got `str`",
            ],
        ),
    ],
)
def test_every_problem_of_a_file_in_one_line_each(tmp_path: Path, text: str, problems: list[str]):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UserErrors) as caught:
        load_table(path)
    told = str(caught.value).splitlines()
    assert len(told) == len(problems)
    assert all(line.startswith(expected) for line, expected in zip(sorted(told), sorted(problems), strict=True)), told


def test_a_base_of_another_data_set_is_refused(tmp_path: Path):
    path = tmp_path / "mine.toml"
    one = 'method = "mpbn"\narchitecture = "resnet20"\ntimesteps = 2\n'
    path.write_text(f'{HEAD}[[row]]\n{one}dataset = "cifar10"\n[[row]]\n{one}dataset = "cifar100"\nbase = 1\n')
    with pytest.raises(UserErrors, match=r"mine\.toml: row 2: `base` is row 1, of another data set"):
        load_table(path)


def test_the_open_questions_are_asked_one_at_a_time():
    """A row differs from its base in the method or in one thing of its recipe; the paper's are asked of both."""
    rows = load_table("ambiguities").row
    asked: dict[int, list[str]] = {}
    for row in (row for row in rows if row.base is not None):
        base = rows[row.base - 1]
        assert base.base is None and not base.change.text
        assert (row.dataset, row.architecture, row.timesteps) == (base.dataset, base.architecture, base.timesteps)
        other = [name for name in row.change.__struct_fields__ if getattr(row.change, name) not in (None, {})]
        assert len(other) + (row.method != base.method) == 1
        asked.setdefault(row.base, []).append(row.change.text or row.method.removeprefix(f"{base.method}-"))
    both = {"surrogate tanh", "detached-reset", "autoaugment after flip"}
    cited = {"shuffled False", "residual_scale 0.0", "initialisation torch", "decayed all", "smoothing 0.1"}
    cited |= {"momentum 0.0", "norm-of-each-step"}
    assert [set(questions) for questions in asked.values()] == [{*both, "normalised-potential"}, both | cited]


def test_the_bases_are_cells_of_table_1():
    import baselines
    from harness.plan import Context, plan

    context = Context(
        protocol=load_protocol("paper"),
        preset=load_preset("cpu"),
        seeds=(0, 1, 2),
        methods=baselines.METHODS,
        architectures=baselines.ARCHITECTURES,
        datasets={"cifar10"},
    )
    mine, table1 = (plan(load_table(name), context) for name in ("ambiguities", "table1"))
    assert len(mine.cells) == 48
    assert set(mine.cells) & set(table1.cells) == {*mine.lines[0].cells, *mine.lines[5].cells}


def test_a_table_of_the_users_own(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + ROW % ', accuracy = 90, label = "ours"')
    assert load_table(str(path)).row[0].accuracy == 90.0
    assert method_label(load_table(path).row[0]) == "ours"
    assert (table_label("mine"), table_label("table2"), table_label("table")) == ("mine", "Table 2", "table")


def test_unreadable_and_foreign_files(tmp_path: Path):
    (tmp_path / "latin.toml").write_bytes(b'name = "M\xfcller"\n')
    with pytest.raises(UserErrors, match=r"latin\.toml: not UTF-8 text: byte 9 is not"):
        load_table(tmp_path / "latin.toml")
    with pytest.raises(UserError, match=r"no table file `nowhere/t.toml`; shipped: ambiguities, precision, table1"):
        load_table("nowhere/t.toml")


def test_unknown_names_get_a_suggestion():
    with pytest.raises(UserError, match="unknown table `tabel2`; did you mean `table2`"):
        load_table("tabel2")
    with pytest.raises(UserError, match="unknown protocol `papers`; did you mean `paper`"):
        load_protocol("papers")
    with pytest.raises(UserError, match="unknown preset `gpu`; did you mean `cpu`"):
        load_preset("gpu")
