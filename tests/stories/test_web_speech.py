"""The page's speech panel, in a real browser over a real service: read, spoken, drawn, kept."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import srt
import webvtt
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from holdfast.client import Client, Transcript
from holdfast.config import ServiceSettings, Settings
from holdfast.media import read_audio
from holdfast.server import ServerSettings, running_server
from holdfast.speech import sample_recording
from holdfast.voiceprint import sample_voices
from holdfast.wiring import (
    STT_MODEL,
    TTS_MODEL,
    VAD_MODEL,
    VOICE_MODEL,
    Services,
    configured_services,
)
from tests.support.browser import browsing, chromium
from tests.support.voices import write_wav
from tests.support.wire import until

MODELS = (VAD_MODEL, VOICE_MODEL, STT_MODEL, TTS_MODEL)
DROP = """([content, name]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name));
  return carried;
}"""
COLOURS = "c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose microphone hears the sample, over and over."""
    heard = tmp_path_factory.mktemp("microphone") / "heard.wav"
    write_wav(heard, read_audio(sample_recording()))
    with chromium(hears=heard) as found:
        yield found


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    home = tmp_path_factory.mktemp("home")
    env = {"HOLDFAST_HOME": str(home), "HOME": str(home)}
    service = ServiceSettings(documents_processes=0, data=home / "data")
    return configured_services(Settings.from_env(env), service, env, only=MODELS)


@pytest.fixture(scope="module")
def server(services: Services) -> Iterator[str]:
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(120)
        yield running.url


@pytest.fixture(scope="module")
def read(server: str) -> Transcript:
    """What the service reads in the sample."""
    with Client(server) as client:
        found = client.transcribe(sample_recording(), words=True)
    assert "go forward ten meters" in found.text
    return found


def press(page: Page, name: str) -> None:
    """Press a button; those that ask the service can be pressed again once it has answered."""
    page.get_by_role("button", name=name, exact=True).click()
    if name in {"Read", "Find speech", "Speak"}:
        answered = page.get_by_role("button", name=name, exact=True)
        expect(answered).to_be_enabled(timeout=60_000)


def kept(page: Page, name: str) -> tuple[str, str]:
    with page.expect_download() as download:
        page.get_by_role("link", name=name, exact=True).click()
    return download.value.suggested_filename, Path(download.value.path()).read_text("utf-8")


def test_a_recording_is_read_and_its_words_light_up(
    browser: Browser, server: str, read: Transcript
) -> None:
    with browsing(browser, server) as page:
        page.set_input_files("#listen-file", sample_recording())
        press(page, "Read")
        expect(page.locator("#listen-told")).to_have_text(
            f"{len(read.text.split())} word(s) in {read.duration_s:.2f} s, english."
        )
        words = page.locator("#listen-text .word")
        expect(words).to_have_text([word.text for word in read.words])
        lines = page.locator("#listen-text li")
        assert [line.split(" ", 1)[1] for line in lines.all_inner_texts()] == [
            segment.text for segment in read.segments
        ]
        press(page, "Find speech")  # in the same recording
        expect(words).to_have_text([word.text for word in read.words])
        # What speaks is drawn over the waveform, and listed.
        assert page.locator("#listen-wave").evaluate(COLOURS) > 3  # two colours, and none
        expect(page.locator("#listen-regions li")).to_have_text(
            ["0.48 to 2.21 s", "4.13 to 6.72 s"]
        )

        audio = page.locator("#listen-audio")
        number = [word.text for word in read.words].index("ten")
        ten = read.words[number]
        words.nth(number).click()
        lit = page.locator("#listen-text .word[aria-current]")
        expect(lit).to_have_text("ten")
        assert ten.start_s <= audio.evaluate("a => a.currentTime") < ten.end_s + 0.5
        # It plays on, and the light goes with it.
        expect(lit).to_have_text(read.words[number + 1].text)
        audio.evaluate("a => a.pause()")
        audio.evaluate("a => a.currentTime = 3.2")
        expect(lit).to_have_count(0)  # nobody speaks there
        part = page.locator("#listen-at").evaluate("e => parseFloat(e.style.left)")
        assert part == pytest.approx(100 * 3.2 / 6.876, abs=1)
        page.locator("#listen-wave").click(position={"x": 1, "y": 5})
        assert audio.evaluate("a => a.currentTime") < 0.1


def test_what_was_read_is_kept_in_every_form(
    browser: Browser, server: str, read: Transcript, tmp_path: Path
) -> None:
    with browsing(browser, server) as page:
        page.set_input_files("#listen-file", sample_recording())
        press(page, "Read")
        assert kept(page, "text") == (
            "two-sentences.txt", "".join(f"{segment.text}\n" for segment in read.segments)
        )  # fmt: skip
        name, content = kept(page, "SRT")
        assert name == "two-sentences.srt"
        cues = list(srt.parse(content))
        times = [(cue.start.total_seconds(), cue.end.total_seconds()) for cue in cues]
        assert times == [(segment.start_s, segment.end_s) for segment in read.segments]
        assert [cue.content for cue in cues] == [segment.text for segment in read.segments]
        name, content = kept(page, "VTT")
        assert name == "two-sentences.vtt"
        captions = webvtt.from_string(content).captions
        assert [caption.text for caption in captions] == [cue.content for cue in cues]
        # The service makes the same of it.
        with Client(server) as client:
            assert client.transcribe_text(sample_recording(), "vtt") == content


def test_subtitles_hold_whatever_was_read(browser: Browser, server: str) -> None:
    segments: list[dict[str, Any]] = [
        {"start": -0.2, "end": 0.0004, "text": "  first\n\nline  ", "speaker": "Ada <L.>\n"},
        {"start": 1, "end": 9, "text": "1 --> 2 & <b>"},
        {"start": 2.5, "end": 2.5, "text": "overlapped"},
        {"start": 3, "end": 4, "text": "   "},
        {"start": 3599.9996, "end": 360_000.1, "text": "gr\u00fc\u00df \u4f60\u597d\u2028."},
    ]
    with browsing(browser, server) as page:
        made = page.evaluate(
            "async (given) => { const m = await import('/static/subtitles.js');"
            "return [m.srtOf(given), m.vttOf(given), m.textOf(given)] }",
            segments,
        )
    cues = list(srt.parse(made[0]))
    assert [cue.content for cue in cues] == [
        "Ada <L.>: first line", "1 --> 2 & <b>", "overlapped", "gr\u00fc\u00df \u4f60\u597d .",
    ]  # fmt: skip
    times = [(cue.start.total_seconds(), cue.end.total_seconds()) for cue in cues]
    assert times == [(0, 0.001), (1, 2.5), (2.5, 2.501), (3600, 360_000.1)]
    captions = webvtt.from_string(made[1]).captions
    assert [caption.start for caption in captions][-1] == "01:00:00.000"
    assert captions[0].voice == "Ada &lt;L.&gt;"
    assert [caption.text for caption in captions][1:3] == [
        "1 --&gt; 2 &amp; &lt;b&gt;",
        "overlapped",
    ]
    assert made[2].splitlines()[0] == "Ada <L.>: first line"


def test_who_speaks_is_said_before_what(browser: Browser, server: str) -> None:
    with Client(server) as client:
        client.put_speaker("ada")
        client.enroll("ada", [sample_voices().first, sample_voices().second])
        found = client.transcribe(sample_recording(), speakers=True, words=True)
    with browsing(browser, server) as page:
        page.set_input_files("#listen-file", sample_recording())
        page.get_by_label("Say who speaks").check()
        press(page, "Read")
        lines = page.locator("#listen-text li")
        expect(lines).to_have_count(len(found.segments))
        assert [line.split(" ", 1)[1] for line in lines.all_inner_texts()] == [
            f"{segment.speaker}: {segment.text}" for segment in found.segments
        ]
        assert kept(page, "SRT")[1].count(f"{found.segments[0].speaker}: ") >= 1
        captions = webvtt.from_string(kept(page, "VTT")[1]).captions
        assert [caption.voice for caption in captions] == [
            segment.speaker for segment in found.segments
        ]
        words = page.locator("#listen-text .word")
        expect(words).to_have_text([word.text for word in found.words])
        words.nth(0).click()
        expect(page.locator("#listen-text .word[aria-current]")).to_have_text(found.words[0].text)


def test_words_are_reached_with_arrows(browser: Browser, server: str, read: Transcript) -> None:
    with browsing(browser, server) as page:
        page.set_input_files("#listen-file", sample_recording())
        press(page, "Read")
        words = page.locator("#listen-text .word")
        words.nth(0).focus()
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
            page.keyboard.press(key)
        expect(words.nth(0)).to_be_focused()
        page.keyboard.press("ArrowRight")
        expect(words.nth(1)).to_be_focused()
        expect(page.locator("#listen-text .word[tabindex='0']")).to_have_count(1)
        page.keyboard.press("Enter")
        played = page.locator("#listen-audio").evaluate("a => a.currentTime")
        assert played == pytest.approx(read.words[1].start_s, abs=0.5)
        assert played > 0


def test_what_is_said_into_the_microphone_is_read(browser: Browser, server: str) -> None:
    with browsing(browser, server, permissions=["microphone"]) as page:
        press(page, "Record it")
        expect(page.locator("#listen-told")).to_have_text("Recording: speak.")
        page.wait_for_timeout(8000)
        press(page, "Stop")
        expect(page.locator("#listen-told")).to_contain_text("Recorded.")
        press(page, "Read")
        expect(page.locator("#listen-told")).to_contain_text("word(s) in")
        assert {"forward", "ten", "meters"} & set(page.locator(".word").all_inner_texts())
        assert 6 < page.locator("#listen-audio").evaluate("a => a.duration") < 10
        assert kept(page, "text")[0] == "recorded.txt"


def test_a_recording_is_dropped(browser: Browser, server: str) -> None:
    with browsing(browser, server) as page:
        content = base64.b64encode(sample_recording().read_bytes()).decode()
        carried = page.evaluate_handle(DROP, [content, "dropped.flac"])
        page.locator("#listen").dispatch_event("dragover", {"dataTransfer": carried})
        expect(page.locator("#listen")).to_have_class("stack script over")
        page.locator("#listen").dispatch_event("drop", {"dataTransfer": carried})
        expect(page.locator("#listen")).to_have_class("stack script")
        expect(page.locator("#listen-told")).to_contain_text("dropped.flac is here.")
        press(page, "Find speech")
        expect(page.locator("#listen-told")).to_have_text("2 segment(s), 4.31 s of speech.")


def test_speech_is_found_and_why_it_is_not_is_said(
    browser: Browser, server: str, tmp_path: Path
) -> None:
    with browsing(browser, server, errors=True) as page:
        told = page.locator("#listen-told")
        for name in ("Read", "Find speech"):
            press(page, name)
            expect(told).to_have_text("Choose a recording, drop one here, or record one.")
        page.set_input_files("#listen-file", sample_recording())
        press(page, "Find speech")
        expect(told).to_have_text("2 segment(s), 4.31 s of speech.")
        expect(page.locator("#listen-regions li")).to_have_text(
            ["0.48 to 2.21 s", "4.13 to 6.72 s"]
        )
        expect(page.locator("#listen-files")).to_be_hidden()

        rubbish = tmp_path / "rubbish.wav"
        rubbish.write_bytes(b"no sound" * 99)
        for name in ("Find speech", "Read"):
            page.set_input_files("#listen-file", rubbish)
            press(page, name)
            expect(told).to_contain_text("the recording cannot be read as audio")
            expect(page.locator("#listen-result")).to_be_hidden()
        silence = write_wav(tmp_path / "silence.wav", read_audio(sample_recording())[:16_000] * 0)
        page.set_input_files("#listen-file", silence)
        press(page, "Find speech")
        expect(told).to_have_text("Nobody speaks in it.")
        press(page, "Read")
        expect(told).to_have_text("No words were heard in it.")
        expect(page.locator("#listen-files")).to_be_hidden()


def test_a_model_that_was_unloaded_says_so(
    browser: Browser, server: str, services: Services
) -> None:
    with browsing(browser, server, errors=True) as page:
        page.set_input_files("#listen-file", sample_recording())
        services.supervisor.unload(STT_MODEL)
        try:
            press(page, "Read")
            expect(page.locator("#listen-told")).to_contain_text(f"{STT_MODEL} cannot answer")
        finally:
            services.supervisor.load(STT_MODEL)
        assert services.supervisor.wait_ready(60)
        press(page, "Read")
        expect(page.locator("#listen-told")).to_contain_text("word(s) in")


def test_only_what_the_models_can_do_is_offered(
    browser: Browser, server: str, tmp_path: Path
) -> None:
    with browsing(browser, server) as page:
        expect(page.locator("#listen-language option")).to_have_text(["found out", "English"])
        page.get_by_label("Language").select_option("en")
        page.get_by_label("Language").focus()
        page.wait_for_timeout(300)  # the models are asked again, and what was chosen stays
        expect(page.get_by_label("Language")).to_have_value("en")
    env = {"HOLDFAST_HOME": str(tmp_path), "HOME": str(tmp_path)}
    silent = ServiceSettings(
        documents_processes=0,
        data=tmp_path,
        speech_transcription_model="none",
        speech_synthesis_model="none",
    )
    bare = configured_services(Settings.from_env(env), silent, env, only=(VAD_MODEL,))
    with (
        running_server(bare, ServerSettings(port=0)) as running,
        browsing(browser, running.url) as page,
    ):
        assert bare.supervisor.wait_ready(60)
        expect(page.locator("#say-told")).to_have_text("No model here speaks.")
        expect(page.get_by_role("button", name="Speak", exact=True)).to_be_disabled()
        expect(page.get_by_role("button", name="Read", exact=True)).to_be_disabled()
        page.set_input_files("#listen-file", sample_recording())
        press(page, "Find speech")
        expect(page.locator("#listen-told")).to_have_text("2 segment(s), 4.31 s of speech.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_panel_is_accessible_and_fits_narrow_screens(
    browser: Browser, server: str, scheme: Any
) -> None:
    narrow = {"width": 320, "height": 800}
    with browsing(browser, server, color_scheme=scheme, viewport=narrow) as page:
        page.set_input_files("#listen-file", sample_recording())
        press(page, "Read")
        page.locator(".word").nth(2).click()
        expect(page.locator(".word[aria-current]")).to_have_count(1)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


# -- type and listen


@pytest.mark.parametrize("form", ["wav", "mp3"])
def test_a_text_is_typed_and_heard(
    browser: Browser, server: str, form: str, tmp_path: Path
) -> None:
    with browsing(browser, server) as page:
        page.get_by_label("A text").fill("Seven boats were painted blue.")
        page.get_by_label("File").select_option(form)
        page.get_by_label("A text").press("Tab")
        press(page, "Speak")
        expect(page.locator("#say-told")).to_contain_text("Made in")
        audio = page.locator("#say-audio")
        # It plays by itself, and knows how long it is.
        until(lambda: bool(audio.evaluate("a => a.currentTime > 0.2")))
        shown_s = audio.evaluate("a => a.duration")
        with page.expect_download() as download:
            page.get_by_role("link", name="Keep the file").click()
        assert download.value.suggested_filename == f"speech.{form}"
        assert Axe().run(page).violations_count == 0
        file = tmp_path / f"speech.{form}"
        download.value.save_as(file)
        assert len(read_audio(file)) / 16_000 == pytest.approx(shown_s, abs=0.1)
        assert 1 < shown_s < 5

        # What was said is found, and read.
        page.set_input_files("#listen-file", file)
        press(page, "Read")
        expect(page.locator("#listen-told")).to_contain_text("word(s) in")
        assert page.locator("#listen-regions li").count() >= 1


def test_the_voice_and_the_speed_are_what_was_chosen(browser: Browser, server: str) -> None:
    with Client(server) as client:
        (model,) = [each for each in client.models() if each.id == TTS_MODEL]
    voices = [voice["id"] for voice in model.raw["about"]["voices"]]
    assert len(voices) > 1
    with browsing(browser, server) as page:
        options, audio = page.locator("#say-voice"), page.locator("#say-audio")
        expect(options.locator("option")).to_have_count(1 + len(voices))  # once the page was told
        offered = options.locator("option").evaluate_all("all => all.map((each) => each.value)")
        assert offered == ["default", *voices]
        page.get_by_label("A text").fill("The library opens at nine.")
        lengths: dict[str, float] = {}
        asked: list[Any] = []
        page.on("request", lambda sent: asked.append(sent.post_data_json)
                if sent.url.endswith("/v1/audio/speech") else None)  # fmt: skip
        for speed in ("1", "2"):
            options.select_option(voices[1])
            page.get_by_label("Speed").fill(speed)
            press(page, "Speak")
            expect(page.locator("#say-told")).to_contain_text("Made in")
            until(lambda: bool(audio.evaluate("a => a.currentTime > 0")))
            lengths[speed] = audio.evaluate("a => a.duration")
    assert [(each["voice"], each["speed"]) for each in asked] == [(voices[1], 1), (voices[1], 2)]
    assert 0.35 < lengths["2"] / lengths["1"] < 0.75


def test_why_a_text_is_not_spoken_is_said(
    browser: Browser, server: str, services: Services
) -> None:
    with browsing(browser, server, errors=True) as page:
        told, text = page.locator("#say-told"), page.get_by_label("A text")
        press(page, "Speak")
        expect(told).to_have_text("Type what is to be said.")
        text.fill("word " * 1000)
        press(page, "Speak")
        expect(told).to_contain_text("the text is too long: at most 4096 characters: it has 5000")
        text.fill("Hello.")
        page.get_by_label("Speed").fill("9")
        press(page, "Speak")  # the browser itself says what is wrong with it
        assert page.locator("#say-speed").evaluate("e => !e.validity.valid")
        page.get_by_label("Speed").fill("1")
        services.supervisor.unload(TTS_MODEL)
        try:
            press(page, "Speak")
            expect(told).to_contain_text(f"{TTS_MODEL} cannot answer")
            expect(page.locator("#say-result")).to_be_hidden()
        finally:
            services.supervisor.load(TTS_MODEL)
        assert services.supervisor.wait_ready(60)
        press(page, "Speak")
        expect(told).to_contain_text("Made in")


def test_a_service_that_is_gone_is_said(browser: Browser, tmp_path: Path) -> None:
    env = {"HOLDFAST_HOME": str(tmp_path), "HOME": str(tmp_path)}
    service = ServiceSettings(documents_processes=0, data=tmp_path)
    found = configured_services(Settings.from_env(env), service, env, only=MODELS)
    context = browser.new_context()
    page = context.new_page()
    with running_server(found, ServerSettings(port=0)) as running:
        assert found.supervisor.wait_ready(120)
        page.goto(running.url)
        page.get_by_label("A text").fill("Hello.")
        page.set_input_files("#listen-file", sample_recording())
        expect(page.get_by_role("button", name="Speak", exact=True)).to_be_enabled()
    press(page, "Speak")
    expect(page.locator("#say-told")).to_have_text("The service does not answer.")
    press(page, "Read")
    expect(page.locator("#listen-told")).to_contain_text("The service does not answer")
    context.close()
