"""The one error a user can cause, and the one way to suggest a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: *what* was wrong, *where*, and what *to type* instead.

    The engine raises it; ``cli.py`` alone prints it (one line each problem) and exits with code 2.
    """

    def __init__(self, what: str, where: str = "", to_type: str = "") -> None:
        self.what, self.where, self.to_type = what, where, to_type
        super().__init__(str(self))

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        return f"{line}; {self.to_type}" if self.to_type else line


class UserErrors(UserError):
    """Several problems of one file or call, reported together, a line each."""

    def __init__(self, problems: Iterable[UserError]) -> None:
        self.problems = tuple(problems)
        Exception.__init__(self, str(self))

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean `mpbn`?`` where one name is nearer than all others, else the list of all that is allowed."""
    known = sorted(known)
    near = {name: difflib.SequenceMatcher(None, word, name).ratio() for name in difflib.get_close_matches(word, known)}
    near |= {name: 1.0 for name in known if sorted(name) == sorted(word)}  # `mpnb`, for which difflib is blind
    nearest = [name for name, ratio in near.items() if ratio == max(near.values())]
    return f"did you mean `{nearest[0]}`?" if len(nearest) == 1 else f"known: {', '.join(known) or 'none'}"
