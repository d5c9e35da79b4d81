"""Voiceprints over HTTP, with real voices and the real starter model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3

from holdfast.config import Secret, ServiceSettings, Settings
from holdfast.server import ServerSettings, running_server
from holdfast.voiceprint.gallery import Profile, Utterance, new_key
from holdfast.wiring import Services, configured_services
from tests.support.voices import SENTENCES, mixed, noisy, speak, telephone, write_wav

HER, HIM, THIRD = "flite:slt", "flite:rms", "espeak:Storm"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("voices")


def services_in(place: Path, **settings: Any) -> Services:
    env = {"HOLDFAST_HOME": str(place / "models"), "HOME": str(place)}
    service = ServiceSettings(documents_processes=0, data=place / "data", **settings)
    return configured_services(Settings.from_env(env), service, env)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[str]:
    services = services_in(place)
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(60)
        yield f"{running.url}/v1/voiceprint"


@pytest.fixture
def client() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(timeout=60, retries=False) as pool:
        yield pool


def send(
    client: urllib3.PoolManager, url: str, files: Sequence[Path] = (), **fields: str
) -> tuple[int, Any]:
    parts: list[tuple[str, Any]] = [("file", (path.name, path.read_bytes())) for path in files]
    answer = client.request("POST", url, fields=[*parts, *fields.items()])
    return answer.status, answer.json()


def enrolled(
    client: urllib3.PoolManager, server: str, folder: Path, speaker: str, voice: str
) -> Any:
    created = client.request(
        "PUT", f"{server}/speakers/{speaker}", json={"display_name": f"name of {speaker}"}
    )
    assert created.status == 200
    files = [speak(folder, voice, text) for text in SENTENCES[:4]]
    status, body = send(client, f"{server}/speakers/{speaker}/enrollments", files)
    assert status == 200, body
    return body


@pytest.fixture(scope="module", autouse=True)
def everybody(server: str, folder: Path) -> None:
    with urllib3.PoolManager(timeout=60, retries=False) as client:
        for speaker, voice in (("her", HER), ("him", HIM), ("third", THIRD)):
            body = enrolled(client, server, folder, speaker, voice)
            assert body["accepted"] == 4, body
            assert body["speech_s"] > 12
            assert body["needed_s"] == pytest.approx(max(20 - body["speech_s"], 0), abs=0.02)


@pytest.mark.parametrize(("speaker", "voice"), [("her", HER), ("him", HIM), ("third", THIRD)])
def test_the_same_voice_is_accepted_and_others_are_not(
    server: str, client: urllib3.PoolManager, folder: Path, speaker: str, voice: str
) -> None:
    own = speak(folder, voice, SENTENCES[4])
    status, found = send(client, f"{server}/verify", [own], speaker_id=speaker)
    assert status == 200
    assert found["decision"] == "accept", found
    assert found["score"] >= found["threshold"]
    assert found["llr"] > 0
    assert found["operating_point"]["false_accept_rate"] <= 0.01
    assert "synthetic" in found["operating_point"]["data"]
    assert found["spoof"]["decision"] == "not_evaluated"
    assert found["spoof"]["reason"] == "no detector is mounted"
    assert (len(found["model"]), len(found["revision"])) == (16, 40)
    for other in {"her", "him", "third"} - {speaker}:
        _, found = send(client, f"{server}/verify", [own], speaker_id=other)
        assert found["decision"] == "reject", found
        assert found["llr"] < 0


def test_neither_another_voice_nor_the_same_recording_is_enrolled(
    server: str, client: urllib3.PoolManager, folder: Path
) -> None:
    """Neither with what is enrolled, nor in one request with each other."""
    client.request("PUT", f"{server}/speakers/mixed", json={}).close()
    own, more, strange = (
        speak(folder, voice, SENTENCES[number]) for voice, number in ((HER, 0), (HER, 1), (HIM, 2))
    )
    url = f"{server}/speakers/mixed/enrollments"
    _, body = send(client, url, [own, strange, own])
    assert body["accepted"] == 1
    codes = [[why["code"] for why in each["reasons"]] for each in body["utterances"]]
    assert codes == [[], ["another-voice"], ["same-recording"]]
    _, body = send(client, url, [strange, more, own])
    codes = [[why["code"] for why in each["reasons"]] for each in body["utterances"]]
    assert codes == [["another-voice"], [], ["same-recording"]]
    assert client.request("DELETE", f"{server}/speakers/mixed").status == 204


def test_noise_and_telephones_are_borne(
    server: str, client: urllib3.PoolManager, folder: Path
) -> None:
    own = speak(folder, HER, SENTENCES[4])
    clean = send(client, f"{server}/verify", [own], speaker_id="her")[1]
    for harmed in (noisy(own, 15), telephone(own)):
        found = send(client, f"{server}/verify", [harmed], speaker_id="her")[1]
        assert found["decision"] in {"accept", "inconclusive"}, found
        assert found["score"] < clean["score"]
        other = send(client, f"{server}/verify", [harmed], speaker_id="him")[1]
        assert other["decision"] == "reject", other
    drowned = send(client, f"{server}/verify", [noisy(own, -3)], speaker_id="her")[1]
    assert drowned["decision"] == "inconclusive"
    assert {each["code"] for each in drowned["reasons"]} & {
        "too-noisy", "no-speech", "too-little-speech",
    }  # fmt: skip


def test_two_voices_in_one_recording_are_noticed(
    server: str, client: urllib3.PoolManager, folder: Path
) -> None:
    hers = [speak(folder, HER, text) for text in SENTENCES[:3]]
    his = [speak(folder, HIM, text) for text in SENTENCES[:3]]
    both = send(client, f"{server}/verify", [mixed(folder, *hers, *his)], speaker_id="her")[1]
    assert both["decision"] == "inconclusive", both
    assert "several-voices" in {each["code"] for each in both["reasons"]}
    alone = send(client, f"{server}/verify", [mixed(folder, *hers)], speaker_id="her")[1]
    assert alone["decision"] == "accept", alone
    refused = send(client, f"{server}/speakers/her/enrollments", [mixed(folder, *hers, *his)])[1]
    assert refused["accepted"] == 0
    assert refused["utterances"][0]["reasons"][0]["code"] == "several-voices"


def test_silence_and_scraps_are_inconclusive_and_rubbish_is_refused(
    server: str, client: urllib3.PoolManager, folder: Path
) -> None:
    silence = write_wav(folder / "silence.wav", np.zeros(48_000, np.float32))
    found = send(client, f"{server}/verify", [silence], speaker_id="her")[1]
    assert (found["decision"], found["score"]) == ("inconclusive", None)
    assert found["reasons"][0]["code"] == "no-speech"
    scrap = speak(folder, HER, "Yes, well.")
    found = send(client, f"{server}/verify", [scrap], speaker_id="her")[1]
    assert found["decision"] == "inconclusive"
    assert found["reasons"][0]["code"] == "too-little-speech"
    for name, content, status in (("r.wav", b"no sound" * 99, 415), ("e.wav", b"", 422)):
        (folder / name).write_bytes(content)
        assert send(client, f"{server}/verify", [folder / name], speaker_id="her")[0] in {
            status, 415, 422,
        }  # fmt: skip


def test_who_it_is_is_said_and_a_stranger_is_nobody(
    server: str, client: urllib3.PoolManager, folder: Path
) -> None:
    status, found = send(client, f"{server}/identify", [speak(folder, HIM, SENTENCES[5])])
    assert status == 200
    assert found["candidates"][0]["speaker_id"] == "him"
    assert found["candidates"][0]["display_name"] == "name of him"
    stranger = speak(folder, "festival:ked_diphone", SENTENCES[5])
    found = send(client, f"{server}/identify", [stranger], top_k="3")[1]
    assert found["candidates"] == []
    for wrong in ("0", "x", "1000"):
        assert send(client, f"{server}/identify", [stranger], top_k=wrong)[0] == 422


def test_two_recordings_are_compared_without_anybody_enrolled(
    server: str, client: urllib3.PoolManager, folder: Path
) -> None:
    first, second = speak(folder, HER, SENTENCES[0]), speak(folder, HER, SENTENCES[5])
    assert send(client, f"{server}/verify", [first, second])[1]["decision"] == "accept"
    other = speak(folder, HIM, SENTENCES[5])
    assert send(client, f"{server}/verify", [first, other])[1]["decision"] == "reject"
    assert send(client, f"{server}/verify", [first])[0] == 422
    assert send(client, f"{server}/verify", [first, other], speaker_id="her")[0] == 422


def test_an_embedding_is_the_vector_of_the_loaded_model(
    server: str, client: urllib3.PoolManager, folder: Path
) -> None:
    status, found = send(client, f"{server}/embeddings", [speak(folder, HER, SENTENCES[0])])
    assert status == 200
    assert len(found["embedding"]) > 64
    assert found["quality"]["speech_s"] > 2
    assert len(found["model"]) == 16


def test_a_speaker_is_listed_shown_and_erased(
    server: str, client: urllib3.PoolManager, folder: Path
) -> None:
    enrolled(client, server, folder, "gone", "espeak:travis")
    listed = client.request("GET", f"{server}/speakers").json()["speakers"]
    assert {each["id"] for each in listed} >= {"her", "him", "gone"}
    shown = client.request("GET", f"{server}/speakers/gone").json()
    assert len(shown["utterances"]) == 4
    assert "vector" not in shown["utterances"][0]
    own = speak(folder, "espeak:travis", SENTENCES[4])
    assert send(client, f"{server}/identify", [own])[1]["candidates"][0]["speaker_id"] == "gone"
    assert client.request("DELETE", f"{server}/speakers/gone").status == 204
    assert client.request("DELETE", f"{server}/speakers/gone").status == 404
    assert send(client, f"{server}/verify", [own], speaker_id="gone")[0] == 404
    candidates = send(client, f"{server}/identify", [own])[1]["candidates"]
    assert "gone" not in {each["speaker_id"] for each in candidates}


def test_nobody_to_compare_with_is_not_a_rejection(
    server: str, client: urllib3.PoolManager, folder: Path
) -> None:
    client.request("PUT", f"{server}/speakers/empty", json={})
    own = speak(folder, HER, SENTENCES[4])
    found = send(client, f"{server}/verify", [own], speaker_id="empty")[1]
    assert (found["decision"], found["score"]) == ("not_enrolled", None)
    assert found["reasons"][0]["code"] == "not-enrolled"
    assert send(client, f"{server}/verify", [own], speaker_id="who")[1]["error"]["code"] == (
        "unknown-speaker"
    )


def test_enrolment_survives_a_restart_and_another_key_opens_nothing(
    tmp_path: Path, client: urllib3.PoolManager, folder: Path
) -> None:
    own = speak(folder, HER, SENTENCES[4])
    first = services_in(tmp_path)
    with running_server(first, ServerSettings(port=0)) as running:
        assert first.supervisor.wait_ready(60)
        enrolled(client, f"{running.url}/v1/voiceprint", folder, "her", HER)
    again = services_in(tmp_path)
    with running_server(again, ServerSettings(port=0)) as running:
        assert again.supervisor.wait_ready(60)
        found = send(client, f"{running.url}/v1/voiceprint/verify", [own], speaker_id="her")[1]
        assert found["decision"] == "accept"
    wrong = services_in(tmp_path, voiceprint_key=Secret(new_key()))
    with running_server(wrong, ServerSettings(port=0)) as running:
        assert wrong.supervisor.wait_ready(60)
        status, body = send(client, f"{running.url}/v1/voiceprint/verify", [own], speaker_id="her")
        assert (status, body["error"]["code"]) == (503, "vault-key-wrong")
        status, _ = send(client, f"{running.url}/v1/voiceprint/embeddings", [own])
        assert status == 200  # what needs no template goes on
    (tmp_path / "data/voiceprint/voiceprint.key").unlink()
    lost = services_in(tmp_path)
    with running_server(lost, ServerSettings(port=0)) as running:
        listed = client.request("GET", f"{running.url}/v1/voiceprint/speakers")
        assert (listed.status, listed.json()["error"]["code"]) == (503, "vault-key-missing")


def test_another_models_template_is_never_compared(
    tmp_path: Path, client: urllib3.PoolManager, folder: Path
) -> None:
    services = services_in(tmp_path)
    gallery = services.voices.open()
    gallery.put(Profile(id="old"))
    vector = np.ones(192, np.float32)
    gallery.enrol("old", [Utterance(vector=vector, model="another-model-00", speech_s=30.0)])
    own = speak(folder, HER, SENTENCES[4])
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(60)
        url = f"{running.url}/v1/voiceprint"
        found = send(client, f"{url}/verify", [own], speaker_id="old")[1]
        assert found["decision"] == "not_enrolled"
        assert found["reasons"][0]["code"] == "other-model"
        assert send(client, f"{url}/identify", [own])[1]["candidates"] == []


def test_without_a_place_for_data_the_rest_goes_on(
    tmp_path: Path, client: urllib3.PoolManager, folder: Path
) -> None:
    services = services_in(tmp_path)
    (tmp_path / "data").write_text("in the way")
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(60)
        listed = client.request("GET", f"{running.url}/v1/voiceprint/speakers")
        assert (listed.status, listed.json()["error"]["code"]) == (503, "no-data-folder")
        assert client.request("GET", f"{running.url}/ready").status == 200


def test_ones_own_data_leaves_and_comes_back(
    server: str, client: urllib3.PoolManager, folder: Path
) -> None:
    enrolled(client, server, folder, "leaving", HER)
    exported = client.request("GET", f"{server}/speakers/leaving/export").json()
    assert len(exported["utterances"]) == 4
    refused = client.request("POST", f"{server}/speakers", json=exported)
    assert refused.status == 422
    assert "is here already" in refused.json()["error"]["message"]
    assert client.request("DELETE", f"{server}/speakers/leaving").status == 204
    taken = client.request("POST", f"{server}/speakers", json=exported)
    assert taken.status == 201
    assert taken.json()["id"] == "leaving"
    own = speak(folder, HER, SENTENCES[5])
    found = send(client, f"{server}/verify", [own], speaker_id="leaving")[1]
    assert found["decision"] == "accept"
    for rubbish in ({}, {"form": "another"}, exported | {"utterances": [{"vector": "?"}]}):
        answer = client.request("POST", f"{server}/speakers", json=rubbish)
        assert answer.status == 422, answer.data
    answer = client.request("POST", f"{server}/speakers", body=b"[1]")
    assert answer.status == 422
    assert client.request("DELETE", f"{server}/speakers/leaving").status == 204


def test_speakers_are_listed_page_by_page_and_counted(
    server: str, client: urllib3.PoolManager
) -> None:
    named = [f"page-{number}" for number in range(5)]
    for name in named:
        assert client.request("PUT", f"{server}/speakers/{name}", json={}).status == 200
    seen, after = [], "page"
    while after is not None:
        page = client.request("GET", f"{server}/speakers?after={after}&limit=2").json()
        assert len(page["speakers"]) <= 2
        seen += [each["id"] for each in page["speakers"]]
        after = page["next"]
    assert [name for name in seen if name.startswith("page-")] == named
    assert seen == sorted(seen)
    assert client.request("GET", f"{server}/speakers?limit=0").status == 422
    url = server.removesuffix("/v1/voiceprint")
    metrics = client.request("GET", f"{url}/metrics").data.decode()
    listed = client.request("GET", f"{server}/speakers").json()["speakers"]
    assert f"holdfast_voiceprint_speakers {len(listed)}.0" in metrics
    for name in named:
        assert client.request("DELETE", f"{server}/speakers/{name}").status == 204


def test_enrolled_voices_are_read_before_anybody_asks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="holdfast.wiring")
    services = services_in(tmp_path)
    vector = np.ones(192, np.float32)
    for number in range(30):
        services.voiceprint.gallery.put(Profile(id=f"s{number}"))
        one = Utterance(vector=vector, model="m" * 16, speech_s=9.0)
        services.voiceprint.gallery.enrol(f"s{number}", [one])
    services.voices.close()

    services = services_in(tmp_path)
    with running_server(services, ServerSettings(port=0)):
        for _ in range(100):
            if "30 enrolled speakers are ready" in caplog.text:
                break
            time.sleep(0.05)
    assert "30 enrolled speakers are ready" in caplog.text

    # A key that is gone is said at start, not at the first question.
    (tmp_path / "data/voiceprint/voiceprint.key").unlink()
    services = services_in(tmp_path)
    with running_server(services, ServerSettings(port=0)):
        for _ in range(100):
            if "cannot be opened" in caplog.text:
                break
            time.sleep(0.05)
    assert "the enrolled voices cannot be opened" in caplog.text


def test_a_service_without_voices_makes_no_place_for_them(tmp_path: Path) -> None:
    services = services_in(tmp_path)
    with running_server(services, ServerSettings(port=0)):
        assert services.supervisor.wait_ready(60)
    assert not (tmp_path / "data" / "voiceprint").exists()
