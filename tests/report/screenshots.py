"""The README's pictures of the report, in a real browser: ``make screenshots``. Beside them, what they were made of.

As of other pages than `form` says they are stale, and `test_report_screenshots.py` fails.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/screens"
STORE = ("--preset", "cpu", "--store", "results/cpu")
SHOTS: tuple[dict[str, Any], ...] = (
    {"name": "report", "size": (1280, 800), "scheme": "light", "at": ""},
    {"name": "report-phone", "size": (390, 844), "scheme": "light", "at": ""},
    {"name": "row-phone", "size": (390, 844), "scheme": "dark", "at": "#table1-row-4"},
)


def form() -> str:
    """What the pictures show: the form of the page, and the answer on it."""
    parts = [(ROOT / f"harness/report/page.{suffix}").read_bytes() for suffix in ("html", "css", "js")]
    printed = subprocess.run(
        [sys.executable, "-m", "harness", "table", "table1", *STORE, "--format", "csv"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    return hashlib.sha256(b"".join([*parts, printed.stdout])).hexdigest()


def main() -> None:
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as driver:
        page = Path(place, "report.html")
        made = [sys.executable, "-m", "harness", "report", *STORE, "--out", str(page)]
        subprocess.run(made, cwd=ROOT, check=True)
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"] if root else [])
        for shot in SHOTS:
            width, height = shot["size"]
            look = {"color_scheme": shot["scheme"], "reduced_motion": "reduce"}
            context = browser.new_context(viewport={"width": width, "height": height}, **look)
            tab = context.new_page()
            tab.goto(page.as_uri() + shot["at"])
            tab.wait_for_timeout(500)
            tab.screenshot(path=FOLDER / f"{shot['name']}.png")
            context.close()
        browser.close()
    (FOLDER / "form.txt").write_text(form() + "\n")


if __name__ == "__main__":
    main()
