"""``holdfast say`` and ``transcribe`` as people run them."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import soundfile
import srt
import webvtt

from holdfast.media import read_audio
from tests.support.audio import Form, write_audio
from tests.support.bombs import silent_flac
from tests.support.users import stranger_user
from tests.support.voices import SENTENCES, mixed, speak

Run = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the starter set in it."""
    home = tmp_path_factory.mktemp("models")
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "HOLDFAST_HOME": str(home)}
    for words in (("say", "x", "-o", str(home / "x.wav")), ("transcribe", str(home / "x.wav"))):
        subprocess.run([sys.executable, "-m", "holdfast", *words], env=env, check=True, timeout=120,
                       capture_output=True)  # fmt: skip
    return home


@pytest.fixture
def desk(models: Path, tmp_path: Path) -> Desk:
    return Desk(models, tmp_path)


class Desk:
    """Where somebody works: a folder, and the command."""

    def __init__(self, models: Path, folder: Path) -> None:
        self.folder = folder
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(folder / "home"), "HOLDFAST_HOME": str(models),
            "HOLDFAST_DATA": str(folder / "data"), "TMPDIR": str(folder / "tmp"), "LANG": "C.UTF-8",
        }  # fmt: skip
        for name in ("home", "tmp"):
            (folder / name).mkdir()

    def run(
        self, *words: object, given: str | None = None, more: Mapping[str, str] | None = None
    ) -> Run:
        return subprocess.run(
            [sys.executable, "-m", "holdfast", *map(str, words)], env=self.env | dict(more or {}),
            cwd=self.folder, input=given, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def recording(self, name: str, text: str = SENTENCES[0]) -> Path:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(speak(self.folder / "tmp", "flite:rms", text), target)
        return target

    def left(self) -> list[str]:
        """Return what is unfinished anywhere."""
        return [path.name for path in self.folder.rglob("*incomplete*")]


# --- say --------------------------------------------------------------------------------------


def test_a_text_is_said_into_a_file_of_any_form(desk: Desk) -> None:
    for form in ("wav", "flac", "mp3", "opus", "ogg", "aac"):
        done = desk.run("say", "Good morning. How do you do?", "-o", f"out/said.{form}")
        assert (done.returncode, done.stdout) == (0, f"out/said.{form}\n"), done.stderr
        assert 1.5 < len(read_audio(desk.folder / f"out/said.{form}")) / 16_000 < 4
    samples, rate = soundfile.read(desk.folder / "out/said.wav")
    assert (rate, samples.ndim) == (22_050, 1)
    assert "by holdfast/espeak-ng@" in done.stderr
    assert "gpl-3.0" in done.stderr
    assert desk.left() == []


def test_what_was_said_is_told_as_json_and_voices_are_listed(desk: Desk) -> None:
    told = json.loads(
        desk.run("say", "Guten Tag.", "--voice", "de", "-o", "a.wav", "--json").stdout
    )
    assert (told["output"], told["sentences"], told["licence"]) == ("a.wav", 1, "gpl-3.0")
    assert told["seconds"] > 0.4
    listed = desk.run("say", "--voices").stdout.splitlines()
    assert listed[0].split() == ["en-us", "en"]
    as_json = json.loads(desk.run("say", "--voices", "--json").stdout)
    assert {"id": "de", "language": "de"} in as_json["voices"]
    assert len(as_json["voices"]) == len(listed)


def test_a_text_comes_from_a_pipe_and_sound_goes_into_one(desk: Desk) -> None:
    long = "This is said again and again. " * 200  # more than is taken at once over HTTP
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "say", "-o", "-"], env=desk.env, cwd=desk.folder,
        input=long.encode(), capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    (desk.folder / "piped.wav").write_bytes(done.stdout)
    both = desk.run("say", "hello", "-o", "-", "--json")
    assert (both.returncode, both.stdout) == (2, "")
    assert "-o - does not go with --json" in both.stderr
    assert len(read_audio(desk.folder / "piped.wav", whole=False)) / 16_000 > 250


def test_a_link_stays_one_and_a_device_too(desk: Desk) -> None:
    (desk.folder / "deep").mkdir()
    (desk.folder / "link.wav").symlink_to("deep/real.wav")
    assert desk.run("say", "good morning", "-o", "link.wav").returncode == 0
    assert (desk.folder / "link.wav").is_symlink()
    assert len(read_audio(desk.folder / "deep/real.wav")) > 8_000
    (desk.folder / "full.wav").symlink_to("/dev/full")
    full = desk.run("say", "good morning", "-o", "full.wav")
    assert full.returncode == 7
    assert "No space left on device" in full.stderr
    assert (desk.folder / "full.wav").is_symlink()


def test_a_torn_recording_is_told_and_nothing_else_is(desk: Desk) -> None:
    desk.run("say", "Seven small boats were painted blue. " * 12, "-o", "long.wav")
    whole = (desk.folder / "long.wav").read_bytes()
    (desk.folder / "torn.wav").write_bytes(whole[: len(whole) // 2])
    for command in ("vad", "transcribe"):
        torn = desk.run(command, "torn.wav")
        assert torn.returncode == 9
        assert "error[audio-truncated]" in torn.stderr
        assert "leaked" not in torn.stderr


def test_it_is_played_by_what_the_system_has(desk: Desk) -> None:
    tools = desk.folder / "tools"
    tools.mkdir()
    player = tools / "paplay"
    player.write_text(f'#!/bin/sh\ncp "$1" "{desk.folder}/played.wav"\n')
    player.chmod(0o755)
    done = desk.run("say", "good morning", more={"PATH": f"{tools}:{desk.env['PATH']}"})
    assert done.returncode == 0, done.stderr
    assert len(read_audio(desk.folder / "played.wav")) > 8_000
    player.write_text("#!/bin/sh\necho no sound card >&2\nexit 1\n")
    failed = desk.run("say", "good morning", more={"PATH": f"{tools}:{desk.env['PATH']}"})
    assert failed.returncode == 1
    assert "no sound card" in failed.stderr
    assert "player-failed" in failed.stderr
    none = desk.run("say", "good morning", more={"PATH": str(desk.folder)})
    assert none.returncode == 1
    assert "player-missing" in none.stderr
    assert [*(desk.folder / "tmp").glob("say*")] == []


WRONG = {
    "nothing": (("say", "  ", "-o", "a.wav"), "there is nothing to say"),
    "another form": (("say", "hello", "-o", "a.mid"), "no form that can be written"),
    "a voice of nobody": (("say", "hello", "-o", "a.wav", "--voice", "xx"), "no voice 'xx'"),
    "too fast": (("say", "hello", "-o", "a.wav", "--speed", "9"), "speed"),
    "a list and a text": (("say", "hello", "--voices"), "--voices says nothing"),
    "sound of nowhere": (("say", "hello", "-o", "-", "--play"), "-o - does not go with --play"),
    "no recording": (("transcribe", "none.wav"), "there is no recording none.wav"),
    "an empty folder": (("transcribe", "home"), "a folder without any"),
    "words of another form": (("transcribe", "tmp/x", "--words"), "verbose_json"),
    "speakers where they have no place": (
        ("transcribe", "tmp/x", "--speakers", "-f", "json"), "diarized_json",
    ),
    "samples at no rate": (("vad", "a.wav", "--raw", "0"), "--raw 0"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_done_is_told_and_nothing_is_left(desk: Desk, wrong: str) -> None:
    words, told = WRONG[wrong]
    (desk.folder / "a.wav").write_bytes(b"from before")
    done = desk.run(*words)
    assert done.returncode == 2
    assert told in done.stderr
    assert "  try: " in done.stderr
    assert (desk.folder / "a.wav").read_bytes() == b"from before"
    assert desk.left() == []


def test_speed_is_heard(desk: Desk) -> None:
    lengths = []
    for speed in ("0.7", "1", "2"):
        done = desk.run("say", SENTENCES[0], "--speed", speed, "-o", "a.wav")
        assert done.returncode == 0, done.stderr
        lengths.append(len(read_audio(desk.folder / "a.wav")))
    assert lengths[0] > 1.2 * lengths[1] > 1.8 * lengths[2]


FULL = {"say": ("say", SENTENCES[0], "-o"), "transcribe": ("transcribe", "talk.wav", "-o")}


@pytest.mark.linux
@pytest.mark.parametrize("command", FULL)
def test_a_full_disk_is_told_of_and_nothing_half_written_stays(desk: Desk, command: str) -> None:
    desk.recording("talk.wav")
    small = desk.folder / "small"
    small.mkdir()
    script = f'mount -t tmpfs -o size=4k none {small} && cp talk.wav {small}/filled; exec "$@"'
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, "sh", sys.executable, "-m", "holdfast",
         *FULL[command], f"small/b.{'wav' if command == 'say' else 'txt'}"],
        env=desk.env, cwd=desk.folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (7, ""), done.stderr
    assert "No space left on device" in done.stderr


@pytest.mark.linux
@pytest.mark.parametrize("words", [("say", "hello", "-o", "-"), ("transcribe", "talk.wav")])
def test_full_standard_output_is_told_of(desk: Desk, words: tuple[str, ...]) -> None:
    desk.recording("talk.wav")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "holdfast", *words], env=desk.env, cwd=desk.folder,
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "No space left on device" in done.stderr


def test_whoever_stops_listening_ends_it_quietly(desk: Desk) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "holdfast", "say", f"{SENTENCES[0]} " * 100, "-o", "-"],
        env=desk.env, cwd=desk.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(4) == b"RIFF"
        process.stdout.close()
        assert process.wait(30) == 1
        assert process.stderr.read() == b""


def test_an_interrupted_say_leaves_what_was_there_before(desk: Desk) -> None:
    (desk.folder / "a.wav").write_bytes(b"from before")
    (desk.folder / "long.txt").write_text(f"{SENTENCES[0]} " * 5_000)
    with (desk.folder / "long.txt").open() as text:
        process = subprocess.Popen(
            [sys.executable, "-m", "holdfast", "say", "-", "-o", "a.wav"], env=desk.env,
            cwd=desk.folder, stdin=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    deadline = time.monotonic() + 30
    while not desk.left():  # it has begun to write
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, ""), told
    assert "Traceback" not in told
    assert (desk.folder / "a.wav").read_bytes() == b"from before"
    assert desk.left() == []


def test_where_nothing_can_be_written_it_is_said(desk: Desk) -> None:
    (desk.folder / "blocked").write_text("a file")
    done = desk.run("say", "hello", "-o", "blocked/a.wav")
    assert done.returncode == 7
    assert "blocked/a.wav cannot be written" in done.stderr
    assert desk.left() == []


# --- transcribe -------------------------------------------------------------------------------


def test_one_recording_is_read_to_the_terminal(desk: Desk) -> None:
    desk.recording("talk.wav")
    text = desk.run("transcribe", "talk.wav")
    assert text.returncode == 0, text.stderr
    assert "library" in text.stdout
    assert "low-accuracy@" in text.stderr
    shown = list(srt.parse(desk.run("transcribe", "talk.wav", "-f", "srt").stdout))
    cues = webvtt.from_string(desk.run("transcribe", "talk.wav", "-f", "vtt").stdout).captions
    assert [each.content for each in shown] == [cue.text for cue in cues]
    found = json.loads(desk.run("transcribe", "talk.wav", "-f", "verbose_json", "--words").stdout)
    assert " ".join(word["word"] for word in found["words"]) == found["text"]
    assert [path.name for path in desk.folder.glob("talk*")] == ["talk.wav"]


def test_folders_and_patterns_are_read_into_files_once(desk: Desk) -> None:
    desk.recording("calls/one.wav")
    desk.recording("calls/deep/two.wav", SENTENCES[1])
    shutil.copyfile(desk.folder / "calls/one.wav", desk.folder / "calls/one.flac")  # WAV inside
    (desk.folder / "calls/notes.txt").write_text("no recording")
    first = desk.run("transcribe", "calls", "-f", "srt", "-o", "subtitles")
    assert first.returncode == 0, first.stderr
    made = ["deep/two.srt", "one.flac.srt", "one.wav.srt"]
    assert sorted(first.stdout.split()) == [f"subtitles/{name}" for name in made]
    texts = {name: (desk.folder / "subtitles" / name).read_text() for name in made}
    assert all(list(srt.parse(text)) for text in texts.values())

    again = desk.run("transcribe", "calls", "-f", "srt", "-o", "subtitles")
    assert (again.returncode, again.stdout) == (0, "")
    assert "3 of 3 are read already" in again.stderr

    (desk.folder / "subtitles/one.wav.srt").unlink()
    os.utime(desk.folder / "calls/deep/two.wav", (time.time() + 60,) * 2)  # it was recorded anew
    rest = desk.run("transcribe", "calls", "-f", "srt", "-o", "subtitles", "--json")
    outputs = [json.loads(line)["output"] for line in rest.stdout.splitlines()]
    assert sorted(outputs) == ["subtitles/deep/two.srt", "subtitles/one.wav.srt"]
    notes = desk.run("transcribe", "calls/*.txt")  # a pattern is for recordings
    assert (notes.returncode, notes.stdout) == (2, "")


def test_equal_names_from_two_folders_stay_two(desk: Desk) -> None:
    first, second = desk.recording("one/talk.wav"), desk.recording("two/talk.wav", SENTENCES[1])
    done = desk.run("transcribe", "one/talk.wav", "two", "one/../one/talk.wav", "-o", "texts")
    assert sorted(done.stdout.split()) == ["texts/one/talk.txt", "texts/two/talk.txt"], done.stderr
    texts = [(desk.folder / name).read_text() for name in sorted(done.stdout.split())]
    assert [desk.run("transcribe", each).stdout for each in (first, second)] == texts
    assert texts[0] != texts[1]


def test_the_outputs_suffix_says_what_is_written(desk: Desk) -> None:
    desk.recording("talk.wav")
    for name in ("a.srt", "a.vtt", "a.json", "a.txt"):
        done = desk.run("transcribe", "talk.wav", "-o", name)
        assert (done.returncode, done.stdout) == (0, f"{name}\n"), done.stderr
    (cue, *_) = srt.parse((desk.folder / "a.srt").read_text())
    assert webvtt.read(str(desk.folder / "a.vtt")).captions[0].text == cue.content
    text = json.loads((desk.folder / "a.json").read_text())["text"]
    assert (desk.folder / "a.txt").read_text() == f"{text}\n"
    # What is said counts more.
    desk.run("transcribe", "talk.wav", "-o", "b.srt", "-f", "text")
    assert (desk.folder / "b.srt").read_text() == f"{text}\n"
    told = json.loads(desk.run("transcribe", "talk.wav", "--json").stdout)
    assert told == {"file": "talk.wav", "text": text}


@pytest.mark.parametrize("command", ["transcribe", "vad"])
def test_what_is_no_recording_is_told_at_once(desk: Desk, command: str) -> None:
    (desk.folder / "program.wav").write_bytes(Path(sys.executable).read_bytes()[:100_000])
    (desk.folder / "empty.wav").touch()
    silent_flac(desk.folder / "ten-hours.flac", 36_000)
    told = {"program.wav": "not-audio", "empty.wav": "audio-empty",
            "ten-hours.flac": "audio-too-long"}  # fmt: skip
    for name, code in told.items():
        done = desk.run(command, name)
        assert (done.returncode, done.stdout) == (9, "")
        assert f"error[{code}]: {name}" in done.stderr


def test_a_broken_one_does_not_keep_the_others_from_being_read(desk: Desk) -> None:
    desk.recording("a.wav")
    (desk.folder / "b.wav").write_text("hello")
    desk.recording("c.wav", SENTENCES[2])
    done = desk.run("transcribe", "a.wav", "b.wav", "c.wav")
    assert done.returncode == 9
    assert done.stdout.split() == ["a.txt", "c.txt"]
    assert "error[not-audio]: b.wav" in done.stderr
    assert not (desk.folder / "b.txt").exists()


def test_an_interrupted_run_leaves_what_is_done_and_goes_on(desk: Desk) -> None:
    for number in range(4):
        desk.recording(f"talks/{number}.wav", SENTENCES[number])
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "transcribe", "talks"], env=desk.env, cwd=desk.folder,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "talks/0.txt\n"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    done = {path.name for path in (desk.folder / "talks").glob("*.txt")}
    assert "0.txt" in done
    assert len(done) < 4
    assert desk.left() == []
    rest = desk.run("transcribe", "talks")
    assert rest.returncode == 0
    assert f"{len(done)} of 4 are read already" in rest.stderr


def test_an_interruption_within_the_decoder_is_not_lost(desk: Desk) -> None:
    # FFmpeg swallows what Python raises while it is asked for the next bytes.
    program = """
import signal, sys
from holdfast.cli.main import entry
from holdfast.media import _lasting
turns = iter(range(1000))
vars(_lasting)["kill"] = lambda: next(turns) == 3 and signal.raise_signal(2)
exec("def read(self, size=-1):\\n    kill()\\n    return self._file.read(size)", vars(_lasting))
_lasting.Lasting.read = _lasting.read
sys.argv = ["holdfast", "transcribe", "talk.wav"]
entry()
"""
    desk.recording("talk.wav", SENTENCES[0])
    done = subprocess.run(
        [sys.executable, "-c", program], env=desk.env, cwd=desk.folder, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "interrupted: run the same command again" in done.stderr


def test_who_speaks_is_told_by_the_enrolled_voices(desk: Desk) -> None:
    for number in range(2, 5):
        sample = desk.recording(f"rms{number}.wav", SENTENCES[number])
        enrolled = desk.run("voiceprint", "enroll", "rob", sample, "--name", "Rob")
        assert enrolled.returncode == 0, enrolled.stderr
    mine = speak(desk.folder / "tmp", "flite:rms", SENTENCES[0])
    other = speak(desk.folder / "tmp", "flite:slt", SENTENCES[1])
    talk = mixed(desk.folder, mine, other)
    lines = desk.run("transcribe", talk, "--speakers").stdout.splitlines()
    assert lines[0].startswith("Rob: ")
    assert lines[-1].startswith("unknown: ")
    shown = list(srt.parse(desk.run("transcribe", talk, "--speakers", "-f", "srt").stdout))
    assert shown[0].content.startswith("Rob: ")
    found = json.loads(desk.run("transcribe", talk, "-f", "diarized_json").stdout)
    assert found["segments"][0]["speaker"] == "Rob"


def test_what_the_model_cannot_do_is_told(desk: Desk) -> None:
    desk.recording("talk.wav")
    for words in (("--translate",), ("--language", "de")):
        done = desk.run("transcribe", "talk.wav", *words)
        assert done.returncode == 2
        assert "option-invalid" in done.stderr


def test_how_far_it_has_come_is_shown_on_a_terminal(desk: Desk) -> None:
    """Two minutes of sound, of which the reader finds little to read."""
    import numpy as np

    speech = read_audio(desk.recording("talk.wav"))
    tone = np.tile(np.concatenate([speech, np.zeros(16_000 * 20, np.float32)]), 5)
    form = Form("flac", "flac", "flac", 16_000)
    write_audio(desk.folder / "long.flac", tone[np.newaxis, :], form)
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "holdfast", "transcribe", "long.flac", "-o", "long.txt"],
        env=desk.env | {"TERM": "xterm", "COLUMNS": "100"}, cwd=desk.folder,
        stdout=subprocess.DEVNULL, stderr=follower,
    ) as process:  # fmt: skip
        os.close(follower)
        shown = b""
        while True:
            try:
                block = os.read(leader, 65_536)
            except OSError:
                break  # the other side is closed
            if not block:
                break
            shown += block
        assert process.wait(60) == 0, shown.decode()
    os.close(leader)
    assert b"s of sound" in shown
    assert b" left" in shown


def test_a_recording_is_never_written_over(desk: Desk) -> None:
    path = desk.recording("self.wav")
    before = path.read_bytes()
    (desk.folder / "link.wav").symlink_to(path)
    for name in ("self.wav", "link.wav"):
        done = desk.run("transcribe", "self.wav", "-f", "text", "-o", name)
        assert done.returncode == 2
        assert "would be written over" in done.stderr
    assert path.read_bytes() == before


def test_a_file_that_is_named_is_always_written_and_in_its_own_form(desk: Desk) -> None:
    desk.recording("a.wav", SENTENCES[0])
    desk.recording("b.wav", SENTENCES[1])
    assert desk.run("transcribe", "b.wav", "-o", "out.srt").returncode == 0
    assert desk.run("transcribe", "a.wav", "-o", "out.srt").returncode == 0
    assert "library" in (desk.folder / "out.srt").read_text()
    assert desk.run("transcribe", "a.wav", "-o", "out.srt", "-f", "vtt").returncode == 0
    assert (desk.folder / "out.srt").read_text().startswith("WEBVTT")
    assert "library" in desk.run("transcribe", "a.wav", "-o", "-").stdout
    for words in (
        ("a.wav", "-o", "x.docx"),
        ("a.wav", "b.wav", "-o", "x.txt"),
        ("a.wav", "-o", ""),
    ):
        assert desk.run("transcribe", *words).returncode == 2
    assert sorted(path.name for path in desk.folder.glob("*.*")) == ["a.wav", "b.wav", "out.srt"]


def test_what_was_asked_otherwise_is_read_anew_and_what_is_not_ours_stays(desk: Desk) -> None:
    desk.recording("n/talk.wav")
    desk.recording("n/other.wav")
    notes = desk.folder / "n/talk.txt"
    notes.write_text("my precious notes")
    refused = desk.run("transcribe", "n")
    assert refused.returncode == 2
    assert "was not written by this command" in refused.stderr
    assert refused.stdout == "n/other.txt\n"  # it stops no other
    assert notes.read_text() == "my precious notes"
    (desk.folder / "n/other.wav").unlink()
    assert desk.run("transcribe", "n", "-o", "out", "-f", "json").returncode == 0
    assert desk.run("transcribe", "n", "-o", "out", "-f", "json").stdout == ""
    anew = desk.run("transcribe", "n", "-o", "out", "-f", "verbose_json")
    assert anew.stdout == "out/talk.json\n"
    assert "segments" in json.loads((desk.folder / "out/talk.json").read_text())
    assert desk.run("transcribe", "n", "--again").returncode == 0
    assert "library" in notes.read_text()


def test_what_cannot_be_read_or_found_is_told_and_the_others_are_read(desk: Desk) -> None:
    desk.recording("good.wav")
    (desk.folder / "loop.wav").symlink_to("loop.wav")
    done = desk.run("transcribe", "good.wav", "gone.wav", "nothing/*.wav", "loop.wav", "-o", "out")
    assert done.returncode == 2
    assert done.stdout == "out/good.txt\n"
    assert done.stderr.count("there is no recording") == 3


def test_a_recording_that_may_not_be_opened_is_told_so(desk: Desk) -> None:
    with stranger_user(extras=("speech",)) as stranger:
        for name, mode in (("shut.wav", 0o000), ("open.wav", 0o644)):
            path = stranger.folder / name
            shutil.copyfile(speak(desk.folder / "tmp", "flite:rms", SENTENCES[0]), path)
            path.chmod(mode)
        program = (
            "import sys; from pathlib import Path; from holdfast.media import probe_audio;"
            "probe_audio(Path(sys.argv[1]))"
        )
        done = stranger.run("-c", program, str(stranger.folder / "shut.wav"))
        assert "AudioUnreadable: shut.wav cannot be read: Permission denied" in done.stderr
        fine = stranger.run("-c", program, str(stranger.folder / "open.wav"))
        assert fine.returncode == 0, fine.stderr
