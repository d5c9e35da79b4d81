"""`holdfast voiceprint evaluate` on real recordings: each form of list, killed and gone on with."""

from __future__ import annotations

import html.parser
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from holdfast.mirror import Repositories, running_hub
from tests.stories.test_apps import Run, bare, holdfast
from tests.support.browser import browsing, chromium
from tests.support.detectors import played_back, write_graph
from tests.support.voices import SENTENCES, noisy, speak

VOICES = ("flite:slt", "flite:rms", "espeak:Storm", "espeak:travis")
Named = dict[str, list[str]]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Named]:
    """Recordings of four voices: a folder, and each voice's names below it."""
    audio = tmp_path_factory.mktemp("audio")
    names: Named = {}
    for voice in VOICES:
        folder = audio / voice.replace(":", "-")
        folder.mkdir()
        names[voice] = [
            speak(folder, voice, text)
            .rename(folder / f"{number}.wav")
            .relative_to(audio)
            .as_posix()
            for number, text in enumerate(SENTENCES[:4])
        ]
    return audio, names


def pairs(names: Named, *, attacks: bool = False) -> list[str]:
    lines = []
    for number, voice in enumerate(VOICES):
        first, *others = names[voice]
        lines += [f"1 {first} {other}" for other in others]
        lines += [f"0 {first} {names[who][1]}" for who in VOICES if who != voice]
        if attacks:
            # Another's voice stands in for a synthesiser that missed its mark.
            lines.append(f"spoof {first} {names[VOICES[number - 1]][3]}")
    return lines


def evaluate(trials: Path, audio: Path, *more: str | Path, env: dict[str, str]) -> Run:
    return holdfast("voiceprint", "evaluate", trials, "--audio", audio, *more, env=env)


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_report_is_written_that_says_all_and_needs_nothing(
    tmp_path: Path, spoken: tuple[Path, Named]
) -> None:
    audio, names = spoken
    lines = pairs(names, attacks=True)
    trials = written(tmp_path / "a <list> & more.txt", lines)
    folder, env = tmp_path / "report", bare(tmp_path)
    done = evaluate(trials, audio, "--json", "--report", folder, env=env)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    kept = json.loads((folder / "figures.json").read_text())
    assert kept == told
    assert told["counts"] == {"target": 12, "nontarget": 12, "spoof": 4}
    assert set(told["figures"]) >= {"eer", "cllr", "act_dcf_0.05", "spf_eer", "min_a_dcf"}
    assert told["figures"]["eer"]["high"] is not None
    assert [each["kind"] for each in told["outcomes"]] == ["target", "nontarget", "spoof"]
    for name in ("det.png", "scores.png"):
        with Image.open(folder / name) as picture:
            picture.load()
            assert min(picture.size) > 600
    page = (folder / "report.html").read_text()
    html.parser.HTMLParser().feed(page)
    assert "<list>" not in page
    assert "a &lt;list&gt; &amp; more.txt" in page
    assert told["list"]["sha256"] in page
    with chromium() as browser:
        for scheme, width in (("light", 1280), ("dark", 400)):
            options: dict[str, Any] = {
                "color_scheme": scheme, "viewport": {"width": width, "height": 900},
            }  # fmt: skip
            with browsing(browser, folder.joinpath("report.html").as_uri(), **options) as shown:
                assert shown.evaluate("document.documentElement.scrollWidth") <= width
                sizes = shown.evaluate("[...document.images].map(each => each.naturalWidth)")
                assert len(sizes) == 2
                assert min(sizes) > 600
                found = Axe().run(shown)
                assert found.violations_count == 0, found.generate_report()


def test_without_matplotlib_that_is_said_before_anything_is_scored(tmp_path: Path) -> None:
    trials = written(tmp_path / "trials", ["1 a b"])
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here', name='matplotlib')\n")
    env = bare(tmp_path, PYTHONPATH=str(tmp_path))
    done = evaluate(trials, tmp_path, "--report", tmp_path / "report", env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error[missing-extra]" in done.stderr
    assert "pip install 'holdfast[report]'" in done.stderr
    assert not (tmp_path / "models").exists()


def test_killed_in_the_middle_it_goes_on_and_no_recording_is_embedded_twice(
    tmp_path: Path, spoken: tuple[Path, Named]
) -> None:
    source, names = spoken
    audio, more = tmp_path / "audio", {}
    for voice, own in names.items():
        more[voice] = []
        for name in own:
            for copy in range(8):
                path = audio / f"{name[:-4]}-{copy}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, path)
                more[voice].append(path.relative_to(audio).as_posix())
    trials = written(tmp_path / "trials", pairs(more))
    scores, work = tmp_path / "scores", tmp_path / "scores.work"
    env = bare(tmp_path)
    whole = json.loads(evaluate(trials, audio, "--json", env=env).stdout)

    command = [sys.executable, "-m", "holdfast", "voiceprint", "evaluate", trials]
    command += ["--audio", audio, "--scores", scores]
    with subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if work.exists() and work.read_bytes().count(b"\n") > 20:
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not scores.exists()
    known = [json.loads(line)["name"] for line in work.read_text().splitlines()[1:20]]
    with work.open("ab") as file:
        file.write(b'{"name": "' + known[0].encode() + b'", "vec')  # a line that was cut off
    for name in known:  # who reads them again is told that they are none
        (audio / name).write_bytes(b"this is no recording")

    again = evaluate(trials, audio, "--json", "--scores", scores, env=env)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["figures"] == whole["figures"]
    assert not work.exists()
    other = written(tmp_path / "other", pairs(more)[:-1])
    refused = evaluate(other, audio, "--scores", scores, env=env)
    assert refused.returncode == 2
    assert "is of another list of trials" in refused.stderr
    elsewhere = evaluate(trials, source, "--scores", scores, env=env)
    assert "is of another folder" in elsewhere.stderr


def test_recordings_that_cannot_be_used_are_all_said_at_once(
    tmp_path: Path, spoken: tuple[Path, Named]
) -> None:
    source, names = spoken
    audio = tmp_path / "audio"
    shutil.copytree(source, audio)
    env = bare(tmp_path)
    first = names[VOICES[0]]
    (audio / first[1]).write_text("this is no recording")
    shutil.copyfile(source / first[2], audio / "silence.wav")
    quiet = bytearray((audio / "silence.wav").read_bytes())
    quiet[44:] = bytes(len(quiet) - 44)
    (audio / "silence.wav").write_bytes(quiet)
    lines = [*pairs(names), f"1 {first[0]} silence.wav"]
    trials = written(tmp_path / "trials", lines)
    done = evaluate(trials, audio, env=env)
    assert (done.returncode, done.stdout) == (9, "")
    assert "error[recordings-unusable]: 2 of the" in done.stderr
    assert f"1: not-audio ({first[1]})" in done.stderr
    assert "1: nobody speaks in it (silence.wav)" in done.stderr
    assert "--skip-unusable" in done.stderr

    (audio / first[2]).unlink()
    absent = evaluate(trials, audio, env=env)
    assert absent.returncode == 9
    assert f"1: there is no such file ({first[2]})" in absent.stderr
    skipped = evaluate(trials, audio, "--skip-unusable", "--json", env=env)
    assert skipped.returncode == 0, skipped.stderr
    told = json.loads(skipped.stdout)
    gone = {first[1], first[2], "silence.wav"}
    left = [line for line in lines if not gone & set(line.split())]
    assert told["trials"] == len(left)
    assert told["left_out"] == len(lines) - len(left)
    assert sum(told["unusable"].values()) == 3
    plain = evaluate(trials, audio, "--skip-unusable", env=env)
    assert f"{told['left_out']} trials are left out" in plain.stderr


def test_models_of_several_recordings_are_compared_as_the_gallery_does(
    tmp_path: Path, spoken: tuple[Path, Named]
) -> None:
    source, names = spoken
    flac = tmp_path / "audio" / "flac"
    flac.mkdir(parents=True)
    enrolled, lines = [], []
    for number, voice in enumerate(VOICES):
        ids = [f"LA_E_{number}{at}" for at in range(4)]
        for at, name in enumerate(names[voice]):
            shutil.copyfile(source / name, flac / f"{ids[at]}.wav")
        enrolled.append(f"LA_{number} {ids[0]},{ids[1]}")
        lines += [f"LA_{number} {ids[at]} bonafide target" for at in (2, 3)]
        other = (number + 1) % len(VOICES)
        lines += [f"LA_{other} {ids[2]} bonafide nontarget", f"LA_{other} {ids[3]} A07 spoof"]
    trials, models = written(tmp_path / "trl", lines), written(tmp_path / "trn", enrolled)
    env = bare(tmp_path)
    lacking = evaluate(trials, tmp_path / "audio", env=env)
    assert lacking.returncode == 2
    assert "--enrolment FILE" in lacking.stderr
    done = evaluate(trials, tmp_path / "audio", "--enrolment", models, "--json",
                    "--scores", tmp_path / "scores", env=env)  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["list"]["form"] == "asvspoof2019-asv"
    assert told["counts"] == {"target": 8, "nontarget": 4, "spoof": 4}
    assert told["speakers"] == 4
    assert set(told["attacks"]) == {"A07"}
    # The service says the same of a speaker who was enrolled with the same recordings.
    score = next(
        float(line.split("\t")[4]) for line in (tmp_path / "scores").read_text().splitlines()
        if line.startswith("target\tLA_0\tLA_E_02")
    )  # fmt: skip
    own = [flac / f"LA_E_0{at}.wav" for at in range(3)]
    assert holdfast("voiceprint", "enroll", "a", *own[:2], env=env).returncode in {0, 1}
    verified = holdfast("voiceprint", "verify", "a", own[2], "--json", env=env)
    assert json.loads(verified.stdout)["score"] == pytest.approx(score, abs=1e-4)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A hub with a detector of replays, and the settings that mount it."""
    root = tmp_path_factory.mktemp("hub")
    write_graph(root / "acme/replay-detector/model.onnx")
    with running_hub(Repositories(root)) as hub:
        yield {
            "HF_ENDPOINT": hub.url,
            "HOLDFAST_VOICEPRINT_SPOOF_MODEL": "acme/replay-detector",
            "HOLDFAST_VOICEPRINT_SPOOF_BONA_FIDE": "1",
        }


def replayed(tmp_path: Path) -> tuple[Path, list[str], list[str]]:
    """A folder with speech of one person, and with the same from a loudspeaker."""
    audio = tmp_path / "flac"
    audio.mkdir()
    own = [speak(audio, "flite:rms", text) for text in SENTENCES[:4]]
    return audio, [path.stem for path in own], [played_back(path).stem for path in own]


def detector_list(tmp_path: Path, own: Sequence[str], played: Sequence[str]) -> Path:
    lines = [f"S{at} {name} - - bonafide" for at, name in enumerate(own)]
    lines += [f"S{at} {name} - A0{1 + at % 2} spoof" for at, name in enumerate(played)]
    return written(tmp_path / "cm", lines)


def test_a_list_for_detectors_needs_one(tmp_path: Path) -> None:
    audio, own, played = replayed(tmp_path)
    done = evaluate(detector_list(tmp_path, own, played), audio, env=bare(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "error[detector-missing]: no detector is mounted" in done.stderr


def test_a_detector_is_rated_alone_and_in_tandem(tmp_path: Path, detector: dict[str, str]) -> None:
    _, own, played = replayed(tmp_path)
    env = bare(tmp_path) | detector
    cm, folder = detector_list(tmp_path, own, played), tmp_path / "report"
    done = evaluate(cm, tmp_path, "--json", "--report", folder, env=env)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["counts"] == {"bonafide": 4, "spoof": 4}
    assert told["figures"]["eer"]["value"] == 0
    assert set(told["attacks"]) == {"A01", "A02"}
    assert len(told["detector"]) == 16
    assert "attacks are detected" in (folder / "report.html").read_text()

    other = speak(tmp_path, "flite:slt", SENTENCES[0]).name
    # Noise takes genuine speech below what a replay scores.
    loud = [noisy(tmp_path / f"flac/{name}.wav", 3).name for name in own[1:]]
    lines = [f"target flac/{own[0]}.wav flac/{name}" for name in loud]
    lines += [f"nontarget {other} flac/{name}.wav" for name in own]
    lines += [f"spoof flac/{own[0]}.wav flac/{name}.wav" for name in played]
    tandem = written(tmp_path / "tandem", lines)
    done = evaluate(tandem, tmp_path, "--json", env=env)
    figures = json.loads(done.stdout)["figures"]
    # The replays sound like their speaker, and the detector knows all of them.
    assert figures["spf_eer"]["value"] > 0
    assert figures["tandem_spf_eer"]["value"] == 0
    assert figures["tandem_min_a_dcf"]["value"] < figures["min_a_dcf"]["value"]
    assert figures["tandem_min_a_dcf"]["value"] == pytest.approx(0, abs=1e-9)


def test_progress_is_shown_on_a_terminal(tmp_path: Path, spoken: tuple[Path, Named]) -> None:
    audio, names = spoken
    trials = written(tmp_path / "trials", pairs(names))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "holdfast", "voiceprint", "evaluate", trials, "--audio", audio]
    env = bare(tmp_path, TERM="xterm", COLUMNS="100")
    with subprocess.Popen(command, env=env, stderr=theirs, stdout=subprocess.PIPE) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            seen += part
        assert process.stdout is not None
        results = process.stdout.read().decode()
    os.close(ours)
    assert process.returncode == 0, seen
    assert re.search(rb"recordings.*16/16.*/s, .* left", seen), seen
    assert all(re.match(r"[a-z_0-9.]+ +\d", line) for line in results.splitlines())
