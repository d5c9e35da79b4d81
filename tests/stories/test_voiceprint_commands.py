"""`holdfast voiceprint`, as a person runs it."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from holdfast.config import ServiceSettings, Settings
from holdfast.events import Reporter
from holdfast.refs import RevisionRef
from holdfast.runtime import Provided, carry_out
from holdfast.voiceprint import FINGERPRINT_FILE, sample_voices
from holdfast.voiceprint.gallery import Profile
from holdfast.wiring import provide_starter, services_of
from tests.stories.test_apps import bare, holdfast
from tests.support.voices import SENTENCES, speak, write_wav

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


def test_a_refused_recording_makes_no_speaker_and_a_new_name_loses_nothing(tmp_path: Path) -> None:
    env = bare(tmp_path)
    rubbish = tmp_path / "rubbish.wav"
    rubbish.write_bytes(b"no sound" * 99)
    assert holdfast("voiceprint", "enroll", "ada", rubbish, env=env).returncode != 0
    silent = write_wav(tmp_path / "silent.wav", np.zeros(80_000, np.float32))
    refused = holdfast("voiceprint", "enroll", "ada", silent, env=env)
    assert refused.returncode == 1
    assert "nobody speaks in it" in refused.stdout
    assert holdfast("voiceprint", "speakers", "--json", env=env).stdout == "[]\n"

    told = ("--name", "Ada", "--consent", "signed", "--tag", "staff")
    done = holdfast("voiceprint", "enroll", "ada", HER, *told, env=env)
    assert done.returncode == 0
    renamed = holdfast("voiceprint", "enroll", "ada", HER_AGAIN, "--name", "Ada L.", env=env)
    assert renamed.returncode == 0
    assert "note:" not in renamed.stderr  # nothing was fetched: nothing to tell
    exported = json.loads(holdfast("voiceprint", "speakers", "--export", "ada", env=env).stdout)
    kept = exported["profile"]
    assert (kept["display_name"], kept["consent"], kept["tags"]) == ("Ada L.", "signed", ["staff"])
    audit = holdfast("voiceprint", "speakers", "--audit", env=env).stdout.splitlines()
    actions = [json.loads(line)["action"] for line in audit]
    assert actions == ["create", "enrol", "enrol", "change", "export"]


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

    asked = ("voiceprint", "calibrate", *given, "--data", "four voices")
    few = holdfast(*asked, env=env)
    assert (few.returncode, few.stdout) == (2, "")
    assert "12 trials of different speakers, and fewer than 100" in few.stderr
    fitted = holdfast(*asked, "--false-accepts", "0.1", "--json", env=env)
    assert fitted.returncode == 0, fitted.stderr
    scale = json.loads(fitted.stdout)
    assert (scale["data"], scale["trials"]) == ("four voices", 20)
    assert 0.1 < scale["false_accept_at_most"] < 0.4
    assert scale["llr_most"] == pytest.approx(math.log(13))
    verdict = holdfast("voiceprint", "compare", HER, HER_AGAIN, "--json", env=env)
    assert json.loads(verdict.stdout)["operating_point"]["data"] == "four voices"


STRANGERS = (
    "f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "Andy", "Annie",
    "Denis", "Diogo", "Gene", "Hugo", "Iven", "Lee", "Mario", "Michael", "Nguyen", "Robert",
)  # fmt: skip


def test_scores_are_normalised_with_strangers_from_calibration_to_decision(tmp_path: Path) -> None:
    audio, cohort = tmp_path / "audio", tmp_path / "cohort"
    names: dict[str, list[str]] = {}
    for voice in VOICES:
        folder = audio / voice.replace(":", "-")
        folder.mkdir(parents=True)
        names[voice] = [
            speak(folder, voice, text).relative_to(audio).as_posix() for text in SENTENCES[:3]
        ]
    lines = [f"1 {first} {other}" for first, *others in names.values() for other in others]
    lines += [f"0 {one[0]} {other[1]}" for one in names.values() for other in names.values()
              if one is not other]  # fmt: skip
    trials = tmp_path / "trials.txt"
    trials.write_text("\n".join(lines) + "\n")
    for stranger in STRANGERS:
        (cohort / stranger).mkdir(parents=True)
        speak(cohort / stranger, f"espeak:{stranger}", SENTENCES[5])
    env = bare(tmp_path)
    probe = [*(audio / name for name in names[VOICES[0]][:2])]
    plain = json.loads(holdfast("voiceprint", "compare", *probe, "--json", env=env).stdout)

    given = ("voiceprint", "calibrate", trials, "--audio", audio, "--data", "four voices",
             "--false-accepts", "0.1")  # fmt: skip
    few = tmp_path / "few"
    (few / "one").mkdir(parents=True)
    speak(few / "one", "espeak:f1", SENTENCES[0])
    refused = holdfast(*given, "--cohort", few, env=env)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "error[cohort-invalid]" in refused.stderr
    assert "1 people are there, and 20 are needed" in refused.stderr
    (cohort / "notes.txt").write_text("no recording")
    refused = holdfast(*given, "--cohort", cohort, env=env)
    assert "notes.txt" in refused.stderr

    fitted = holdfast(*given, "--cohort", cohort, "--skip-unusable", "--json", env=env)
    assert fitted.returncode == 0, fitted.stderr
    scale = json.loads(fitted.stdout)
    assert len(scale["cohort"]) == 16
    assert scale["min_same_voice"] is not None  # what the model's own scale knows is kept
    found = json.loads(holdfast("voiceprint", "compare", *probe, "--json", env=env).stdout)
    assert found["operating_point"]["normalised"] is True
    assert found["decision"] == "accept"
    assert found["threshold"] == pytest.approx(scale["accept_at"], abs=1e-4)
    assert found["score"] != pytest.approx(plain["score"], abs=0.05)
    rated = holdfast("voiceprint", "evaluate", trials, "--audio", audio, "--json", env=env)
    outcome = json.loads(rated.stdout)
    assert outcome["figures"]["eer"]["value"] < 0.2

    # Enrolled speakers are found by the same scores.
    for number, voice in enumerate(VOICES):
        files = [audio / name for name in names[voice][1:]]
        holdfast("voiceprint", "enroll", f"speaker-{number}", *files, env=env)
    named = json.loads(holdfast("voiceprint", "identify", probe[0], "--json", env=env).stdout)
    assert [each["speaker_id"] for each in named["candidates"]] == ["speaker-0"]
    own = json.loads(
        holdfast("voiceprint", "verify", "speaker-0", probe[0], "--json", env=env).stdout
    )
    assert own["score"] == pytest.approx(named["candidates"][0]["score"], abs=1e-3)

    # Fitted without, scores are cosines again.
    assert holdfast(*given, env=env).returncode == 0
    again = json.loads(holdfast("voiceprint", "compare", *probe, "--json", env=env).stdout)
    assert again["score"] == plain["score"]


def test_another_model_enrols_from_recordings_that_were_kept(tmp_path: Path) -> None:
    env = bare(tmp_path) | {"HOLDFAST_DATA": str(tmp_path / "data")}
    kept = [speak(tmp_path, VOICES[0], text) for text in SENTENCES[:2]]
    lost = [speak(tmp_path, VOICES[1], text) for text in SENTENCES[:2]]
    _enrol_with_another_model(tmp_path, env, {"kept": kept}, keep_audio=True)
    _enrol_with_another_model(tmp_path, env, {"lost": lost}, keep_audio=False)

    named = holdfast("voiceprint", "speakers", "--outdated", env=env)
    assert named.stdout.split() == ["kept", "lost"]
    probe = speak(tmp_path, VOICES[0], SENTENCES[3])
    before = json.loads(holdfast("voiceprint", "verify", "kept", probe, "--json", env=env).stdout)
    assert before["decision"] == "not_enrolled"
    done = holdfast("voiceprint", "speakers", "--re-enroll", env=env)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "kept: 2 recording(s) enrolled again",
        "lost: no recording is kept, and new ones are needed",
    ]
    assert holdfast("voiceprint", "verify", "kept", probe, env=env).stdout == "accept\n"
    named = holdfast("voiceprint", "speakers", "--outdated", env=env)
    assert named.stdout.split() == ["lost"]
    assert holdfast("voiceprint", "speakers", "--re-enroll", env=env).stdout.count("kept:") == 0


def _enrol_with_another_model(
    place: Path, env: dict[str, str], voices: dict[str, list[Path]], *, keep_audio: bool
) -> None:
    """Enrol with the starter model under another name: a template knows its model by that."""
    bring = provide_starter(Settings.from_env(env), env)

    def provide(ref: RevisionRef, report: Reporter) -> Provided:
        found = bring(ref, report)
        if ref.repo.id.startswith("holdfast/voiceprint"):
            folder = place / "another"
            shutil.copytree(found.folder, folder, dirs_exist_ok=True)
            (folder / FINGERPRINT_FILE).write_text("another-model-00")
            return Provided(folder, found.revision)
        return found

    service = ServiceSettings(
        documents_processes=0, data=Path(env["HOLDFAST_DATA"]), voiceprint_keep_audio=keep_audio
    )
    services = services_of(provide, service=service, env=env)
    services.supervisor.start()
    try:
        assert services.supervisor.wait_ready(60)
        for speaker, files in voices.items():
            services.voiceprint.gallery.put(Profile(id=speaker))
            done = carry_out(services.voiceprint.enrol(speaker, files))
            assert done.accepted == len(files)
    finally:
        services.supervisor.close()
        services.voices.close()


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
