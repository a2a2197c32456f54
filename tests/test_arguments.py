"""What can be typed: decoded once, completed by a shell, and hints where it is typed otherwise."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import __version__, requests
from harness.arguments import build, carrying, completion, parse
from harness.arguments.verbs import KINDS, SHELLS, VERBS
from harness.cli import VERBS as DONE
from harness.cli import main
from harness.errors import UserError


def test_every_verb_becomes_a_request_that_is_done() -> None:
    assert {verb.request for verb in VERBS.values()} | {requests.Version} == set(DONE)
    asked = parse(["run", "table1", "figure2", "--preset", "cpu", "--only", "seed=1", "--jobs", "2", "--store", "a b"])
    assert asked == requests.Run(
        asked=requests.Asked(
            targets=("table1", "figure2"), preset="cpu", only=("seed=1",), store=Path("a b")
        ),
        how=requests.How(jobs=2),
    )  # fmt: skip
    assert asked.asked.command.endswith("--store 'a b'") and asked.asked.where() == " --store 'a b'"


def test_the_place_of_compare_is_the_on_of_run() -> None:
    asked = parse(["compare", "mpbn", "--on", "table1", "--place", "inline"])
    assert isinstance(asked, requests.Compare) and (asked.table, asked.how.on) == ("table1", "inline")
    words = requests.words("compare", asked.asked, asked.how, asked.method, "--on", asked.table)
    assert parse(words) == requests.Compare(
        method="mpbn", table="table1", how=requests.How(on="inline")
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "seeds"),
    [("0-9", tuple(range(10))), ("0-2,7", (0, 1, 2, 7)), ("3-3", (3,)), (f"{2**32 - 1}-{2**32 - 1}", (2**32 - 1,))],
)
def test_seeds_may_be_a_range(given: str, seeds: tuple[int, ...]) -> None:
    asked = parse(["table", "table1", "--seeds", given])
    assert isinstance(asked, requests.Table) and asked.asked.seeds == seeds


@pytest.mark.parametrize("given", ["9-0", "0-", "-3", "0-1-2", "0-4294967296", "a-b", "0,,1"])
def test_what_is_no_range_is_one_line(given: str) -> None:
    with pytest.raises(UserError, match=f"`{given}` is no list of seeds; type .*--seeds 0-9"):
        parse(["table", "table1", f"--seeds={given}"])


@pytest.mark.parametrize("given", [["0-1000"], ["0-4294967295"], ["0-999,1000"], ["0-999", "--seeds", "1000"]])
def test_seeds_are_not_without_end(given: list[str]) -> None:
    with pytest.raises(UserError, match="--seeds: more than 1000 seeds; type fewer, such as --seeds 0-9"):
        parse(["table", "table1", "--seeds", *given])


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["--store", "my runs", "status", "--cells"], "status --store 'my runs' --cells"),
        (["--preset=smoke", "table", "table1"], "table --preset=smoke table1"),
    ],
)
def test_options_before_the_verb_get_a_hint(typed: list[str], hint: str) -> None:
    with pytest.raises(UserError, match="stands before the verb; type: python -m harness") as caught:
        parse(typed)
    assert str(caught.value).endswith(f"python -m harness {hint}")


def test_a_comma_in_a_list_of_values_gets_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    typed = ["table", "table1", "--store", str(tmp_path), "--only"]
    assert main([*typed, "method=mpbn,timesteps=1,2"]) == 2
    assert capsys.readouterr().err.endswith("type --only 'timesteps=1|2': a comma begins the next key\n")
    assert main([*typed, "timesteps=1|2", "--format", "json"]) == 1
    assert {row["timesteps"] for row in json.loads(capsys.readouterr().out)["rows"]} == {1, 2}


def test_what_an_error_says_to_type_gets_what_it_lacks_alone() -> None:
    given = ["show", "KEY", "--data", "d e", "--preset", "smoke", "--store=s"]
    for said, added in {
        "type: python -m harness run K --store s": " --data 'd e' --preset smoke",
        "type: python -m harness logs K": " --data 'd e' --store s",
        "type: python -m harness export table1 ...": "",
        "type: python -m harness": "",
        "did you mean `mpbn`?": "",
    }.items():
        assert carrying(UserError("what", "where", said), given).to_type == said + added


def test_version_and_help(capsys: pytest.CaptureFixture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith(f"harness {__version__}, commit ")
    assert main(["help", "run"]) == 0
    assert capsys.readouterr().out == build()[1]["run"].format_help()
    assert main(["help"]) == 0
    told = capsys.readouterr().out
    assert all(re.search(rf"^    {verb}\s+\w", told, re.M) for verb in VERBS) and "--version" in told
    assert main(["help", "rum"]) == 2
    assert "did you mean `run`" in capsys.readouterr().err


def test_bare_list_lists_the_kinds(capsys: pytest.CaptureFixture) -> None:
    assert main(["list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(KINDS)


# --- Completion -------------------------------------------------------------------------------------------------------


def completed(line: str, tmp_path: Path) -> set[str]:
    """What bash offers for the last word of a line."""
    script = tmp_path / "completion.bash"
    script.write_text(completion.script("bash", *build()))
    words = line.split(" ")
    asked = (
        f"source {script}; COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}; "
        f'$(complete -p harness | sed "s/.*-F \\([^ ]*\\).*/\\1/") harness {words[-1]!r} {words[-2]!r}; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert not done.stderr, done.stderr
    return {word.strip() for word in done.stdout.split()}


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("harness st", {"status"}),
        ("harness run table1 --preset s", {"smoke"}),
        ("harness table amb", {"ambiguities"}),
        ("harness list pre", {"presets"}),
        ("harness run table1 --dry", {"--dry-run"}),
        ("harness completion f", {"fish"}),
    ],
)
def test_bash_completes(line: str, offered: set[str], tmp_path: Path) -> None:
    assert completed(line, tmp_path) == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script_that_it_can_read(shell: str, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert "ambiguities" in text and "--train-baselines" in text.replace("-l train-baselines", "--train-baselines")
    if shutil.which(shell):
        (tmp_path / "script").write_text(text)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


# --- Colour -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "0"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colour_is_forced_and_refused(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    main(["table", "table1", "--store", "nowhere"])
    assert ("\x1b[" in capsys.readouterr().out) == coloured


def test_the_console_script_leads_here() -> None:
    script = Path(sys.executable).with_name("harness")
    if not script.exists():
        pytest.skip("installed before there was one")
    done = subprocess.run([script, "list", "presets"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("cpu")
