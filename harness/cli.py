"""The command line: what is typed becomes a request, and that an answer. Errors become one line each here alone."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness import arguments, requests
from harness.answers import BAD_INPUT, INCOMPLETE, INTERRUPTED, OK, cells, house, pages, tables
from harness.errors import UserError
from harness.streams import Unwritten, complain, open_outputs, say, say_no_more

BEGAN = time.time()


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 all asked for is there, 1 something failed or is missing, 2 bad input, 130 interrupted."""
    given = list(sys.argv[1:] if argv is None else argv)
    open_outputs()
    try:
        return _answer(given)
    except UserError as error:
        complain([arguments.carrying(error, given)])
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `... | head` has read enough
        say_no_more()
        return OK
    except Unwritten as error:
        complain([UserError(f"cannot be written ({error})", "standard output")])
        say_no_more()
        return INCOMPLETE
    except OSError as error:  # of a file that nothing nearer to it has an answer for
        complain([UserError((error.strerror or str(error)).lower(), str(error.filename or ""))])
        return BAD_INPUT if error.errno == errno.ENAMETOOLONG else INCOMPLETE
    except Exception as error:  # half of an old harness, half of a new one: what is imported late comes from the new
        if not (file := _changed_since()):
            raise
        advice = f"{file} was changed while this ran; what was finished is in the store: type the same again"
        complain([UserError(str(error), type(error).__name__, advice)])
        return INCOMPLETE


def _changed_since() -> str:
    """A file of the harness that was written after this process began; empty if none was."""
    home = Path(__file__).parents[1]
    files = (file for folder in ("harness", "baselines") for file in (home / folder).rglob("*.py"))
    return next((str(file.relative_to(home)) for file in files if file.stat().st_mtime > BEGAN), "")


def _answer(given: list[str]) -> int:
    try:
        request = arguments.parse(given)
        code = VERBS[type(request)](request)
    except SystemExit as asked:  # for help, which is printed
        code = int(asked.code or OK)
    say("", end="")
    return code


VERBS: Mapping[type, Callable[..., int]] = {
    requests.Run: tables.run,
    requests.Table: tables.table,
    requests.Figure: tables.figure,
    requests.Compare: tables.compare,
    requests.Export: pages.export,
    requests.New: house.new,
    requests.Claims: tables.claims,
    requests.Report: pages.report,
    requests.Publish: pages.publish,
    requests.Archive: pages.archive,
    requests.Badge: pages.badge,
    requests.Status: cells.status,
    requests.Listing: house.list_,
    requests.Show: cells.show,
    requests.ExplainGap: cells.explain_gap,
    requests.Logs: cells.logs,
    requests.Cancel: cells.cancel,
    requests.Merge: cells.merge,
    requests.Bench: house.bench,
    requests.Doctor: house.doctor,
    requests.Check: house.check,
    requests.Completion: house.completion,
    requests.Help: house.help_,
    requests.Version: house.version,
}
