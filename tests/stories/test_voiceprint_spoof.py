"""Anti-spoofing: a detector from a hub, mounted, and what it does to every decision."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from holdfast.client import Client
from holdfast.config import ServiceSettings, Settings
from holdfast.errors import ConfigInvalid
from holdfast.media import read_audio
from holdfast.mirror import Repositories, running_hub
from holdfast.runtime import EngineAnswerInvalid, EngineUnusable
from holdfast.server import ServerSettings, running_server
from holdfast.voiceprint.engines.spoof_graph import load_spoof_graph
from holdfast.wiring import SPOOF_MODEL, Services, configured_services
from tests.stories.test_apps import bare, holdfast
from tests.support.browser import browsing, chromium
from tests.support.detectors import AASIST_SAMPLES, played_back, roughness, write_graph
from tests.support.voices import SENTENCES, mixed, speak

HIM, HER = "flite:rms", "flite:slt"
REPO = "acme/replay-detector"
SCREENSHOTS = os.environ.get("SCREENSHOTS", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("voices")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("hub")
    write_graph(root / REPO / "model.onnx")
    (root / REPO / "README.md").write_text("---\nlicense: mit\n---\n")
    (root / REPO / "training_args.bin").write_bytes(b"a pickle that nobody wants")
    write_graph(root / "acme/broken-detector/model.onnx", broken=True)
    with running_hub(Repositories(root)) as running:
        yield running.url


def services_in(place: Path, hub: str, repo: str = REPO, **more: Any) -> Services:
    env = {
        "HOLDFAST_HOME": str(place / "models"),
        "HOME": str(place),
        "HF_ENDPOINT": hub,
        "HF_HUB_DISABLE_XET": "1",
    }
    service = ServiceSettings(
        documents_processes=0,
        data=place / "data",
        voiceprint_spoof_model=repo,
        voiceprint_spoof_bona_fide=more.pop("bona_fide", "1"),
        **more,
    )
    return configured_services(Settings.from_env(env), service, env)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def server(place: Path, hub: str) -> Iterator[str]:
    services = services_in(place, hub)
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(60), services.supervisor.statuses()
        yield running.url


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[Client]:
    with Client(server) as client:
        yield client


@pytest.fixture(scope="module")
def him(client: Client, folder: Path) -> str:
    client.put_speaker("him", display_name="Mr. M.")
    files = [speak(folder, HIM, text) for text in SENTENCES[:3]]
    done = client.enroll("him", files)
    assert done.accepted == 3, done
    return "him"


def test_a_detector_travels_as_any_model_does_and_is_listed(server: str, place: Path) -> None:
    with urllib3.PoolManager() as pool:
        models = pool.request("GET", f"{server}/models").json()["models"]
        listed = {each["id"]: each for each in models}
    model = listed[SPOOF_MODEL]
    assert (model["state"], model["task"]) == ("ready", "spoofing-detection")
    assert model["repository"] == REPO
    assert [*(place / "models").rglob("model.onnx")]
    assert not [*(place / "models").rglob("training_args.bin")]


def test_a_persons_own_voice_is_accepted_and_says_how_sure_the_detector_is(
    client: Client, folder: Path, him: str
) -> None:
    found = client.verify(speak(folder, HIM, SENTENCES[4]), him)
    assert found.decision == "accept", found.raw
    assert found.spoof.decision == "bona_fide"
    assert found.spoof.score is not None
    assert found.spoof.score > 0
    assert found.spoof.threshold == 0
    assert len(found.spoof.model or "") == 16


def test_a_replay_of_the_right_voice_is_rejected_whatever_it_scores(
    client: Client, folder: Path, him: str
) -> None:
    replay = played_back(speak(folder, HIM, SENTENCES[4]))
    found = client.verify(replay, him)
    assert found.decision == "reject"
    assert found.spoof.decision == "spoof"
    assert found.reasons[0].code == "spoof"
    assert f"{found.spoof.score:.2f}" in found.reasons[0].message
    assert found.score is not None  # it is shown, and does not count

    named = client.identify(replay)
    assert named.candidates == []
    assert named.reasons[0].code == "spoof"
    found_again = client.identify(speak(folder, HIM, SENTENCES[4])).candidates
    assert [each.speaker_id for each in found_again] == [him]
    # Whichever of two recordings is the replay, and both.
    own = speak(folder, HIM, SENTENCES[3])
    for pair in ((own, replay), (replay, own), (replay, replay)):
        both = client.compare(*pair)
        assert both.decision == "reject"
        assert both.spoof.decision == "spoof"
    assert client.compare(own, speak(folder, HIM, SENTENCES[4])).decision == "accept"


def test_a_replay_is_not_enrolled(client: Client, folder: Path) -> None:
    client.put_speaker("replayed")
    own = speak(folder, HIM, SENTENCES[0])
    done = client.enroll("replayed", [own, played_back(own)])
    assert done.accepted == 1
    assert [each.code for each in done.reasons[1]] == ["spoof"]
    client.erase_speaker("replayed")


def test_a_detector_alone_is_asked_over_http(client: Client, folder: Path) -> None:
    own = speak(folder, HIM, SENTENCES[5])
    assert client.detect_spoof(own).decision == "bona_fide"
    assert client.detect_spoof(played_back(own)).decision == "spoof"
    long = mixed(folder, *[speak(folder, HIM, text) for text in SENTENCES])
    assert len(read_audio(long)) > 5 * AASIST_SAMPLES
    assert client.detect_spoof(long).decision == "bona_fide"
    assert client.detect_spoof(played_back(long)).decision == "spoof"


def test_the_audit_log_tells_what_the_detector_said(place: Path, client: Client, him: str) -> None:
    del client, him
    done = holdfast(
        "voiceprint",
        "speakers",
        "--audit",
        env=bare(place) | {"HOLDFAST_DATA": str(place / "data")},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"spoof", "bona_fide"} <= {line.get("spoof") for line in lines}


def test_a_detector_that_breaks_lets_nobody_in(tmp_path: Path, hub: str, folder: Path) -> None:
    services = services_in(tmp_path, hub, "acme/broken-detector")
    own = speak(folder, HIM, SENTENCES[0])
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(60)
        with urllib3.PoolManager(timeout=60, retries=False) as pool:
            one = ("file", (own.name, own.read_bytes()))
            url = f"{running.url}/v1/voiceprint"
            for route, files in (("verify", [one, one]), ("identify", [one]), ("spoof", [one])):
                answer = pool.request("POST", f"{url}/{route}", fields=files)
                assert answer.status == 500, (route, answer.json())
                assert answer.json()["error"]["code"] == "engine-answer-invalid"


def test_a_detector_that_is_missing_is_said_and_lets_nobody_in(
    tmp_path: Path, hub: str, folder: Path
) -> None:
    services = services_in(tmp_path, hub, "acme/nowhere")
    own = speak(folder, HIM, SENTENCES[0])
    with running_server(services, ServerSettings(port=0)) as running:
        assert not services.supervisor.wait_ready(8)
        with urllib3.PoolManager(timeout=60, retries=False) as pool:
            one = ("file", (own.name, own.read_bytes()))
            for route, files in (("verify", [one, one]), ("identify", [one]), ("spoof", [one])):
                answer = pool.request("POST", f"{running.url}/v1/voiceprint/{route}", fields=files)
                assert answer.status == 503, (route, answer.json())
                assert SPOOF_MODEL in answer.data.decode()
            # What has nothing to do with it goes on.
            answer = pool.request("POST", f"{running.url}/v1/voiceprint/embeddings", fields=[one])
            assert answer.status == 200


def test_the_commands_ask_the_detector(tmp_path: Path, hub: str, folder: Path) -> None:
    env = bare(tmp_path) | {
        "HF_ENDPOINT": hub,
        "HOLDFAST_VOICEPRINT_SPOOF_MODEL": REPO,
        "HOLDFAST_VOICEPRINT_SPOOF_BONA_FIDE": "1",
    }
    own = speak(folder, HIM, SENTENCES[2])
    done = holdfast("voiceprint", "spoof", own, env=env)
    assert (done.returncode, done.stdout) == (0, "bona_fide\n"), done.stderr
    assert "log-odds +" in done.stderr
    played = holdfast("voiceprint", "spoof", played_back(own), "--json", env=env)
    assert played.returncode == 1
    assert json.loads(played.stdout)["decision"] == "spoof"
    both = holdfast("voiceprint", "compare", own, played_back(own), env=env)
    assert (both.returncode, both.stdout) == (1, "reject\n")
    assert "spoof: it is taken for synthetic" in both.stderr
    # A stricter threshold takes everything for an attack.
    strict = env | {"HOLDFAST_VOICEPRINT_SPOOF_THRESHOLD": "900"}
    assert holdfast("voiceprint", "spoof", own, env=strict).stdout == "spoof\n"
    without = env | {"HOLDFAST_VOICEPRINT_SPOOF_MODEL": "none"}
    done = holdfast("voiceprint", "spoof", own, env=without)
    assert (done.returncode, done.stdout) == (1, "not_evaluated\n")
    assert "no detector is mounted" in done.stderr


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"voiceprint_spoof_model": REPO}, "HOLDFAST_VOICEPRINT_SPOOF_BONA_FIDE"),
        ({"voiceprint_spoof_bona_fide": "1"}, "HOLDFAST_VOICEPRINT_SPOOF_MODEL"),
    ],
)
def test_half_a_choice_is_refused(tmp_path: Path, settings: dict[str, str], hint: str) -> None:
    env = {"HOLDFAST_HOME": str(tmp_path)}
    with pytest.raises(ConfigInvalid) as refused:
        configured_services(
            Settings.from_env(env), ServiceSettings(documents_processes=0, **settings), env
        )
    assert hint in refused.value.hint


def test_profiles_with_real_models_mount_a_detector_unless_told_not_to(tmp_path: Path) -> None:
    env = {"HOLDFAST_HOME": str(tmp_path)}
    settings = Settings.from_env(env)

    def listed(**chosen: Any) -> dict[str, Any]:
        services = configured_services(
            settings, ServiceSettings(documents_processes=0, **chosen), env
        )
        return {each.id: each for each in services.supervisor.statuses()}

    model = listed(profile="standard")[SPOOF_MODEL]
    assert model.repository == "Gustking/wav2vec2-large-xlsr-deepfake-audio-classification"
    assert model.licence == "Apache-2.0"
    assert SPOOF_MODEL in listed(profile="gpu")
    assert SPOOF_MODEL not in listed(profile="standard", voiceprint_spoof_model="none")
    assert SPOOF_MODEL not in listed()


# -- the engine, by itself


@pytest.mark.parametrize("samples", [AASIST_SAMPLES, "samples"])
def test_a_recording_of_any_length_is_scored_as_its_windows_are(
    tmp_path: Path, folder: Path, samples: int | str
) -> None:
    engine = load_spoof_graph(write_graph(tmp_path / "m.onnx", samples=samples), "cpu", "1")
    long = read_audio(mixed(folder, *[speak(folder, HER, text) for text in SENTENCES]))
    for seconds in (1.0, 4.0, 4.0375, 9.0, 20.0):
        clip = long[: int(seconds * 16_000)]
        if samples == AASIST_SAMPLES and len(clip) <= AASIST_SAMPLES:
            expected = [roughness(np.resize(clip, AASIST_SAMPLES))]
        elif samples == AASIST_SAMPLES:
            starts = [*range(0, len(clip) - AASIST_SAMPLES, AASIST_SAMPLES)]
            starts.append(len(clip) - AASIST_SAMPLES)
            expected = [roughness(clip[at : at + AASIST_SAMPLES]) for at in starts]
        else:
            expected = [roughness(clip)] if seconds <= 5 else []
        (score,) = engine.scores([clip])
        if expected:
            assert score == pytest.approx((np.mean(expected) - 0.12) * 400, abs=0.05)
    assert engine.scores([]) == []


def test_the_other_output_is_the_other_way_round(tmp_path: Path, folder: Path) -> None:
    path = write_graph(tmp_path / "m.onnx", hidden=False)
    clip = read_audio(speak(folder, HER, SENTENCES[0]))
    (one,), (other,) = (load_spoof_graph(path, "cpu", name).scores([clip]) for name in ("1", "0"))
    assert one == pytest.approx(-other)
    (tmp_path / "config.json").write_text('{"id2label": {"0": "fake", "1": "real"}}')
    assert load_spoof_graph(path, "cpu", "real").scores([clip]) == [pytest.approx(one)]
    with pytest.raises(EngineUnusable, match="fake, real") as refused:
        load_spoof_graph(path, "cpu", "bonafide")
    assert "HOLDFAST_VOICEPRINT_SPOOF_BONA_FIDE=" in refused.value.hint
    with pytest.raises(EngineUnusable):
        load_spoof_graph(path, "cpu", "1")  # it has names: numbers are not guessed


def test_a_score_that_is_no_number_is_an_error(tmp_path: Path, folder: Path) -> None:
    engine = load_spoof_graph(write_graph(tmp_path / "m.onnx", broken=True), "cpu", "1")
    with pytest.raises(EngineAnswerInvalid):
        engine.scores([read_audio(speak(folder, HER, SENTENCES[0]))])


def test_what_is_no_detector_is_refused(tmp_path: Path) -> None:
    from holdfast.voiceprint import detector_loader

    load = detector_loader("1")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EngineUnusable, match="nothing"):
        load(tmp_path / "empty", "cpu")
    write_graph(tmp_path / "two/a.onnx")
    write_graph(tmp_path / "two/b.onnx")
    with pytest.raises(EngineUnusable, match=r"a\.onnx, b\.onnx"):
        load(tmp_path / "two", "cpu")
    (tmp_path / "rubbish").mkdir()
    (tmp_path / "rubbish/model.onnx").write_bytes(b"rubbish")
    with pytest.raises(EngineUnusable, match="cannot be loaded"):
        load(tmp_path / "rubbish", "cpu")
    detector = load(write_graph(tmp_path / "good/model.onnx").parent, "cpu")
    assert dataclasses.is_dataclass(detector) is False
    detector.close()


def test_the_page_says_what_the_detector_made_of_a_voice(
    server: str, client: Client, folder: Path, him: str
) -> None:
    own = speak(folder, HIM, SENTENCES[4])
    with chromium() as browser, browsing(browser, server) as page:
        told, spoofing = page.locator("#voice-told"), page.locator("#voice-spoof")
        page.get_by_label("Speaker").fill(him)
        page.set_input_files("#voice-files", own)
        page.get_by_role("button", name="Verify").click()
        expect(told).to_have_text("Accepted.")
        expect(spoofing).to_contain_text("Spoofing: none found (log-odds ")
        page.set_input_files("#voice-files", played_back(own))
        page.get_by_role("button", name="Verify").click()
        expect(told).to_have_text("Rejected.")
        expect(spoofing).to_contain_text("Spoofing: synthetic, converted or replayed")
        expect(page.locator("#voice-reasons li")).to_contain_text(["spoof: it is taken for"])
        assert Axe().run(page).violations_count == 0
        page.get_by_role("button", name="Is it a person's own speech?").click()
        expect(told).to_have_text("Taken for a spoof.")
        if SCREENSHOTS:
            page.get_by_role("button", name="Verify").click()
            expect(told).to_have_text("Rejected.")
            page.locator("#voice").scroll_into_view_if_needed()
            page.screenshot(path=f"{SCREENSHOTS}/voice.png", full_page=True)


def test_what_was_decided_is_counted(server: str, client: Client, folder: Path, him: str) -> None:
    def counted() -> dict[str, float]:
        with urllib3.PoolManager() as pool:
            lines = pool.request("GET", f"{server}/metrics").data.decode().splitlines()
        start = "holdfast_voiceprint_decisions_total"
        return {
            line.split()[0].removeprefix(start): float(line.split()[1])
            for line in lines
            if line.startswith(start)
        }

    before = counted()
    own = speak(folder, HIM, SENTENCES[4])
    client.verify(own, him)
    client.detect_spoof(played_back(own))
    client.identify(own)
    after = counted()
    for labels in (
        '{outcome="accept",question="verify"}',
        '{outcome="spoof",question="spoof"}',
        '{outcome="found",question="identify"}',
    ):
        assert after[labels] == before.get(labels, 0) + 1
