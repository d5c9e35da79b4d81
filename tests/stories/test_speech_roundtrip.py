"""What synthesisers say is read, and what is said here is heard: from one end to the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jiwer
import pytest

from holdfast.client import Client
from tests.support.sentences import PLAIN
from tests.support.speaking import SpeechService, plain, speech_service
from tests.support.voices import speak

# Twenty sentences each.
VOICES = ("flite:rms", "festival:kal_diphone")
MOST_ERRORS = 0.10


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeechService]:
    with speech_service(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.mark.slow
def test_forty_sentences_of_two_synthesisers_are_read(
    service: SpeechService, tmp_path: Path
) -> None:
    with Client(service.url) as client:
        read = [
            client.transcribe(speak(tmp_path, VOICES[number % 2], text)).text
            for number, text in enumerate(PLAIN)
        ]
    assert jiwer.wer(list(PLAIN), [plain(text) for text in read]) <= MOST_ERRORS


def test_what_the_client_has_spoken_is_heard_where_it_is_and_read(service: SpeechService) -> None:
    with Client(service.url) as client:
        sound = client.speak("We need to find a better way. He was born in a small town.")
        heard = client.find_speech(sound)
        found = client.transcribe(sound)
    spoken = sum(one.stop_ms - one.start_ms for one in heard) / 1000
    assert 2 < spoken <= found.duration_s < 6
    # The starter's reader is bad at the starter's voice, and says so of itself.
    assert len(found.text.split()) > 5
    for segment in found.segments:
        assert any(
            segment.start_s < one.stop_ms / 1000 and one.start_ms / 1000 < segment.end_s
            for one in heard
        )


def test_the_commands_pass_it_on_to_one_another(service: SpeechService, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path),
           "HOLDFAST_HOME": str(service.models)}  # fmt: skip

    def holdfast(*words: str) -> str:
        command = [sys.executable, "-m", "holdfast", *words]
        done = subprocess.run(
            command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert holdfast("say", "One morning. Two mornings.", "-o", "said.flac") == "said.flac\n"
    segments = json.loads(holdfast("vad", "said.flac", "--json"))["segments"]
    assert segments
    read = json.loads(holdfast("transcribe", "said.flac", "-f", "verbose_json"))
    assert segments[-1]["end"] / 1000 <= read["duration"]
    assert read["text"]
