"""Links, FIFOs, devices and folders where a file should be are named; never followed, waited for or replaced."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import durable, opened
from harness.errors import UserError

KINDS: dict[str, Callable[[Path], object]] = {
    "a link": lambda path: path.symlink_to(path.with_name("victim")),
    "a FIFO": os.mkfifo,
    "a folder": Path.mkdir,
    "a device": lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5)),  # /dev/zero
}
DEVICE = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")


@pytest.fixture(params=[pytest.param(kind, marks=DEVICE if kind == "a device" else ()) for kind in KINDS])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Something that is no plain file; the link leads to one."""
    (tmp_path / "victim").write_text("mine\n")
    path = tmp_path / request.param.replace(" ", "-")
    try:
        KINDS[request.param](path)
    except PermissionError:
        pytest.skip("no devices here")
    return path


def name(path: Path) -> str:
    return path.name.replace("-", " ")


def test_it_is_not_read(odd: Path) -> None:
    with pytest.raises(OSError, match=name(odd)):
        durable.read(odd)


def test_it_is_not_added_to(odd: Path) -> None:
    with pytest.raises(OSError, match=name(odd)):
        opened.appending(odd)
    assert (odd.parent / "victim").read_text() == "mine\n"


@pytest.mark.parametrize("place", [".", "..", "/"])
def test_a_folder_without_a_name_is_a_folder(place: str) -> None:
    with pytest.raises(UserError, match="is a folder, and is not replaced; type the name of a file"):
        durable.write(Path(place), b"")


def test_it_is_not_replaced(odd: Path) -> None:
    before = odd.lstat()
    with pytest.raises(UserError, match=f"is {name(odd)}, and is not replaced"):
        durable.write(odd, b"new")
    assert odd.lstat() == before and (odd.parent / "victim").read_text() == "mine\n"


def test_a_new_file_is_not_made_through_a_link_to_nowhere(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    for make in (opened.making, opened.appending):
        with pytest.raises(OSError, match="link"):
            make(tmp_path / "link")
    assert not (tmp_path / "victim").exists()


def test_temporary_names_cannot_be_foreseen(tmp_path: Path) -> None:
    assert durable.temporary(tmp_path / "x") != durable.temporary(tmp_path / "x")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(opened.MOST + 1)
    with pytest.raises(OSError, match="larger than 32 MiB"):
        durable.read(tmp_path / "huge")


@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_a_file_is_read_whole(size: int, tmp_path: Path) -> None:
    durable.write(tmp_path / "file", os.urandom(size))
    assert durable.read(tmp_path / "file") == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize("target", ["nowhere", "file"])
def test_a_folder_that_cannot_be_made_says_why(target: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / target)
    told = "is no folder" if target == "file" else "is a link to .*nowhere, which is not there"
    with pytest.raises(UserError, match=told):
        durable.make_folder(tmp_path / "link")
    with pytest.raises(UserError):
        durable.make_folder(tmp_path / "link" / "runs")


def test_no_link_is_followed_below_the_store(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "elsewhere")  # the store itself may be one
    durable.make_folder(tmp_path / "runs" / "a" / "b", within=tmp_path / "runs")
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link, which is not followed"):
        durable.make_folder(tmp_path / "runs" / "link" / "b", within=tmp_path / "runs")


@pytest.mark.parametrize("umask", [0o022, 0o077])
@pytest.mark.parametrize("home", [0o2775, 0o2750, 0o755])
def test_what_is_made_in_a_folder_of_a_group_is_the_group_s(umask: int, home: int, tmp_path: Path) -> None:
    """Set-group-ID says that it is one; its permissions say what the group may."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(home)
    before = os.umask(umask)
    try:
        durable.make_folder(tmp_path / "home" / "a" / "b")
        durable.write(tmp_path / "home" / "a" / "b" / "written", b"")
        opened.appending(tmp_path / "home" / "a" / "b" / "added").close()
    finally:
        os.umask(before)
    group = home & 0o070 if home & stat.S_ISGID else 0o777 & ~umask & 0o070
    for path in (tmp_path / "home").rglob("*"):
        mode, wanted = path.stat().st_mode, group if path.is_dir() else group & 0o060
        assert mode & 0o070 == wanted and (mode & 0o007) <= 0o777 & ~umask & 0o007, path
        assert bool(mode & stat.S_ISGID) == bool(home & stat.S_ISGID and path.is_dir())
