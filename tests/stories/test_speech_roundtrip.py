"""What is spoken is read: by voices of other programs at the service, and by our own voice."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from difflib import SequenceMatcher
from pathlib import Path

import jiwer
import numpy as np
import pytest

from holdfast.client import Client
from holdfast.media import RATE_HZ, Waveform, read_audio
from tests.stories.test_apps import bare, holdfast
from tests.support.sentences import PLAIN
from tests.support.speaking import SpeechService, plain, speech_service
from tests.support.voices import speak

MOST_WRONG = 0.10
FRAME = RATE_HZ // 100
LEAST_RIGHT = 4
HALF = len(PLAIN) // 2
VOICES = {"flite:rms": PLAIN[:HALF], "festival:kal_diphone": PLAIN[HALF:]}
SAID = "Good morning. The weather is going to be warm tomorrow. Please close the door."


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeechService]:
    with speech_service(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def client(service: SpeechService) -> Iterator[Client]:
    with Client(service.url) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("voice", VOICES)
def test_of_a_hundred_words_at_most_ten_are_read_wrong(
    client: Client, tmp_path: Path, voice: str
) -> None:
    def read(sentence: str) -> str:
        return client.transcribe(speak(tmp_path, voice, sentence)).text

    with ThreadPoolExecutor(2) as pool:
        found = [plain(text) for text in pool.map(read, VOICES[voice])]
    assert len(found) == HALF
    wrong = jiwer.wer(list(VOICES[voice]), found)
    print(f"{voice}: word error rate {wrong:.3f}")
    assert wrong <= MOST_WRONG


def loud_ms(samples: Waveform) -> list[int]:
    """Return the hundredths of a second with sound in them, as milliseconds from the beginning."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.sqrt(np.mean(np.square(frames), axis=1))
    return [10 * int(number) for number in np.flatnonzero(power > 0.1 * power.max())]


def check_regions(found: Sequence[tuple[int, int]], samples: Waveform) -> None:
    """Check that speech was found where there is sound, and nowhere else."""
    loud = loud_ms(samples)
    inside = [at for at in loud if any(start <= at <= stop for start, stop in found)]
    assert len(inside) > 0.95 * len(loud)
    for start, stop in found:
        assert sum(start <= at <= stop for at in loud) > 0.3 * (stop - start) / 10
    assert loud[0] - 300 < found[0][0] < loud[0] + 100
    assert loud[-1] - 200 < found[-1][1] < loud[-1] + 300


def right_words(text: str) -> int:
    """Return how many words of what was said are in what was read, in their order."""
    matching = SequenceMatcher(None, plain(SAID).split(), plain(text).split(), autojunk=False)
    return sum(block.size for block in matching.get_matching_blocks())


def test_our_own_voice_is_heard_where_it_sounds_and_partly_read(client: Client) -> None:
    """espeak's voice is hard for this reader: that some words are right is all that it can do."""
    sound = client.speak(SAID)
    samples = read_audio(io.BytesIO(sound))
    check_regions([(one.start_ms, one.stop_ms) for one in client.find_speech(sound)], samples)

    found = client.transcribe(sound, words=True)
    print(f"{found.text!r}: {right_words(found.text)} words are right")
    assert right_words(found.text) >= LEAST_RIGHT
    seconds = len(samples) / RATE_HZ
    assert found.duration_s == pytest.approx(seconds, abs=0.05)
    regions = [(round(1000 * one.start_s), round(1000 * one.end_s)) for one in found.segments]
    loud = loud_ms(samples)
    for start, stop in regions:
        assert any(start <= at <= stop for at in loud)
        assert stop < 1000 * seconds + 50
    assert [word.start_s for word in found.words] == sorted(word.start_s for word in found.words)


def test_say_vad_and_transcribe_agree_on_the_command_line(
    service: SpeechService, tmp_path: Path
) -> None:
    env, file = bare(tmp_path, HOLDFAST_HOME=str(service.models)), tmp_path / "said.flac"
    said = holdfast("say", SAID, "-o", file, "--json", env=env)
    assert said.returncode == 0, said.stderr
    samples = read_audio(file)
    assert json.loads(said.stdout)["seconds"] == pytest.approx(len(samples) / RATE_HZ, abs=0.05)

    heard = holdfast("vad", file, "--json", env=env)
    segments = [(one["start"], one["end"]) for one in json.loads(heard.stdout)["segments"]]
    check_regions(segments, samples)

    read = holdfast("transcribe", file, "-f", "verbose_json", env=env)
    assert read.returncode == 0, read.stderr
    found = json.loads(read.stdout)
    assert right_words(found["text"]) >= LEAST_RIGHT
    first, last = found["segments"][0], found["segments"][-1]
    assert segments[0][0] - 300 < 1000 * first["start"] < segments[0][1]
    assert segments[-1][0] < 1000 * last["end"] < segments[-1][1] + 300
