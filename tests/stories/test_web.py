"""The page at /, in a real browser: what it shows, live; what its buttons do; who may see it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import urllib3
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from holdfast.checks import Finding
from holdfast.config import Secret, ServiceSettings, Settings
from holdfast.doctor import Checkup
from holdfast.errors import HubUnavailable
from holdfast.events import Progress, Reporter
from holdfast.refs import RevisionRef
from holdfast.runtime import Backoff, Provided
from holdfast.server import ServerSettings, running_server
from holdfast.voiceprint import sample_voices
from holdfast.wiring import (
    VAD_MODEL,
    Provide,
    Services,
    configured_services,
    provide_starter,
    services_of,
)
from tests.support.browser import browsing, chromium

KEY = Secret("a key of some length")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = str(tmp_path_factory.mktemp("home"))
    return {"HOLDFAST_HOME": folder, "HOME": folder}


@pytest.fixture(scope="module")
def services(home: dict[str, str]) -> Services:
    service = ServiceSettings(documents_processes=0, data=Path(home["HOME"]) / "data")
    return configured_services(Settings.from_env(home), service, home)


@pytest.fixture(scope="module")
def server(services: Services) -> Iterator[str]:
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(60)
        yield running.url


def slow(home: dict[str, str], go_on: threading.Event) -> Provide:
    """Bring the starter set once ``go_on`` is set; fail the first time."""
    bring = provide_starter(Settings.from_env(home), home)
    attempts: list[int] = []

    def provide(ref: RevisionRef, report: Reporter) -> Provided:
        report(Progress("silero_vad.onnx", 3_000_000, 4_000_000, 3_000_000, 4_000_000, 1.0, 75.0))
        assert go_on.wait(30)
        attempts.append(1)
        if len(attempts) == 1:
            raise HubUnavailable("the hub does not answer", why="<it> is silent", hint="wait a bit")
        return bring(ref, report)

    return provide


def test_the_page_follows_a_model_from_fetching_over_failure_to_ready(
    browser: Browser, home: dict[str, str]
) -> None:
    go_on = threading.Event()
    services = services_of(slow(home, go_on), only=(VAD_MODEL,), backoff=Backoff(3, 3))
    with running_server(services, ServerSettings(port=0)) as running:  # noqa: SIM117 - two things
        with browsing(browser, running.url) as page:
            card = page.locator(".card", has_text="silero-vad").first
            expect(page).to_have_title("Holdfast: not ready")
            expect(card).to_contain_text("fetching")
            expect(card).to_contain_text("3.0 MB of 4.0 MB, 1 min 15 s left")
            assert card.locator("progress").evaluate("e => e.value / e.max") == 0.75
            expect(page.locator("#models")).to_contain_text("Not ready: silero-vad is fetching.")

            go_on.set()
            expect(card).to_contain_text("hub-unavailable the hub does not answer: <it> is silent")
            expect(card).to_contain_text("Try: wait a bit")
            expect(page.locator("#errors")).to_contain_text(
                "silero-vad failed (trying again in 3 s)"
            )

            expect(card.locator(".state")).to_have_text("ready", timeout=30_000)
            expect(page).to_have_title("Holdfast: ready")
            expect(card).to_contain_text("Loaded in")
            expect(card).not_to_contain_text("hub-unavailable")


def test_a_model_is_unloaded_and_loaded_with_the_keyboard(browser: Browser, server: str) -> None:
    with browsing(browser, server) as page:
        state = page.locator(".card", has_text="silero-vad").locator(".state")
        expect(state).to_have_text("ready")
        unload = page.get_by_role("button", name="Unload silero-vad")
        unload.focus()
        page.keyboard.press("Enter")
        expect(state).to_have_text("idle")
        expect(unload).to_be_disabled()
        page.get_by_role("button", name="Load silero-vad", exact=True).press("Enter")
        expect(state).to_have_text("ready")


def hold(engine: Any, begun: threading.Event, go_on: threading.Event) -> None:
    begun.set()
    assert go_on.wait(20)


def test_why_a_model_cannot_be_unloaded_is_said_beside_it(
    browser: Browser, server: str, services: Services
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    job = services.supervisor.submit("silero-vad", hold, begun, go_on)
    assert begun.wait(10)
    # A browser's console says of every answer that it is an error.
    with browsing(browser, server, errors=True) as page:
        card = page.locator(".card", has_text="silero-vad")
        expect(card).to_contain_text("1 running")
        page.get_by_role("button", name="Unload silero-vad").click()
        expect(card).to_contain_text("silero-vad cannot be unloaded: it is answering 1 request(s)")
        go_on.set()
        job.result()
        expect(card.locator(".state")).to_have_text("ready")


def test_the_machine_is_told_of(browser: Browser, server: str, home: dict[str, str]) -> None:
    with browsing(browser, server) as page:
        machine = page.locator("#machine")
        expect(machine).to_contain_text(f"models live in {home['HOLDFAST_HOME']}")
        expect(machine).to_contain_text("are free at")
        expect(page.locator("#live-up")).to_contain_text("Up for")


def test_a_voice_is_enrolled_verified_and_identified_on_the_page(
    browser: Browser, server: str, tmp_path: Path
) -> None:
    voices = sample_voices()
    with browsing(browser, server, errors=True) as page:
        told, button = page.locator("#voice-told"), page.get_by_role
        button("button", name="Enroll").click()
        expect(told).to_have_text("Choose a recording, or record one.")
        page.set_input_files("#voice-files", [voices.first, voices.second])
        button("button", name="Enroll").click()
        expect(told).to_have_text("Name the speaker.")
        page.get_by_label("Speaker").fill("ada")
        button("button", name="Enroll").click()
        expect(told).to_contain_text("2 of 2 enrolled; ")
        expect(told).to_contain_text("s more are advised")

        page.set_input_files("#voice-files", voices.second)
        button("button", name="Verify").click()
        expect(told).to_have_text("Accepted.")
        expect(page.locator("#voice-spoof")).to_have_text(
            "Spoofing was not evaluated: no detector is mounted."
        )
        left = "e => parseFloat(e.style.left)"
        score, threshold = (
            page.locator(f"#voice-scale .{name}").evaluate(left) for name in ("score", "threshold")
        )
        assert score > threshold
        figures = page.locator("#voice-figures")
        expect(figures).to_contain_text("of others were accepted there, and ")
        expect(figures).to_contain_text("of the speaker's own were not, on ")
        # A name that no speaker can have leaves no earlier verdict standing.
        page.get_by_label("Speaker").fill("a b")
        button("button", name="Enroll").click()
        expect(told).to_have_text("This can be no speaker's name.")
        page.get_by_label("Speaker").fill("ada")
        page.set_input_files("#voice-files", voices.other)
        button("button", name="Verify").click()
        expect(told).to_have_text("Rejected.")
        button("button", name="Identify").click()
        expect(told).to_have_text("Nobody who is enrolled.")
        page.set_input_files("#voice-files", voices.first)
        button("button", name="Identify").click()
        expect(told).to_contain_text("It sounds like ada (")
        called = {"display_name": "Ada L."}
        assert page.request.put(f"{server}/v1/voiceprint/speakers/ada", data=called).ok
        button("button", name="Identify").click()
        expect(told).to_contain_text("It sounds like ada (Ada L., ")
        assert Axe().run(page).violations_count == 0


def test_what_the_microphone_hears_can_be_sent(browser: Browser, server: str) -> None:
    with browsing(browser, server, errors=True, permissions=["microphone"]) as page:
        page.get_by_role("button", name="Record", exact=True).click()
        expect(page.locator("#voice-told")).to_contain_text("Recording")
        page.wait_for_timeout(1500)
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(page.locator("#voice-told")).to_contain_text("Recorded.")
        page.get_by_role("button", name="Identify").click()
        # The browser's own test tone is nobody's voice.
        expect(page.locator("#voice-told")).to_have_text("Nobody who is enrolled.")
        expect(page.locator("#voice-reasons li")).to_have_count(1)


def test_everything_can_be_read_without_scripts(browser: Browser, server: str) -> None:
    with browsing(browser, server, java_script_enabled=False) as page:
        expect(page.locator("#models")).to_contain_text("Ready: every preloaded model is present")
        expect(page.locator("#machine")).to_contain_text("models live in")
        expect(page.get_by_role("button")).to_have_count(0)  # nothing that would do nothing
        expect(page.locator("#speech")).to_contain_text(f"{server}/v1/audio/speech/timestamps")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(browser: Browser, services: Services, scheme: Any) -> None:
    findings = [Finding("space", "warning", "little is free", "make room"),
                Finding("token", "error", "it is not accepted", "another"),
                Finding("names", "info", "short ones")]  # fmt: skip
    told = replace(services, checkup=Checkup(lambda: findings))
    app_settings = ServerSettings(port=0)
    fresh = services_of(slow({}, threading.Event()))
    with running_server(replace(told, supervisor=fresh.supervisor), app_settings) as running:  # noqa: SIM117
        with browsing(browser, running.url, color_scheme=scheme) as page:
            expect(page.locator("#machine")).to_contain_text("little is free")
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()


def test_narrow_screens_need_no_sideways_scrolling(browser: Browser, server: str) -> None:
    with browsing(browser, server, viewport={"width": 320, "height": 600}) as page:
        expect(page.locator("#machine")).to_contain_text("models live in")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 320


def test_a_page_that_lost_its_service_says_so(browser: Browser, home: dict[str, str]) -> None:
    services = configured_services(
        Settings.from_env(home), ServiceSettings(documents_processes=0), home
    )
    with running_server(services, ServerSettings(port=0)) as running:
        context = browser.new_context()
        page = context.new_page()
        page.goto(running.url)
        expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator("#lost")).to_be_visible(timeout=15_000)
    context.close()


def test_a_service_with_a_key_asks_a_browser_for_it(browser: Browser, home: dict[str, str]) -> None:
    own = configured_services(Settings.from_env(home), ServiceSettings(documents_processes=0), home)
    with (
        running_server(own, ServerSettings(port=0, key=KEY)) as running,
        browsing(browser, running.url, errors=True) as page,
    ):
        expect(page.get_by_role("heading", name="This service asks for its key")).to_be_visible()
        assert Axe().run(page).violations_count == 0
        page.get_by_role("textbox", name="Key").fill("something else")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("That is not the key.")

        page.get_by_role("textbox", name="Key").fill(KEY)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator(".state").first).to_have_text("ready")
        page.get_by_role("button", name="Unload silero-vad").click()
        expect(page.locator(".state").first).to_have_text("idle")

        [cookie] = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert KEY not in cookie["value"]
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("textbox", name="Key")).to_be_visible()
        assert page.context.cookies() == []

        header = {"Cookie": f"{cookie['name']}={cookie['value']}"}
        with urllib3.PoolManager(retries=False) as pool:
            known = pool.request("GET", f"{running.url}/models", headers=header)
            forged = {"Cookie": f"{cookie['name']}={'0' * 64}"}
            unknown = pool.request("GET", f"{running.url}/models", headers=forged)
            load = f"{running.url}/models/silero-vad/load"
            foreign = pool.request(
                "POST", load, headers=header | {"Origin": "https://elsewhere.example"}
            )
            meant = pool.request(
                "POST", load, headers={"X-Api-Key": KEY, "Origin": "https://elsewhere.example"}
            )
        assert (known.status, unknown.status) == (200, 401)
        assert (foreign.status, foreign.json()["error"]["code"]) == (403, "origin-refused")
        assert meant.status == 202


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"Origin": "{own}"}, 202),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "elsewhere.example"}, 403),  # another site's name, made to mean this machine
        ({"Host": "localhost:1"}, 202),
    ],
)
def test_no_other_sites_page_gives_orders_to_a_service_without_a_key(
    server: str, headers: dict[str, str], status: int
) -> None:
    sent = {name: value.format(own=server) for name, value in headers.items()}
    with urllib3.PoolManager(retries=False) as pool:
        answer = pool.request("POST", f"{server}/models/silero-vad/load", headers=sent)
        assert answer.status == status
        if status == 403:
            assert answer.json()["error"]["code"] == "origin-refused"


def test_what_the_page_is_made_of_is_contained(server: str) -> None:
    with urllib3.PoolManager(retries=False) as pool:
        for path in ("/static/../_pages.py", "/static/%2e%2e/_pages.py", "/static//etc/passwd"):
            assert pool.request("GET", server + path).status == 404
        page = pool.request("GET", f"{server}/")
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert "/live" not in pool.request("GET", f"{server}/openapi.json").json()["paths"]
