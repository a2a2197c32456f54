"""What the verbs that hand something out say: reports, archives, badges, files for other programs."""

from __future__ import annotations

from pathlib import Path

from harness import requests
from harness.answers import INCOMPLETE, OK
from harness.errors import UserError
from harness.streams import complain, say, steps, tell


def report(request: requests.Report) -> int:
    from harness import durable
    from harness.report import document, gather
    from harness.report.kept import keep

    if request.out.is_dir():
        raise UserError("is a folder", f"--out {request.out}", "name a file, such as report.html")
    step = steps()
    step("reading what is recorded")
    found = gather(request)
    if not request.replace:
        try:
            keep(request.out, found)
        except UserError:
            complain(found.problems)
            raise
    durable.make_folder(request.out.parent)
    durable.write(request.out, document(found, step).encode())
    say(request.out)
    complain(found.problems)
    if request.open:
        import webbrowser

        webbrowser.open(request.out.resolve().as_uri())
    return OK


def publish(request: requests.Publish) -> int:
    from harness.report import gather, publishing

    if (request.folder is None) != request.pages:
        raise UserError("say where to", "publish", "type a folder, or --pages, alone")
    step = steps()
    step("reading what is recorded")
    found = gather(requests.Report(asked=request.asked, bench=request.bench))
    if request.folder is None:
        say(publishing.commit(found, step))
        tell(f"on the branch {publishing.BRANCH}; to send it, type: git push origin {publishing.BRANCH}")
    else:
        say("\n".join(map(str, publishing.publish(found, request.folder, step))))
    complain(found.problems)
    return OK


def archive(request: requests.Archive) -> int:
    from harness.report import gather

    if request.check:
        from harness.report.checking import check

        steps()("printing it again")
        told, wrong = check(request.file)
        say("\n".join(told))
        complain(wrong)
        return INCOMPLETE if wrong else OK
    from harness.report.archive import pack

    step = steps()
    step("reading what is recorded")
    asked = requests.Report(asked=request.asked, bench=request.bench)
    found = gather(asked)
    pack(found, asked, request.file, step)
    say(request.file)
    complain(found.problems)
    return OK


def badge(request: requests.Badge) -> int:
    from harness import durable
    from harness.report.badge import badge_of

    text, name = badge_of(request)
    path = request.out or Path(name)
    durable.make_folder(path.parent)
    durable.write(path, text.encode())
    say(path)
    return OK


def export(request: requests.Export) -> int:
    from harness import export as verb

    paths, problems = verb.export(request, tell)
    say("\n".join(map(str, paths)))
    complain(problems)
    return OK
