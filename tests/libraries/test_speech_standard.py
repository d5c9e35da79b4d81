"""The profile `standard` reads and speaks: from a hub, without links, as Transformers does."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import urllib3

from holdfast.client import Client
from holdfast.voiceprint import starter_model
from holdfast.wiring import starter_repositories
from holdfast.wiring._provide import VAD_HUB_REPO, VOICE_HUB_REPO
from holdfast.wiring._starter import VAD_REPO
from tests.libraries import environment
from tests.support.core import Shop, opened_shop
from tests.support.deny import deny_prefix
from tests.support.serving import NO_DOCUMENTS
from tests.support.voices import SENTENCES, speak

pytestmark = [pytest.mark.libraries]

SENTENCE = "She packed four sandwiches and a map."
WHISPER, VOICE, CONVERTED = (
    "openai/whisper-tiny", "facebook/mms-tts-eng", "Systran/faster-whisper-tiny",
)  # fmt: skip


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speak(tmp_path_factory.mktemp("speech"), "flite:rms", SENTENCES[0])


@pytest.fixture(scope="module")
def made(libraries: None, speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models, and what Transformers says with them; see standard_models.py."""
    return environment.made_by("standard_models.py", tmp_path_factory.mktemp("standard"), speech)


@pytest.fixture(scope="module")
def hub(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The repositories that the profile names, with small models in them."""
    root = tmp_path_factory.mktemp("hub")
    starter_repositories(root / "starter", (VAD_REPO,))
    (silero,) = (root / "starter").rglob("*.onnx")
    folders = {WHISPER: made / "whisper", VOICE: made / "mms", CONVERTED: made / "converted",
               VOICE_HUB_REPO.id: starter_model()}  # fmt: skip
    files = {
        name: {str(path.relative_to(folder)): path.read_bytes()
               for path in sorted(folder.rglob("*")) if path.is_file()}
        for name, folder in folders.items()
    }  # fmt: skip
    del files[VOICE_HUB_REPO.id]["embedding_model.onnx"]  # as SpeechBrain publishes it
    card = (silero.parent / "README.md").read_bytes()
    files[VAD_HUB_REPO.id] = {"onnx/model.onnx": silero.read_bytes(), "README.md": card}
    # What such repositories have besides, and nobody here wants.
    files[WHISPER]["pytorch_model.bin"] = files[WHISPER]["flax_model.msgpack"] = b"a pickle"
    with opened_shop(root / "shop") as shop:
        from holdfast.refs import RepoRef

        for name, content in files.items():
            shop.repositories.commit(RepoRef(name), content)
        yield shop


def surroundings(hub: Shop, home: Path, **more: str) -> dict[str, str]:
    libraries = next((environment.PYTHON.parent.parent / "lib").glob("python3*/site-packages"))
    return {
        "PATH": os.environ["PATH"], "HOME": str(home), "HOLDFAST_HOME": str(home / "models"),
        "HOLDFAST_DATA": str(home / "data"), "HF_ENDPOINT": hub.url,
        "HOLDFAST_PROFILE": "standard", **NO_DOCUMENTS, "HOLDFAST_VOICEPRINT_SPOOF_MODEL": "none",
        # What runs the service has no torch of its own.
        "PYTHONPATH": str(libraries), **more,
    }  # fmt: skip


@contextmanager
def service(env: Mapping[str, str], home: Path) -> Iterator[str]:
    """Run the service where the kernel refuses every kind of link."""
    command = [*deny_prefix(symlink="EPERM", link="EPERM"), sys.executable, "-m", "holdfast", "up",
               "--port", "0", "--json"]  # fmt: skip
    log = home / "log"
    with log.open("w") as said, subprocess.Popen(
        command, env=dict(env), cwd=home, stdout=subprocess.PIPE, stderr=said, text=True
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            yield str(json.loads(line)["url"])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def model_of(url: str, model: str) -> dict[str, Any]:
    listed = urllib3.request("GET", f"{url}/models").json()["models"]
    (found,) = [each for each in listed if each["id"] == model]
    return dict(found)


def test_it_reads_and_speaks_as_transformers_where_nothing_can_be_linked(
    made: Path, hub: Shop, speech: Path, tmp_path: Path
) -> None:
    kept = np.load(made / "answers.npz")
    env = surroundings(hub, tmp_path)
    with service(env, tmp_path) as url, Client(url, timeout_s=120) as client:
        ready = client.wait_ready(200)
        assert ready.ready, (ready.message, (tmp_path / "log").read_text()[-3000:])
        found = client.transcribe(speech, language="en")
        tokens = [token for segment in found.raw["segments"] for token in segment["tokens"]]
        assert tokens == kept["tokens"].tolist()
        assert len(tokens) > 40
        assert client.translate(speech).text == found.text  # it writes letters, whatever is asked
        assert client.transcribe(speech).language
        assert client.transcribe(speech, language="german").language == "german"

        sound, rate = soundfile.read(io.BytesIO(client.speak(SENTENCE)), dtype="float32")
        expected = np.clip(kept["sound"], -1, 1)
        assert rate == 16_000
        # 16 bits, and a rounding.
        np.testing.assert_allclose(sound, expected, atol=1.5 / 32_768)

        voice, reader = model_of(url, "text-to-speech"), model_of(url, "speech-to-text")
        assert (voice["licence"], reader["licence"]) == ("cc-by-nc-4.0", "apache-2.0")
        assert voice["repository"] == VOICE
        assert {"en", "de"} <= set(reader["about"]["languages"])
        assert reader["about"]["tasks"] == ["transcribe", "translate"]
    home = tmp_path / "models"
    assert not [path for path in home.rglob("*") if path.is_symlink()]
    assert not [*home.rglob("pytorch_model.bin"), *home.rglob("flax_model.msgpack")]

    (converted,) = home.rglob("model.bin")
    before = converted.stat().st_mtime_ns
    hub.reset()
    with service(env | {"HF_HUB_OFFLINE": "1"}, tmp_path) as url, Client(url) as client:
        assert client.wait_ready(120).ready
        assert client.transcribe(speech, language="en").text == found.text
    assert hub.records() == []
    assert converted.stat().st_mtime_ns == before


def test_a_licence_that_is_not_allowed_is_refused_and_the_rest_goes_on(
    hub: Shop, tmp_path: Path
) -> None:
    env = surroundings(hub, tmp_path, HOLDFAST_ALLOW_LICENCES="mit,apache-2.0")
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "say", "hello", "-o", "a.wav"], env=env, cwd=tmp_path,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode != 0
    assert "licence-refused" in done.stderr
    assert "CC-BY-NC-4.0" in done.stderr
    assert not (tmp_path / "a.wav").exists()
    assert not [*tmp_path.rglob("models--facebook*")]  # it was known before anything was fetched


def test_a_model_that_is_converted_already_needs_no_torch(
    made: Path, hub: Shop, speech: Path, tmp_path: Path
) -> None:
    env = surroundings(hub, tmp_path, HOLDFAST_SPEECH_TRANSCRIPTION_MODEL=CONVERTED)
    del env["PYTHONPATH"]
    shutil.copyfile(speech, tmp_path / "talk.wav")
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "transcribe", "talk.wav", "-f", "verbose_json",
         "--language", "en"],
        env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tokens = [token for each in json.loads(done.stdout)["segments"] for token in each["tokens"]]
    assert tokens == np.load(made / "answers.npz")["tokens"].tolist()


def test_without_ctranslate2_transformers_reads_the_same(made: Path) -> None:
    told = json.loads((made / "fallback.json").read_text())
    assert told["kind"] == "TransformersWhisperEngine"
    assert told["tokens"] == np.load(made / "answers.npz")["tokens"].tolist()
    start, end, avg_logprob, no_speech = told["passage"]
    assert (start, end > 2) == (0, True)
    assert -1 < avg_logprob <= 0
    assert 0 <= no_speech <= 1
    assert told["prompted"]
    assert told["other"]
    assert told["languages"]
    assert told["detected"] == [True, "de"]
    assert told["nothing"] == []
    assert told["words"] == "option-invalid"
    assert told["cut"].startswith("engine-unusable: ")
    assert "cannot be loaded" in told["cut"]
