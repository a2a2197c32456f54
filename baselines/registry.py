"""Names for methods and architectures. Torch is imported only when an entry is asked for, so listing is instant.

One file in `baselines/methods/` (or `architectures/`) is one entry, named as the file with `_` read as `-`;
a user's own file calls the same `register`.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

Entry = TypeVar("Entry")

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{0,47}")
"""Of whatever is called by a name: it stands in commands, in CSV, in the names of files, and is no number."""
NAMED = "letters, digits and `-`, `_`, `.`, `+`, a letter first, 48 at most"
"""`NAME` in words."""


class UnknownName(LookupError):
    """A name that is in no registry; carries what the caller needs to suggest another."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        super().__init__(f"unknown {kind} `{name}`; known: {', '.join(known)}")
        self.kind, self.name, self.known = kind, name, known


class Registry(Generic[Entry]):
    """name -> entry, one dict a kind. Built-in entries load on first use; a name can be taken only once."""

    def __init__(
        self,
        kind: str,
        package: str,
        unfit: Callable[[object], str] = lambda entry: "",
        beside: Registry[Entry] | None = None,
    ) -> None:
        """`unfit` says of what is to be registered why it cannot be; what is `beside` is found here, and not listed."""
        self.kind, self._package, self._unfit, self._beside = kind, package, unfit, beside
        self._entries: dict[str, Entry] = {}
        self._told: dict[str, str] = {}
        self._offered: dict[str, Callable[[], object]] = {}
        folder = Path(__file__).parent / package.rpartition(".")[2]
        self._files = {p.stem.replace("_", "-"): p for p in sorted(folder.glob("[!_]*.py"))}

    def register(self, name: str, entry: Entry) -> Entry:
        """Take `name` for `entry` and return it. Raises ValueError if the name is taken or none, TypeError for what
        is no such entry."""
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ValueError(f"no {self.kind} can be called {str(name)[:60]!r}; write {NAMED}")
        if name in self._files:  # let the owner go first; a no-op when the owner is calling
            self._import(name)
        if name in self._entries or (self._beside is not None and name in self._beside):
            raise ValueError(f"{self.kind} `{name}` is registered already; give yours another name")
        if why := self._unfit(entry):
            raise TypeError(f"{self.kind} `{name}` {why}")
        self._entries[name] = entry
        return entry

    def offer(self, name: str, load: Callable[[], object], told: str = "") -> None:
        """An installed package has `name`: `load`, which registers it, is called when it is first asked for. What is no
        name is not offered."""
        if name not in self._files and NAME.fullmatch(name):
            self._offered[name] = load
            self.tell(name, told)

    @property
    def registered(self) -> frozenset[str]:
        """What stands in the registry now, the built-in that nobody asked for aside."""
        return frozenset(self._entries)

    def get(self, name: str) -> Entry:
        """The entry called `name`. Raises UnknownName."""
        if name not in self._entries and name in self._files:
            self._import(name)
        if name not in self._entries and name in self._offered:
            self._offered[name]()
        if name not in self._entries and self._beside is not None and name in self._beside:
            return self._beside.get(name)
        if name not in self._entries:
            raise UnknownName(self.kind, name, sorted(self))
        return self._entries[name]

    def describe(self, name: str) -> str:
        """First line of the docstring of the file that defines `name`, read without importing it.

        For a user's own: the entry's `description`, else what `tell` was given.
        """
        if self._beside is not None and name in self._beside:
            return self._beside.describe(name)
        if name not in self._files:
            told = getattr(self._entries.get(name), "description", "") or self._told.get(name, "")
            return told.partition("\n")[0]
        docstring = ast.get_docstring(ast.parse(self._files[name].read_text())) or ""
        return docstring.partition("\n")[0]

    def tell(self, name: str, text: str) -> None:
        """What `describe` says of a user's entry that has no description: the docstring of its file."""
        self._told[name] = text.strip()

    def builtin(self, name: str) -> bool:
        return name in self._files or (self._beside is not None and self._beside.builtin(name))

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._files, *self._entries, *self._offered}))

    def __contains__(self, name: object) -> bool:
        return (
            name in self._files
            or name in self._entries
            or name in self._offered
            or (self._beside is not None and name in self._beside)
        )

    def _import(self, name: str) -> None:
        importlib.import_module(f"{self._package}.{self._files[name].stem}")
