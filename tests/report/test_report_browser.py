"""The report in a real Chromium: sorted, filtered, opened by mouse and by keyboard, checked by axe-core.

Wants Debian's `chromium` and the extra `browser` (playwright drives it, axe-playwright-python brings axe-core). Without
them it is skipped, unless the environment names a browser by CHROMIUM: then one was to be there.
"""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("no chromium: apt-get install chromium, or name one by CHROMIUM", allow_module_level=True)


def driver(name: str) -> Any:
    if os.environ.get("CHROMIUM"):
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"no {name.partition('.')[0]}: pip install '.[browser]'")


sync_api, axe = driver("playwright.sync_api"), driver("axe_playwright_python.sync_playwright")

PHONE, WIDE = {"width": 360, "height": 740}, {"width": 1600, "height": 1000}
SCREENS = [(name, size, scheme) for name, size in (("phone", PHONE), ("wide", WIDE)) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as driver:
        arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        started = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        started.close()


@pytest.fixture
def visit(browser: Any, file: Path) -> Iterator[Any]:
    """Opens the report; in the end nothing may have been said on the console, nor asked of a network."""
    said: list[str] = []
    contexts = []

    def visit(size: dict[str, int] = WIDE, scheme: str = "light", hash: str = "") -> Any:
        contexts.append(browser.new_context(viewport=size, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if not request.url.startswith("file:") else None)
        page.goto(file.as_uri() + hash)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not said, said


def column(page: Any, table: str, number: int) -> list[str]:
    """The texts of a column, as they stand, rows that are hidden left out."""
    script = """([table, number]) => [...document.querySelectorAll(`#${table} table.rows > tbody:not([hidden])`)]
        .map((body) => body.rows[0].cells[number].innerText.trim())"""
    return page.evaluate(script, [table, number])


def test_a_click_opens_a_row_and_another_closes_it(visit: Any) -> None:
    page = visit()
    behind, row = page.locator("#table1-row-4-more"), page.locator("#table1-row-4 > .row")
    assert not behind.is_visible()
    row.locator("td").nth(2).click()
    assert behind.is_visible() and behind.get_by_text("Fold proof", exact=True).is_visible()
    assert page.locator("#table1-row-4 .opens").get_attribute("aria-expanded") == "true"
    row.locator("td").nth(2).click()
    assert not behind.is_visible()


def test_rows_are_reached_and_opened_by_keyboard_alone(visit: Any) -> None:
    page = visit()
    first = page.locator("#table1-row-1 .opens")
    for _ in range(80):
        page.keyboard.press("Tab")
        if first.evaluate("(button) => button === document.activeElement"):
            break
    else:
        pytest.fail("no number of tabs leads to the first row")
    outline = first.evaluate("(button) => getComputedStyle(button).outlineWidth")
    assert outline != "0px", "where the keyboard is must be seen"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator("#table1-row-2-more").is_visible() and not page.locator("#table1-row-1-more").is_visible()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    assert page.locator("#table1-row-1-more").is_visible()


def test_a_column_is_sorted_up_down_and_as_printed(visit: Any) -> None:
    page = visit()
    printed = column(page, "table1", 5)
    head = page.locator("#table1 table.rows > thead th").nth(5)
    assert head.inner_text().strip().startswith("Paper")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, "table1", 5) == sorted(printed, key=float)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, "table1", 5) == sorted(printed, key=float, reverse=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None and column(page, "table1", 5) == printed


def test_numbers_are_sorted_as_numbers_and_what_has_none_comes_last(visit: Any) -> None:
    page = visit()
    head = page.locator("#table1 table.rows > thead th").nth(6)
    assert head.inner_text().strip().startswith("Measured")
    for direction in (1, -1):
        head.get_by_role("button").click()
        shown = column(page, "table1", 6)
        values = [float(text.partition("±")[0]) for text in shown if text != "–"]
        assert len(values) == 3 and values == sorted(values)[::direction]
        assert shown[3:] == ["–"] * 9
    page.locator("#table2 table.rows > thead th").first.get_by_role("button").click()  # 9 before 10
    assert column(page, "table2", 0) == [str(number) for number in range(1, 35)]


def test_an_open_row_stays_with_its_row_when_sorted(visit: Any) -> None:
    page = visit()
    page.locator("#table1-row-4 .opens").click()
    page.locator("#table1 table.rows > thead th").nth(5).get_by_role("button").click()
    above, below = (page.locator(f"#table1-row-4{part}").bounding_box() for part in (" > .row", "-more"))
    assert below["y"] == pytest.approx(above["y"] + above["height"], abs=1.5)


def test_the_filter_leaves_the_rows_that_fit_and_counts_them(visit: Any) -> None:
    page = visit()
    page.keyboard.press("/")
    page.keyboard.type("mpbn resnet19")
    texts = page.locator("table.rows > tbody:visible > .row").all_inner_texts()
    assert texts and all("MPBN" in text and "ResNet19" in text for text in texts)
    assert page.locator("#count").inner_text().startswith(f"{len(texts)} of ")
    assert not page.locator("#table1").is_visible(), "a table of which nothing is left goes"
    page.keyboard.press("Escape")
    assert page.locator("#table1").is_visible() and page.locator("#count").inner_text() == ""
    page.locator("#filter").fill("no such method")
    assert page.locator("#count").inner_text().startswith("0 of ")


def test_the_verdicts_of_the_first_screen_show_their_rows(visit: Any) -> None:
    page = visit()
    button = page.locator("[data-show='not comparable']")
    count = int(button.locator(".number").inner_text())
    button.click()
    shown = page.locator("table.rows > tbody:visible")
    assert shown.count() == count
    assert set(shown.evaluate_all("(rows) => rows.map((row) => row.dataset.verdict)")) == {"not comparable"}
    page.locator("#verdict").select_option("")
    page.locator("#measured").check()
    assert shown.count() == page.locator("table.rows > tbody[data-measured]").count() > 0


def test_all_rows_are_opened_and_closed_at_once(visit: Any) -> None:
    page = visit()
    page.locator("#every").click()
    assert page.locator("tr.more[hidden]").count() == 0
    page.locator("#every").click()
    assert page.locator("tr.more:not([hidden])").count() == 0


def test_a_link_to_a_row_opens_it(visit: Any) -> None:
    page = visit(hash="#table6-row-1")
    assert page.locator("#table6-row-1-more").is_visible()


def test_a_command_is_copied_or_at_least_selected(visit: Any) -> None:
    page = visit()
    page.locator("#table1-row-4 .opens").click()
    box = page.locator("#table1-row-4-more .command").nth(1)
    box.locator("button").click()
    assert page.evaluate("String(getSelection())") == box.locator("code").inner_text()


@pytest.mark.parametrize(("name", "size", "scheme"), SCREENS, ids=[f"{name}-{scheme}" for name, _, scheme in SCREENS])
def test_axe_finds_nothing_and_nothing_runs_out_of_the_screen(
    visit: Any, name: str, size: dict[str, int], scheme: str
) -> None:
    page = visit(size, scheme)
    for part in page.locator("details:not([open]) > summary").all():
        part.click() if part.is_visible() else None
    for row in ("table1-row-1", "table1-row-4", "claims-row-1"):
        page.locator(f"#{row} .opens").click()
    for part in page.locator("details:not([open]) > summary").all():
        part.click() if part.is_visible() else None
    page.mouse.move(0, 0)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = axe.Axe().run(page)
    told = [f"{one['id']}: {node['target']}" for one in found.response["violations"] for node in one["nodes"]]
    assert not told, "\n".join(told)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")


def test_on_paper_it_is_dark_on_white_and_what_is_open_is_printed(visit: Any) -> None:
    page = visit(scheme="dark")
    page.locator("#table1-row-4 .opens").click()
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("#table1-row-4-more").is_visible() and not page.locator(".filter").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_without_script_everything_is_open(browser: Any, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("#table1-row-4-more").is_visible() and not page.locator(".filter").is_visible()
    context.close()
