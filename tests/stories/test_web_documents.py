"""The page's documents panel, in a real browser over a real service: sent, watched, read, kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import browsing, chromium
from tests.support.documents import MADE, many_pages
from tests.support.speaking import SpeechService, speech_service

ONLY = {
    "HOLDFAST_DOCUMENTS_PROCESSES": "1",
    "HOLDFAST_SPEECH_TRANSCRIPTION_MODEL": "none",
    "HOLDFAST_SPEECH_SYNTHESIS_MODEL": "none",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeechService]:
    with speech_service(tmp_path_factory.mktemp("home"), ONLY) as running:
        yield running


def convert(page: Page, folder: Path, **contents: bytes) -> None:
    paths = []
    for name, content in contents.items():
        paths.append(folder / name.replace("_", "."))
        paths[-1].write_bytes(content)
    page.set_input_files("#documents-file", paths)
    page.get_by_role("button", name="Convert", exact=True).click()


def test_a_document_is_read_beside_its_pages_and_kept(
    browser: Browser, service: SpeechService, tmp_path: Path
) -> None:
    with browsing(browser, service.url) as page:
        convert(page, tmp_path, paper_pdf=MADE["paper.pdf"](), broken_pdf=b"%PDF-1")
        lines = page.locator("#documents-list li")
        expect(lines.filter(has_text="broken.pdf cannot be read")).to_have_count(1, timeout=30_000)
        expect(lines.filter(has_text="is converted, in")).to_have_count(1, timeout=30_000)
        expect(page.locator("#documents-text h4").first).to_have_text(
            "On the Writing of Lighthouse Keepers"
        )
        expect(page.locator("#documents-text table td").nth(0)).to_have_text("May")
        assert page.locator("#documents-image").evaluate("image => image.naturalWidth") > 500
        # What belongs together lights up together, from either side.
        first = page.locator("#documents-text p", has_text="Paragraph 1.")
        first.hover()
        expect(page.locator("#documents-boxes .lit")).to_have_count(1)
        lit = page.locator("#documents-boxes .lit").bounding_box()
        shown = page.locator("#documents-page").bounding_box()
        assert lit is not None
        assert shown is not None
        assert shown["x"] < lit["x"] < shown["x"] + shown["width"] / 2  # in the left column
        page.locator("#documents-boxes rect").nth(1).hover()
        expect(page.locator("#documents-text .lit")).to_have_text(
            "On the Writing of Lighthouse Keepers"
        )
        page.get_by_role("button", name="Next page").click()
        expect(page.locator("#documents-where")).to_have_text("Page 2 (2 of 2)")
        expect(page.locator("#documents-text")).to_contain_text("Paragraph 12.")
        expect(page.locator("#documents-text")).not_to_contain_text("Paragraph 1.")
        with page.expect_download() as download:
            page.get_by_role("link", name="JSON", exact=True).click()
        assert download.value.suggested_filename == "paper.json"
        kept = json.loads(Path(download.value.path()).read_text("utf-8"))
        assert kept["schema_name"] == "DoclingDocument"


def test_pages_go_by_and_a_document_can_be_cancelled(
    browser: Browser, service: SpeechService, tmp_path: Path
) -> None:
    with browsing(browser, service.url) as page:
        convert(page, tmp_path, long_pdf=many_pages(400))
        line = page.locator("#documents-list li")
        expect(line).to_contain_text("of 400", timeout=30_000)
        assert page.locator("#documents-list progress").get_attribute("max") == "400"
        page.get_by_role("button", name="Cancel long.pdf").click()
        expect(line).to_contain_text("the task was cancelled", timeout=10_000)
        expect(page.locator("#documents-result")).to_be_hidden()


def test_a_document_without_pages_is_shown_as_text(
    browser: Browser, service: SpeechService, tmp_path: Path
) -> None:
    with browsing(browser, service.url) as page:
        evil = b"<html><body><h1>Title</h1><p>&lt;img src=x onerror=alert(1)&gt;</p></body></html>"
        convert(page, tmp_path, page_html=evil)
        text = page.locator("#documents-text")
        expect(text).to_contain_text("<img src=x onerror=alert(1)>", timeout=30_000)
        expect(text.locator("img")).to_have_count(0)
        expect(page.locator("#documents-page")).to_be_hidden()
        expect(page.locator("#documents-turn")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_panel_is_accessible_and_narrow(
    browser: Browser, service: SpeechService, tmp_path: Path, scheme: str
) -> None:
    with browsing(browser, service.url) as page:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": 320, "height": 800})
        convert(page, tmp_path, report_pdf=MADE["report.pdf"]())
        expect(page.locator("#documents-result")).to_be_visible(timeout=30_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        found = Axe().run(page, "#documents")
        assert found.violations_count == 0, found.generate_report()
