"""The profile with real models: brought from a hub, over whatever happens to hub and disk."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.voiceprint import starter_model
from holdfast.wiring import starter_repositories
from tests.stories.test_apps import bare, get, holdfast, started, wait_for
from tests.support import repos
from tests.support.core import Shop
from tests.support.detectors import write_graph
from tests.support.filesystems import needs_root, tmpfs

NAME = "onnx-community/silero-vad"
VOICE = "speechbrain/spkrec-ecapa-voxceleb"
SPOOF = "Gustking/wav2vec2-large-xlsr-deepfake-audio-classification"

# Nothing that takes torch; see tests/libraries/test_speech_standard.py and its neighbours.
SILENT = {
    "HOLDFAST_SPEECH_TRANSCRIPTION_MODEL": "none", "HOLDFAST_SPEECH_SYNTHESIS_MODEL": "none",
    "HOLDFAST_DOCUMENTS_LAYOUT_MODEL": "geometry",
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The real graph, as it comes along in a package."""
    folder = tmp_path_factory.mktemp("starter")
    starter_repositories(folder)
    (path,) = folder.rglob("silero_vad.onnx")
    return path.read_bytes()


@pytest.fixture
def hub(shop: Shop, model: bytes, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A hub that has the repository in the layout of the real one."""
    folder = tmp_path_factory.mktemp("detector")
    files = {
        "README.md": b"---\nlicense: cc-by-nc-4.0\n---\n# Silero VAD\n",
        "config.json": b"{}",
        "onnx/model.onnx": model,
        "onnx/model_fp16.onnx": repos.noise(300_000, "fp16"),
        "onnx/model_q4.onnx": repos.noise(300_000, "q4"),
    }
    shop.new(files, NAME)
    # In the layout of the real one, and with a graph, so that nothing has to be converted here.
    voice = starter_model()
    shop.new(
        {path.name: path.read_bytes() for path in voice.iterdir() if path.name != "README.md"}
        | {"example1.wav": repos.noise(300_000, "example")},
        VOICE,
    )
    # A detector, as a graph with the real one's labels: what runs these tests has no torch.
    graph = write_graph(folder / "model.onnx").read_bytes()
    labels = b'{"id2label": {"0": "fake", "1": "real"}}'
    shop.new({"model.onnx": graph, "config.json": labels}, SPOOF)
    shop.reset()
    return shop


def model_of(url: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get(f"{url}/models").data)["models"][0]
    return found


def state_is(url: str, *states: str) -> Callable[[], bool]:
    return lambda: model_of(url)["state"] in states


def test_the_real_models_come_from_the_hub_and_only_what_is_used(hub: Shop, tmp_path: Path) -> None:
    env = bare(tmp_path, HF_ENDPOINT=hub.url, HOLDFAST_PROFILE="standard", **SILENT)
    done = holdfast("test", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert NAME in done.stdout
    assert f"speaker-verification by {VOICE}" in done.stdout
    assert f"spoofing-detection by {SPOOF}" in done.stdout
    assert not [path for path in hub.requests("/resolve/") if path.endswith(".wav")]
    fetched = [path for path in hub.requests("/resolve/") if "onnx/" in path]
    assert {path.rpartition("/")[2] for path in fetched} == {"model.onnx"}
    hub.reset()
    assert holdfast("test", "--offline", env=env).returncode == 0
    assert hub.records() == []


def test_a_hub_that_goes_silent_is_said_and_one_that_speaks_again_is_used(
    hub: Shop, tmp_path: Path
) -> None:
    env = bare(
        tmp_path, HF_ENDPOINT=hub.url, HOLDFAST_METADATA_TIMEOUT_S="1", HOLDFAST_PROFILE="standard",
        **SILENT,
    )  # fmt: skip
    hub.hub.set_faults("silence:where=any")
    with started("-q", "up", "--port", "0", env=env) as (url, process):
        wait_for(lambda: model_of(url)["error"] is not None)
        failed = model_of(url)
        ready = get(f"{url}/ready")
        assert get(f"{url}/health").status == 200
        hub.hub.set_faults()
        wait_for(state_is(url, "ready"))
        assert model_of(url)["error"] is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert failed["error"]["code"] == "hub-unavailable"
    assert failed["error"]["hint"]
    assert ready.status == 503
    assert int(ready.headers["retry-after"]) >= 1


@pytest.mark.root
def test_a_disk_that_is_full_is_said_and_room_is_used(hub: Shop, tmp_path: Path) -> None:
    needs_root()
    with tmpfs(tmp_path, size=8_000_000) as disk:
        filling = disk / "filling"
        filling.write_bytes(b"x" * 7_000_000)
        env = bare(
            tmp_path, HF_ENDPOINT=hub.url, HOLDFAST_HOME=str(disk / "models"),
            HOLDFAST_PROFILE="standard", **SILENT,
        )  # fmt: skip
        with started("-q", "up", "--port", "0", env=env) as (url, process):
            wait_for(lambda: model_of(url)["error"] is not None)
            failed = model_of(url)
            filling.unlink()
            wait_for(state_is(url, "ready"))
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
    assert failed["error"]["code"] == "not-enough-space"
    assert "collect" in failed["error"]["hint"]


def test_wrong_bytes_from_the_hub_are_never_loaded(hub: Shop, tmp_path: Path) -> None:
    env = bare(tmp_path, HF_ENDPOINT=hub.url, **SILENT)
    hub.hub.set_faults("corrupt:at=1000,where=storage")
    with started("-q", "up", "--port", "0", "--profile", "standard", env=env) as (url, process):
        wait_for(lambda: model_of(url)["error"] is not None)
        failed = model_of(url)
        hub.hub.set_faults()
        wait_for(state_is(url, "ready"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert failed["error"]["code"] == "digest-mismatch"


def test_the_licence_is_the_cards_and_one_that_is_not_allowed_is_not_loaded(
    hub: Shop, tmp_path: Path
) -> None:
    env = bare(tmp_path, HF_ENDPOINT=hub.url, HOLDFAST_PROFILE="standard", **SILENT)
    with started("-q", "up", "--port", "0", env=env) as (url, process):
        wait_for(lambda: get(f"{url}/ready").status == 200)
        assert model_of(url)["licence"] == "cc-by-nc-4.0"  # not what its description says
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    listed = json.loads(holdfast("ls", "--json", env=env).stdout)["models"]
    assert {row["repo"]: row["licence"] for row in listed} == {
        NAME: "cc-by-nc-4.0", VOICE: None, SPOOF: None,
    }  # fmt: skip
    plain = holdfast("ls", env=env).stdout
    assert "  complete  cc-by-nc-4.0  /" in plain
    assert "  complete  no licence stated  /" in plain

    hub.reset()
    only = env | {"HOLDFAST_ALLOW_LICENCES": "mit,Apache-*"}
    with started("-q", "up", "--port", "0", env=only) as (url, process):
        wait_for(state_is(url, "failed"))
        failed = model_of(url)
        ready = get(f"{url}/ready")
        asked = get(f"{url}/models").data
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert failed["licence"] == "cc-by-nc-4.0"
    assert failed["error"]["code"] == "licence-refused"
    assert "HOLDFAST_ALLOW_LICENCES='mit,Apache-*,cc-by-nc-4.0'" in failed["error"]["hint"]
    assert failed["next_try_s"] is None  # the same card would be read again
    assert ready.status == 503
    named = {model["id"]: model for model in json.loads(ready.data)["models"]}
    assert named["silero-vad"]["error"]["code"] == "licence-refused"
    # What is stated of the others, by a card or not, is allowed in either case.
    assert [model["error"] for model in json.loads(asked)["models"][1:3]] == [None, None]

    cured = only | {"HOLDFAST_ALLOW_LICENCES": "mit,Apache-*,cc-by-nc-4.0"}
    assert holdfast("test", "--offline", env=cured).returncode == 0


def test_a_model_whose_licence_is_known_to_be_refused_is_not_fetched(
    hub: Shop, tmp_path: Path
) -> None:
    env = bare(
        tmp_path, HF_ENDPOINT=hub.url, HOLDFAST_PROFILE="standard",
        HOLDFAST_ALLOW_LICENCES="bsd-*", **SILENT,
    )  # fmt: skip
    done = holdfast("-q", "up", "--require-ready", "--port", "0", env=env)
    assert done.returncode == 10
    assert "licence-refused" in done.stderr
    assert "silero-vad is under the licence MIT" in done.stderr
    assert hub.records() == []
