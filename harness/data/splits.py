"""Which recordings train and which test, where a data set has no published split: rules by name, each with its hash.

A recipe writes ``RULE:HASH``. The hash is of the whole list that the rule makes for the complete set, so that a number
is tied to the list, not to a name: a rule that came to mean something else would be refused. The list goes by the names
of files, and all of them must be there, unless ``RULE:HASH:incomplete`` is written.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence

import numpy as np

from harness.errors import UserError, did_you_mean

Rule = Callable[[Sequence[str], int], np.ndarray]
"""Names of the files of one class in numerical order, number of the class -> bool, whether each tests."""


def numerically(name: str) -> tuple[list[int], str]:
    """Sorting key: by the number that ends the name: ``cat_9`` before ``cat_10``."""
    return [int(part) for part in re.findall(r"\d+$", name)], name


def _last(share: float) -> Rule:
    def tests(names: Sequence[str], _: int) -> np.ndarray:
        return np.arange(len(names)) >= len(names) - _count(names, share)

    return tests


def _first(share: float) -> Rule:
    def tests(names: Sequence[str], _: int) -> np.ndarray:
        return np.arange(len(names)) < _count(names, share)

    return tests


def _last_by_name(share: float) -> Rule:
    """As loaders do that sort file names as text: ``cat_10`` before ``cat_9``."""

    def tests(names: Sequence[str], _: int) -> np.ndarray:
        chosen = set(sorted(names)[len(names) - _count(names, share) :])
        return np.array([name in chosen for name in names])

    return tests


def _random(share: float, seed: int) -> Rule:
    """Drawn class by class; smaller keys of SHA-256 test, so no library's generator is needed to repeat it."""

    def tests(names: Sequence[str], label: int) -> np.ndarray:
        keys = [hashlib.sha256(f"{seed}:{label}:{place}".encode()).digest() for place in range(len(names))]
        chosen = sorted(range(len(names)), key=keys.__getitem__)[: _count(names, share)]
        return np.isin(np.arange(len(names)), chosen)

    return tests


def _count(names: Sequence[str], share: float) -> int:
    return max(1, int(len(names) * share + 1e-9))


INCOMPLETE = "incomplete"
RULES: dict[str, Rule] = {
    "last-tenth": _last(0.1),
    "first-tenth": _first(0.1),
    "last-tenth-by-name": _last_by_name(0.1),
    "last-fifth": _last(0.2),
    "last-three-tenths": _last(0.3),
}
"""`random-SEED` beside them, of a tenth."""
DESCRIBED = {
    "last-tenth": "the last tenth of each class tests, in numerical order (PLIF, SEW, GLIF)",
    "first-tenth": "the first tenth of each class tests (TEBN's, as SpikingJelly tells)",
    "last-tenth-by-name": "the last tenth by name as text (SpikingJelly's 0.9 of a folder sorted by name)",
    "last-fifth": "8,000 train, 2,000 test",
    "last-three-tenths": "7,000 train, 3,000 test (TET's script)",
    "random-SEED": "a tenth of each class, drawn with that seed",
}


def rule(name: str) -> Rule:
    """Raises UserError for an unknown one."""
    if found := re.fullmatch(r"random-(\d+)", name):
        return _random(0.1, int(found[1]))
    if name not in RULES:
        raise UserError(f"unknown split `{name}`", to_type=did_you_mean(name, DESCRIBED))
    return RULES[name]


def listed(name: str, classes: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """Whether each file tests, class by class; `classes` holds their names in numerical order."""
    decide = rule(name)
    return [decide(names, label) for label, names in enumerate(classes)]


def hashed(tests: Sequence[np.ndarray]) -> str:
    """12 hex of the whole list."""
    return hashlib.sha256(b"\n".join(each.astype(np.uint8).tobytes() for each in tests)).hexdigest()[:12]


def parsed(written: str, complete: Sequence[Sequence[str]]) -> tuple[str, bool]:
    """The rule of ``RULE:HASH``, and whether ``:incomplete`` follows.

    Raises UserError unless the hash is that of its list for the `complete` set.
    """
    name, _, given = written.partition(":")
    given, _, asked = given.partition(":")
    found = hashed(listed(name, complete))
    if given != found:
        what = f"split `{written}` has not the hash of its list" if given else f"split `{written}` lacks its hash"
        raise UserError(what, to_type=f"write {name}:{found}")
    if asked not in ("", INCOMPLETE):
        raise UserError(
            f"split `{written}` ends in `{asked}`", to_type=f"write {name}:{found}, or :{INCOMPLETE} behind it"
        )
    return name, bool(asked)


def of_files(
    written: str, complete: Sequence[Sequence[str]], classes: Sequence[Sequence[str]], where: str
) -> list[np.ndarray]:
    """Whether each file of `classes` tests, by its name on the list of the `complete` set.

    Raises UserError for a file that is not on the list, and for one that is missing unless ``:incomplete`` is written.
    """
    name, incomplete = parsed(written, complete)
    tests: list[np.ndarray] = []
    for known, decided, found in zip(complete, listed(name, complete), classes, strict=True):
        by_name = dict(zip(known, decided.tolist(), strict=True))
        for file in found:
            if file not in by_name:
                raise UserError(f"`{file}` is not on the list of split `{name}`", where, "move it elsewhere")
        if len(there := set(found)) < len(found):
            raise UserError(f"a file of `{found[0]}`'s class is there twice, under two suffixes", where, "keep one")
        if not incomplete and (missing := [file for file in known if file not in there]):
            what = f"{len(missing):,} missing of {len(known):,}, `{missing[0]}` first, and split `{name}` is of all"
            raise UserError(what, where, f"get it, or write {written}:{INCOMPLETE} for what is there of the list")
        tests.append(np.array([by_name[file] for file in found], bool))
    if len(set(np.concatenate(tests).tolist())) < 2:
        raise UserError(f"split `{written}` leaves nothing to train or nothing to test on", where)
    return tests
