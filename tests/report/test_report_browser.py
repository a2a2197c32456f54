"""The report in a real Chromium: sorted, filtered, opened by mouse and by keyboard, checked by axe-core.

Wants Debian's `chromium` and the extra `browser` (playwright drives it, axe-playwright-python brings axe-core). Without
them it is skipped, unless the environment names a browser by CHROMIUM: then one was to be there.
"""

from __future__ import annotations

import csv
import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("no chromium: apt-get install chromium, or name one by CHROMIUM", allow_module_level=True)


def driver(name: str) -> Any:
    if os.environ.get("CHROMIUM"):
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"no {name.partition('.')[0]}: pip install '.[browser]'")


sync_api, axe = driver("playwright.sync_api"), driver("axe_playwright_python.sync_playwright")

PHONE, WIDE = {"width": 390, "height": 844}, {"width": 1280, "height": 1000}
WIDTHS = (360, 390, 768, 1024, 1280, 1600)
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
    assert page.locator("#count").inner_text() == "No row fits"
    page.locator("#clear").click()
    assert page.locator("#count").inner_text() == "" and not page.locator("#clear").is_visible()
    assert page.locator("table.rows > tbody[hidden]").count() == 0


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
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": size["height"]})
        assert page.evaluate("document.documentElement.scrollWidth") == width
    page.set_viewport_size(size)
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


def shown(page: Any) -> list[str]:
    """The ids of the rows that are left, those of the claims among them."""
    return page.locator("table.rows > tbody:visible").evaluate_all("(rows) => rows.map((row) => row.id)")


def test_a_key_and_a_value_fit_in_their_place_alone(visit: Any) -> None:
    page = visit()
    every = {key: page.locator(f"tbody[data-t='{key}']").count() for key in ("1", "10")}
    assert all(every.values())
    for typed in ("T=1", "t:1", "timesteps = 1"):
        page.locator("#filter").fill(typed)
        assert len(shown(page)) == every["1"], typed
    page.locator("#filter").fill("method:mpbn T=2 dataset:cifar-10")
    kept = page.locator("table.rows > tbody:visible").evaluate_all("(all) => all.map((row) => ({...row.dataset}))")
    assert kept and {row["method"].partition("|")[0] for row in kept} == {"mpbn"}, "nor mpbn-element"
    assert {(row["t"], row["dataset"].partition("|")[0]) for row in kept} == {("2", "cifar10")}
    page.locator("#filter").fill("method:mpb")
    begun = page.locator("tbody:visible[data-method]").evaluate_all("(all) => all.map((row) => row.dataset.method)")
    assert {"mpbn", "mpbn-element"} <= {name.partition("|")[0] for name in begun}
    page.locator("#filter").fill("claim:fold-exact")
    assert len(shown(page)) == 1
    page.locator("#filter").fill("verdict:incomplete")
    verdicts = page.locator("table.rows > tbody:visible").evaluate_all("(all) => all.map((row) => row.dataset.verdict)")
    assert set(verdicts) == {"incomplete"}


def test_the_address_says_filter_order_and_open_rows(visit: Any) -> None:
    page = visit()
    page.locator("#filter").fill("resnet20 T=2")
    page.locator("#measured").check()
    page.locator("#table1 table.rows > thead th").nth(6).get_by_role("button").click()
    page.locator("#table1-row-4 .opens").click()
    hash = page.evaluate("location.hash")
    again = visit(hash=hash)
    assert shown(again) == shown(page) != [] and again.locator("#filter").input_value() == "resnet20 T=2"
    assert again.locator("#measured").is_checked() and again.locator("#table1-row-4-more").is_visible()
    assert again.locator("#table1 th[aria-sort=ascending]").count() == 1
    assert again.evaluate("location.hash") == hash
    again.locator("#clear").click()
    again.locator("#table1 table.rows > thead th").nth(6).get_by_role("button").click(click_count=2)
    assert again.evaluate("location.hash") == "#table1-row-4", "one open row is called by its name"


@pytest.mark.parametrize("hash", ["#q=%", "#open=no,table1-row-4&sort=table1:99:ascending&sort=x", "#%E0%A4=", "#a=b"])
def test_an_address_that_is_not_ours_harms_nothing(visit: Any, hash: str) -> None:
    assert visit(hash=hash).locator("#filter").is_visible()


def test_rows_figures_and_claims_have_a_link(visit: Any) -> None:
    page = visit()
    for anchor in ("table1-row-4", "claims-row-1", "figure-rates"):
        if "row" in anchor:
            page.locator(f"#{anchor} .opens").click()
        page.locator(f"a.link[href='#{anchor}']").click()
        assert page.evaluate("location.hash") == f"#{anchor}"
        assert page.locator(f"#{anchor}").evaluate("(part) => part.getBoundingClientRect().top") < 800


def test_plots_are_saved_as_svg_and_numbers(visit: Any) -> None:
    page = visit(scheme="dark")
    page.locator("#table1-row-4 .opens").click()
    for place in (".lead-in", "#table1-row-4", "#figure-rates"):
        saved = {}
        for form in ("svg", "csv"):
            with page.expect_download() as download:
                page.locator(f"{place} .plot [data-save={form}]").click()
            assert download.value.suggested_filename.endswith(f".{form}")
            saved[form] = Path(download.value.path()).read_text()
        assert "var(" not in saved["svg"] and ElementTree.fromstring(saved["svg"]).tag.endswith("svg")
        assert len({len(line) for line in csv.reader(saved["csv"].splitlines())}) == 1 < saved["csv"].count("\n")


def test_heads_stay_in_sight_over_their_numbers(visit: Any) -> None:
    page = visit()
    page.locator("#table2").evaluate("(part) => { part.open = true; }")
    page.locator("#table2-row-25").evaluate("(row) => row.scrollIntoView({block: 'center', behavior: 'instant'})")
    script = """() => {
        const end = (node) => { const range = document.createRange(); range.selectNodeContents(node);
            return Math.max(...[...range.getClientRects()].map((box) => box.right)); };
        const heads = [...document.querySelector("#table2 table.rows").tHead.rows[0].cells];
        const row = document.querySelector("#table2-row-30").rows[0];
        return {
            bar: document.querySelector("nav").getBoundingClientRect().bottom,
            head: heads[0].getBoundingClientRect().top,
            ends: heads.flatMap((head, i) => head.classList.contains("right") && head.offsetWidth
                ? [[end(head.querySelector("button").lastChild), end(row.cells[i])]] : []),
        };
    }"""
    seen = page.evaluate(script)
    assert abs(seen["bar"] - seen["head"]) < 4 and len(seen["ends"]) >= 3
    assert all(abs(head - number) < 1 for head, number in seen["ends"]), seen["ends"]


def test_on_a_phone_every_number_has_its_label_and_what_is_measured_comes_first(visit: Any) -> None:
    page = visit(PHONE)
    script = """() => [...document.querySelectorAll("#tables td[data-label]")]
        .filter((cell) => cell.offsetParent && cell.textContent.trim() && !cell.closest(".more"))
        .map((cell) => [cell.dataset.label, getComputedStyle(cell, "::before").content])"""
    labels = page.evaluate(script)
    assert len(labels) > 20 and all(label in said for label, said in labels)
    small = page.locator("#ambiguities-row-1 .small, #claims-row-1 .small:not(.always)").all_inner_texts()
    assert "Best−last " in small[0] and "T\u00a0=\u00a02" in small[0] and small[1].startswith("stated in ")
    tops = page.locator("#table1 table.rows > tbody").evaluate_all(
        "(all) => all.map((row) => [row.getBoundingClientRect().top, 'measured' in row.dataset])"
    )
    assert [so for _, so in sorted(tops)] == sorted((so for _, so in tops), reverse=True)
    broken = """() => [...document.querySelectorAll(".rows .opens, .rows td, .rows .small")]
        .filter((node) => !node.closest(".more") && getComputedStyle(node).overflowWrap !== "normal").length"""
    assert page.evaluate(broken) == 0
