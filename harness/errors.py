"""The one error a user can cause, and the one way to suggest a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from harness.printable import printable, shortened

LONGEST = 480
"""Characters of a problem's line: a screenful is no clear line."""
PLACE, ADVICE = 120, 200
"""What of them is left to `where` and to `to_type`, where all of it is longer."""
SHOWN = 20
"""Problems of one file that are told one by one."""
MANY = 20
"""Names that nobody reads all of."""
NAMES = 30
"""Known names in an advice."""


class UserError(Exception):
    """Bad input: *what* was wrong, *where*, and what *to type* instead.

    The engine raises it; ``cli.py`` prints it (one line each problem) and exits with code 2.
    """

    def __init__(self, what: str, where: str = "", to_type: str = "") -> None:
        self.what, self.where, self.to_type = what, where, to_type
        super().__init__(str(self))

    def __str__(self) -> str:
        """In one line, with nothing in it that a terminal would obey."""
        what, where, to_type = map(printable, (self.what, self.where, self.to_type))
        if len(what) + len(where) + len(to_type) > LONGEST:
            where, to_type = shortened(where, PLACE), shortened(to_type, ADVICE)
            what = shortened(what, LONGEST - len(where) - len(to_type))
        line = f"{where}: {what}" if where else what
        return f"{line}; {to_type}" if to_type else line


class UserErrors(UserError):
    """Several problems of one file or call, reported together, a line each."""

    def __init__(self, problems: Iterable[UserError]) -> None:
        self.problems = tuple(problems)
        Exception.__init__(self, str(self))

    def __str__(self) -> str:
        more = len(self.problems) - SHOWN
        told = [str(problem) for problem in self.problems[:SHOWN]]
        return "\n".join([*told, f"and {more} problem{'s' * (more > 1)} more"] if more > 0 else told)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean `mpbn`?``: the nearest, or of many names the few nearest; else the list of all that is allowed."""
    known = sorted(known)
    near = {name: difflib.SequenceMatcher(None, word, name).ratio() for name in difflib.get_close_matches(word, known)}
    letters = sorted(word)
    near |= {n: 1.0 for n in known if len(n) == len(word) and sorted(n) == letters}  # `mpnb`: difflib is blind for it
    nearest = [name for name, ratio in near.items() if ratio == max(near.values())]
    if len(nearest) == 1 or (nearest and len(known) > MANY):
        return f"did you mean {', '.join(f'`{name}`' for name in sorted(nearest))}?"
    more = f" and {len(known) - NAMES} more" if len(known) > NAMES else ""
    return f"known: {', '.join(known[:NAMES]) or 'none'}{more}"
