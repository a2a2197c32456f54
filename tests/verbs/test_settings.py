"""Every setting side by side: the recipes as the protocols have them, the rest as the code does it, the page fresh."""

from __future__ import annotations

import csv
import io
import re
import shutil
from pathlib import Path

import pytest

from baselines.parts.neurons import LIF
from baselines.parts.normalisations import BatchNorm
from baselines.parts.potential import ChannelMPBN
from harness import tables
from harness.cli import main
from harness.data import augment, autoaugment
from harness.data.files import RESIZE
from harness.data.sets import cifar10, cifar10dvs, cifar100, imagenet
from harness.errors import UserError
from harness.render import FORMATS, render
from harness.spec import SELDOM, Recipe, notable
from harness.tables import load_protocol, load_settings, protocol_names
from harness.verbs.settings import settings_page
from harness.verbs.systems import works_pages
from harness.works import Works

ROOT = Path(__file__).parents[2]


def records(*names: str) -> dict[tuple[str, str], dict[str, str]]:
    """By part and setting, as CSV tells them."""
    rows = csv.DictReader(io.StringIO(render(settings_page(names), "csv")))
    return {(row["part"], row["setting"]): row for row in rows}


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-\d+)?", text)]


SHARED = [name for name in protocol_names() if not isinstance(load_protocol(name), Works)]


@pytest.mark.parametrize("protocol", SHARED)
@pytest.mark.parametrize("field", [name for name in Recipe.__struct_fields__ if name not in SELDOM])
def test_every_field_of_every_recipe_is_there_with_its_source(protocol: str, field: str) -> None:
    row, spec = records()["Recipe", field.replace("_", " ")], load_protocol(protocol)
    assert row[f"{protocol}_where"] or f"{protocol}: " in row["chosen"], "say in the protocol where it is stated"
    for recipe in spec.recipe.values():
        value = getattr(recipe, field)
        wanted = value if isinstance(value, tuple) else () if value is None else (value,)
        assert all(f"{part:g}" if isinstance(part, float) else str(part) in row[protocol] for part in wanted)
    assert {*spec.source, *spec.chosen} <= set(Recipe.__struct_fields__)


def test_a_seldom_field_is_left_out_only_where_no_protocol_changes_it(tmp_path: Path) -> None:
    shown = {name for part, name in records() if part == "Recipe"}
    for name in SHARED:
        assert all(
            set(notable(recipe)) == set(notable(Recipe(epochs=1))) for recipe in load_protocol(name).recipe.values()
        )
    assert not shown & {field.replace("_", " ") for field in SELDOM}
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "mine"\ndescription = ""\n[recipe.cifar10]\nepochs = 7\nshuffled = false\n')
    assert records(str(mine))["Recipe", "shuffled"]["mine"] == "False"


def test_a_changed_protocol_changes_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tables"
    shutil.copytree(tables.folder(), folder)
    paper = folder / "protocols" / "paper.toml"
    paper.write_text(paper.read_text().replace("lr = 0.1\n", "lr = 0.3\n", 1).replace('"Sec. 5: SGD"', '"Sec. 99"'))
    monkeypatch.setattr(tables, "folder", lambda: folder)
    changed = records()
    assert changed["Recipe", "lr"]["paper"] == "0.1; CIFAR-10: 0.3; CIFAR10-DVS: 0.01"
    assert changed["Recipe", "lr"]["stated"] == "differ"
    assert changed["Recipe", "optimiser"]["paper_where"] == "Sec. 99"


def test_ones_own_protocol_stands_first_beside_the_others(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "mine"\ndescription = ""\n[recipe.cifar10]\nepochs = 7\n[source]\nepochs = "a week"\n')
    row = records(str(mine))["Recipe", "epochs"]
    assert list(row)[2:8] == ["mine", "mine_where", "paper", "paper_where", "released", "released_where"]
    assert (row["mine"], row["mine_where"], row["paper"]) == ("7", "a week", "400; ImageNet: 320")
    assert list(records("released")["Recipe", "lr"])[2] == "released"
    with pytest.raises(UserError, match="unknown protocol `papre`; did you mean `paper`"):
        settings_page(["papre"])


def test_what_differs_and_what_nobody_states() -> None:
    by_stated: dict[str, set[str]] = {}
    for (_, name), row in records().items():
        by_stated.setdefault(row["stated"], set()).add(name)
    assert by_stated["differ"] == {
        *("augmentation", "surrogate", "ResNet20", "ResNet19", "VGG16", "runs behind a number")
    }
    assert {"split", "bins", "decoder", "values of a frame"} <= by_stated["neither"]
    assert {"weight decay", "batch", "potential carried to the next step", "report"} <= by_stated["released only"]
    assert "folding into the threshold" in by_stated["paper only"]


def test_what_is_told_of_this_harness_is_what_it_does() -> None:
    here = {key: row["here"] for key, row in records().items()}
    assert numbers(here["Neuron", "decay τ"]) == [LIF.charge.tau]  # type: ignore[attr-defined]
    assert numbers(here["Neuron", "threshold V"]) == [LIF.v_th]
    assert LIF.carry == "raw" and not LIF.reset.detach  # type: ignore[attr-defined]
    norm, after = ChannelMPBN(), BatchNorm()
    assert numbers(here["MPBN", "ε"]) == [norm.eps]
    assert numbers(here["MPBN", "momentum of the running statistics"]) == [norm.momentum]
    assert numbers(here["BN after convolutions", "ε, momentum"]) == [after.eps, after.momentum]
    for name, images in (("CIFAR-10", cifar10.DATASET), ("CIFAR-100", cifar100.DATASET)):
        assert numbers(here["CIFAR", f"normalisation, {name}"]) == [*images.mean, *images.std]
    assert numbers(here["ImageNet", "normalisation"]) == [*imagenet.MEAN, *imagenet.STD]
    assert numbers(here["ImageNet", "test view"]) == [imagenet.SIZE * RESIZE, imagenet.SIZE]
    assert numbers(here["CIFAR", "crop"]) == [32, 32, 32 + 2 * augment.PADDING, 32 + 2 * augment.PADDING]
    assert numbers(here["CIFAR", "Cutout"]) == [augment.HOLE, augment.HOLE]
    assert here["CIFAR", "AutoAugment"].startswith("its 25 ") and len(autoaugment.SUB_POLICIES) == 25
    assert f"grey {autoaugment.FILL} " in here["CIFAR", "AutoAugment"]
    assert f"up to {augment.ROLL} pixels" in here["CIFAR10-DVS", "flip and roll"]
    assert here["CIFAR10-DVS", "resizing"].startswith(f"{cifar10dvs.DATASET.size}×{cifar10dvs.DATASET.size}")


def test_the_code_is_cited_by_file_and_line() -> None:
    settings, released = load_settings(), load_protocol("released")
    places = [s.source["released"].where for s in settings.setting if "released" in s.source]
    assert len(places) > 50 and re.search(r"commit [0-9a-f]{40}$", settings.code)
    for where in (*places, *released.source.values()):
        assert re.match(r"(\w+/)*\w+\.py:\d", where), where


def test_a_setting_that_is_stated_otherwise_says_why_it_is_done_so_here() -> None:
    for setting in load_settings().setting:
        said = {statement.says for statement in setting.source.values()}
        assert setting.here in said or setting.why, setting.name
        assert set(setting.source) <= set(protocol_names())
        assert not setting.disagree or len(said) > 1


@pytest.mark.parametrize("form", FORMATS)
def test_every_format(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "protocol", "paper", "--format", form]) == 0
    text = capsys.readouterr().out
    assert "0.4914" in text and ("149379dc" in text or form == "csv")
    assert "Stated" in text or form in ("csv", "json")
    if form == "latex":
        assert text.isascii()
    if form == "terminal":
        assert "paper: Sec. 5: SGD" in text and max(map(len, text.splitlines())) <= 120


def test_the_page_in_docs_is_what_the_command_prints() -> None:
    own = load_protocol("own")
    assert isinstance(own, Works)
    page = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    assert page == render([settings_page(), *works_pages(own, {})], "markdown") + "\n", "type: make docs"


@pytest.mark.parametrize("arguments", [["show", "0123", "paper"], ["show", "0123", "--format", "csv"]])
def test_a_cell_has_neither_protocols_nor_formats(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "show: a cell is shown without `" in capsys.readouterr().err
