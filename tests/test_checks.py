"""What the types of a TOML file cannot say is said by its check: every kind of file has one, and it is reached."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import clusters, tables
from harness.errors import UserError
from harness.measure import bench

ROOT = Path(__file__).parents[1] / "harness"
ROW = '{{ method = "mpbn", architecture = "resnet20", dataset = "cifar10", timesteps = 2{} }}'
TABLE = 'name = "{name}"\ntitle = "Mine"\nrow = [' + ROW + "]\n"
FIGURE = 'name = "{name}"\ntitle = "Mine"\npanel = [{{ row = [' + ROW.replace("{}", "") + "] }}]\n"
PROTOCOL = 'name = "{name}"\ndescription = "mine"\n[recipe.cifar10]\nepochs = 4\n{more}\n'
PRESET = 'name = "{name}"\ndescription = "mine"\n{more}\n'
BENCH = (
    'kind = "overhead"\nname = "{name}"\ntitle = "Mine"\nreference = "mpbn"\nsubject = ["mpbn"]\n{rounds}\n'
    "grid = [{{ architecture = ['resnet20'], width = [{width}], timesteps = [1], batch = [{batch}] }}]\n"
)


def table(more: str = "", name: str = "mine") -> str:
    return TABLE.replace("{name}", name).format(more)


def made(text: str, name: str = "mine", more: str = "", rounds: str = "", width: str = "1", batch: str = "2") -> str:
    return text.format(name=name, more=more, rounds=rounds, width=width, batch=batch)


LOADED: dict[str, tuple[Callable[[str], object], Callable[[str], str]]] = {
    "table": (tables.load_table, lambda name: table(name=name)),
    "figure": (tables.load_figure, lambda name: made(FIGURE, name)),
    "protocol": (tables.load_protocol, lambda name: made(PROTOCOL, name)),
    "preset": (tables.load_preset, lambda name: made(PRESET, name)),
    "bench": (bench.load, lambda name: made(BENCH, name)),
}


def refused(load: Callable[[str], object], text: str, folder: Path, stem: str = "mine") -> str:
    """What is said of a file that holds `text`."""
    path = folder / f"{stem}.toml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load(str(path))
    assert str(caught.value).startswith(f"{stem}.toml"), caught.value
    return str(caught.value)


@pytest.mark.parametrize("kind", LOADED)
@pytest.mark.parametrize(
    "name", ["../x", "/abs/x", "", " ", ".hidden", "-o", "5", "=1+2", "a b", "a/b", "x" * 300, "a\\\\b", "$(id)", "é"]
)
def test_a_name_is_a_name(kind: str, name: str, tmp_path: Path) -> None:
    load, text = LOADED[kind]
    assert "`name` is" in refused(load, text(name), tmp_path)


@pytest.mark.parametrize("kind", LOADED)
def test_the_files_of_this_test_are_else_sound(kind: str, tmp_path: Path) -> None:
    load, text = LOADED[kind]
    (path := tmp_path / "mine.toml").write_text(text("mine-2.b_c"))
    assert load(str(path))


@pytest.mark.parametrize(
    "change", ["batch = 0", "size = -1", "size = 0", "width = 0.0", "epochs = 0", "lr = -0.1", "train_samples = 0"]
)
def test_amounts_that_cannot_be_are_refused_wherever_they_stand(change: str, tmp_path: Path) -> None:
    key = change.partition(" ")[0]
    said = f"`{key}` is"
    assert said in refused(tables.load_table, table(f", change = {{ {change} }}"), tmp_path)
    assert said in refused(tables.load_preset, made(PRESET, more=f"recipe = {{ {change} }}"), tmp_path)
    assert said in refused(tables.load_preset, made(PRESET, more=f"dataset.cifar10 = {{ {change} }}"), tmp_path)
    assert said in refused(tables.load_preset, made(PRESET, more=f"architecture.vgg16 = {{ {change} }}"), tmp_path)
    if key != "epochs":
        assert said in refused(tables.load_protocol, made(PROTOCOL, more=change), tmp_path)


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_number_is_finite(number: str, tmp_path: Path) -> None:
    assert f"`width` is {number}" in refused(tables.load_protocol, made(PROTOCOL, more=f"width = {number}"), tmp_path)
    assert f"`lr` is {number}" in refused(tables.load_preset, made(PRESET, more=f"recipe.lr = {number}"), tmp_path)
    assert f"`width 1` is {number}" in refused(bench.load, made(BENCH, width=number), tmp_path)
    load = lambda path: clusters.load(path, tmp_path)  # noqa: E731
    assert f"`margin` is {number}" in refused(load, f"margin = {number}", tmp_path)


def test_the_sizes_of_a_bench_are_above_0(tmp_path: Path) -> None:
    assert "`batch` is [0]" in refused(bench.load, made(BENCH, batch="0"), tmp_path)
    assert "`width` is ()" in refused(bench.load, made(BENCH, width=""), tmp_path)
    assert "no rounds" in refused(bench.load, made(BENCH, rounds="rounds = 0"), tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 900 + "]" * 900, "nested too deeply"),
        ("a = " + "9" * 5000, "a number has thousands of digits"),
        ("a = 9223372036854775808", "`a` is too large a number"),
        ('name = "a\\u0000b"', r"`name` has the control sign '\x00'"),
        ('"a\\u001b" = 1', "has the control sign"),
        ("# " + "x" * (1 << 20), "larger than 1 MiB"),
    ],
)
def test_monsters_are_one_line(text: str, said: str, tmp_path: Path) -> None:
    (path := tmp_path / "mine.toml").write_text(text)
    with pytest.raises(UserError) as caught:
        tables.load_protocol(path)
    assert said in str(caught.value)


def test_a_kind_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    said = refused(bench.load, made(BENCH).replace('kind = "overhead"', "kind = []"), tmp_path)
    assert "`kind` is []; known: latency, overhead, training" in said


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "mine.toml")
    with pytest.raises(UserError, match="no regular file"):
        bench.load(str(path))


def test_what_a_preset_selects_by_is_checked(tmp_path: Path) -> None:
    said = refused(tables.load_preset, made(PRESET, more='only = { metod = ["mpbn"] }'), tmp_path)
    assert said == "mine.toml: only: unknown key `metod`; did you mean `method`?"


def test_what_a_protocol_cites_is_a_setting(tmp_path: Path) -> None:
    said = refused(tables.load_protocol, made(PROTOCOL, more='[source]\nepoch = "Sec. 5"'), tmp_path)
    assert said == "mine.toml: source: unknown key `epoch`; did you mean `epochs`?"


def calls() -> Iterator[tuple[str, str]]:
    """(module, name of the check) of every call of `decode`."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "decode":
                yield path.stem, ast.unparse(node.args[2])


def test_every_file_that_is_decoded_has_its_check_and_every_check_is_reached() -> None:
    """`_check_preset` once stood there and nothing called it."""
    assert len(list(calls())) >= 10
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        written = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and "_check" in node.name}
        named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert written <= named, f"{path}: {written - named} is never called"
