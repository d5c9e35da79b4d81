"""Debian's Chromium, driven by Playwright: what a person at the page sees and does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed here")

from playwright.sync_api import Browser, Page, sync_playwright

__all__ = ["browsing", "chromium"]

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# It may not call home, and root's has no sandbox.
_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
]  # fmt: skip


@contextmanager
def chromium(*, hears: Path | None = None) -> Iterator[Browser]:
    """Yield a browser, or skip where there is none; its microphone hears a WAV file, or a tone."""
    if _CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        heard = [f"--use-file-for-fake-audio-capture={hears}"] if hears is not None else []
        options = [*_OPTIONS, *heard]
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=options)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def browsing(browser: Browser, url: str, *, errors: bool = False, **options: Any) -> Iterator[Page]:
    """Yield the page at ``url``, in a browser that remembers nothing.

    Whatever it asks another host for, or complains about (unless ``errors``), fails the test.
    """
    context = browser.new_context(**options)
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    if not errors:
        page.on("console", lambda said: complaints.append(said.text))
    own = urlsplit(url).netloc

    def note(request: Any) -> None:
        asked = urlsplit(request.url)
        if asked.scheme in {"http", "https", "ws", "wss"} and asked.netloc != own:
            complaints.append(f"asked for {request.url}")

    page.on("request", note)
    try:
        page.goto(url)
        yield page
    finally:
        context.close()
    assert complaints == []
