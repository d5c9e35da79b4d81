"""`holdfast voiceprint`, as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.voiceprint import sample_voices
from tests.stories.test_apps import bare, holdfast
from tests.support.voices import SENTENCES, speak

HER, HER_AGAIN, HIM = sample_voices()
VOICES = ("flite:slt", "flite:rms", "espeak:Storm", "espeak:travis")


def test_a_voice_from_its_enrolment_to_its_erasure(tmp_path: Path) -> None:
    env = bare(tmp_path)
    told = ("--name", "Ada L.", "--consent", "signed", "--tag", "staff")
    done = holdfast("voiceprint", "enroll", "ada", HER, *told, env=env)
    assert done.returncode == 0, done.stderr
    assert "s of speech: enrolled" in done.stdout
    assert "more are advised" in done.stderr

    own = holdfast("voiceprint", "verify", "ada", HER_AGAIN, env=env)
    assert (own.returncode, own.stdout) == (0, "accept\n"), own.stderr
    assert "held-out synthetic voices" in own.stderr
    assert "spoofing: not evaluated" in own.stderr
    other = holdfast("voiceprint", "verify", "ada", HIM, "--json", env=env)
    assert other.returncode == 1
    answer = json.loads(other.stdout)
    assert answer["decision"] == "reject"
    assert answer["score"] < answer["threshold"]
    assert answer["spoof"]["decision"] == "not_evaluated"

    found = holdfast("voiceprint", "identify", HER_AGAIN, env=env)
    assert found.stdout.split()[0] == "ada"
    assert "Ada L." in found.stdout
    nobody = holdfast("voiceprint", "identify", HIM, env=env)
    assert (nobody.returncode, nobody.stdout) == (1, "")
    two = holdfast("voiceprint", "compare", HER, HIM, env=env)
    assert (two.returncode, two.stdout) == (1, "reject\n")

    listed = json.loads(holdfast("voiceprint", "speakers", "--json", env=env).stdout)
    assert [(each["id"], each["tags"]) for each in listed] == [("ada", ["staff"])]
    exported = holdfast("voiceprint", "speakers", "--export", "ada", env=env)
    kept = tmp_path / "ada.json"
    kept.write_text(exported.stdout)
    assert holdfast("voiceprint", "speakers", "--erase", "ada", env=env).returncode == 0
    gone = holdfast("voiceprint", "verify", "ada", HER, env=env)
    assert (gone.returncode, gone.stdout) == (2, "")
    assert "error[unknown-speaker]" in gone.stderr
    assert holdfast("voiceprint", "speakers", "--import", kept, env=env).returncode == 0
    assert holdfast("voiceprint", "verify", "ada", HER_AGAIN, env=env).stdout == "accept\n"
    assert holdfast("voiceprint", "speakers", "--outdated", env=env).stdout == ""
    audit = holdfast("voiceprint", "speakers", "--audit", env=env).stdout.splitlines()
    actions = [json.loads(line)["action"] for line in audit]
    assert actions[:3] == ["create", "enrol", "verify"]
    assert "erase" in actions
    assert "export" in actions


def test_thresholds_are_fitted_to_ones_own_trials_and_rated(tmp_path: Path) -> None:
    audio = tmp_path / "audio"
    lines = []
    for voice in VOICES:
        (audio / voice.replace(":", "-")).mkdir(parents=True)
    names = {
        voice: [
            speak(audio / voice.replace(":", "-"), voice, text).relative_to(audio).as_posix()
            for text in SENTENCES[:3]
        ]
        for voice in VOICES
    }
    for voice in VOICES:
        first, *others = names[voice]
        lines += [f"1 {first} {other}" for other in others]
        lines += [f"0 {first} {names[who][0]}" for who in VOICES if who != voice]
    trials, scores = tmp_path / "trials.txt", tmp_path / "scores.tsv"
    trials.write_text("\n".join(lines) + "\n")
    env = bare(tmp_path)
    given = (trials, "--audio", audio, "--scores", scores)

    rated = holdfast("voiceprint", "evaluate", *given, "--json", env=env)
    assert rated.returncode == 0, rated.stderr
    report = json.loads(rated.stdout)
    assert report["trials"] == 20
    figures = report["figures"]
    assert figures["eer"]["value"] < 0.2
    assert set(figures) >= {"min_dcf_0.01", "min_dcf_0.05", "cllr", "min_cllr", "act_dcf_0.01"}
    assert figures["min_cllr"]["value"] <= figures["cllr"]["value"]

    # What was interrupted goes on: the last line was cut, and only that trial is scored again.
    whole = scores.read_text()
    scores.write_text(whole[:-9])
    for path in audio.rglob("*.wav"):
        if path.relative_to(audio).as_posix() not in lines[-1].split():
            path.unlink()
    again = holdfast("voiceprint", "evaluate", *given, "--json", env=env)
    assert json.loads(again.stdout)["figures"] == figures
    assert scores.read_text() == whole

    fitted = holdfast("voiceprint", "calibrate", *given, "--data", "four voices", env=env)
    assert fitted.returncode == 0, fitted.stderr
    scale = json.loads(Path(fitted.stdout.strip()).read_text())
    assert (scale["data"], scale["trials"]) == ("four voices", 20)
    verdict = holdfast("voiceprint", "compare", HER, HER_AGAIN, "--json", env=env)
    assert json.loads(verdict.stdout)["operating_point"]["data"] == "four voices"


@pytest.mark.parametrize(
    ("content", "told"),
    [("", "it has no trials"), ("1 a.wav\nx b c\n", "line 1"), (None, "No such file")],
)
def test_a_list_that_is_none_is_said(tmp_path: Path, content: str | None, told: str) -> None:
    trials = tmp_path / "trials.txt"
    if content is not None:
        trials.write_text(content)
    done = holdfast("voiceprint", "evaluate", trials, env=bare(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "error[trials-invalid]" in done.stderr
    assert told in done.stderr


def test_a_recording_that_is_not_there_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    done = holdfast("voiceprint", "verify", "ada", "nothing.wav", env=bare(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no recording nothing.wav" in done.stderr
    assert list(tmp_path.iterdir()) == []
