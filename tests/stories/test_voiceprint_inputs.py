"""What voiceprints are given from outside, and cannot take: said by name, on every way in."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3

from holdfast.cli._context import Context
from holdfast.client import AsyncClient, Client
from holdfast.config import Settings
from holdfast.server import ServerSettings, running_server
from holdfast.voiceprint import sample_voices
from holdfast.voiceprint.gallery import Gallery, Profile, SqliteStore, Utterance, Vault, read_key
from tests.stories.test_apps import bare, holdfast
from tests.stories.test_voiceprint_service import send, services_in
from tests.support.galleries import voice
from tests.support.voices import write_wav

HER, HER_AGAIN, _ = sample_voices()


# -- on the command line


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return bare(tmp_path, HOLDFAST_DATA=str(tmp_path / "data"))


def _gallery(env: dict[str, str]) -> Gallery:
    """Open the gallery that commands with ``env`` use."""
    folder = Path(env["HOLDFAST_DATA"], "voiceprint")
    vault = Vault(read_key((folder / "voiceprint.key").read_text()))
    return Gallery(SqliteStore(folder, vault.chain), vault)


@pytest.fixture
def gallery(env: dict[str, str]) -> Iterator[Gallery]:
    """Voices that the commands find."""
    holdfast("voiceprint", "speakers", env=env)  # makes the key
    found = _gallery(env)
    yield found
    found.close()


def test_what_is_printed_as_json_is_json_whatever_a_note_says(
    env: dict[str, str], gallery: Gallery
) -> None:
    odd = "a\x9b\u202e\u2028\x7f\n\u00e9\U0001f642"
    gallery.put(Profile(id="ada", consent=odd), by=odd)
    for more in ({}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "koi8-r"}):
        done = holdfast("voiceprint", "speakers", "--export", "ada", env=env | more)
        assert json.loads(done.stdout)["profile"]["consent"] == odd
        assert all(char.isprintable() or char == "\n" for char in done.stdout)
    audit = holdfast("voiceprint", "speakers", "--audit", env=env).stdout.splitlines()
    assert [json.loads(line)["action"] for line in audit] == ["create", *["export"] * 3]
    assert json.loads(audit[0])["by"] == odd


def test_a_list_has_a_line_for_each_speaker_and_says_who_is_damaged(
    env: dict[str, str], gallery: Gallery
) -> None:
    for name in ("ada", "eve"):
        gallery.put(Profile(id=name))
        gallery.enrol(name, [voice(1), replace(voice(1, "other"), facts={"of": "x"})])
    store = Path(env["HOLDFAST_DATA"], "voiceprint/voiceprint.sqlite")
    with sqlite3.connect(store) as db:
        db.execute("UPDATE utterances SET sealed = zeroblob(99) WHERE speaker = 'eve'")
    db.close()
    done = holdfast("voiceprint", "speakers", env=env)
    assert done.stdout.splitlines() == ["ada  5.0 s", "eve  damaged"]
    assert done.returncode == 1
    assert "--erase eve" in done.stderr
    told = holdfast("voiceprint", "speakers", "--json", env=env)
    assert [(each["id"], each["damaged"]) for each in json.loads(told.stdout)] == [
        ("ada", False), ("eve", True),
    ]  # fmt: skip
    erased = holdfast("voiceprint", "speakers", "--erase", "eve", "--json", env=env)
    assert json.loads(erased.stdout) == {"erased": "eve"}
    exported = holdfast("voiceprint", "speakers", "--export", "ada", env=env).stdout
    gallery.erase("ada")
    kept = Path(env["HOME"], "ada.json")
    kept.write_text(exported)
    taken = holdfast("voiceprint", "speakers", "--import", kept, "--json", env=env)
    assert json.loads(taken.stdout) == {"imported": "ada"}
    kept.write_text("[" * 100_000)
    deep = holdfast("voiceprint", "speakers", "--import", kept, env=env)
    assert deep.returncode == 2
    assert "error[config-invalid]" in deep.stderr
    assert "nested too deep" in deep.stderr


def _raw(*arguments: bytes, env: dict[bytes, bytes]) -> subprocess.CompletedProcess[str]:
    command = [os.fsencode(sys.executable), b"-m", b"holdfast", b"voiceprint", *arguments]
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=120, check=False,
        cwd=env[b"HOME"],
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="arguments are bytes on POSIX only")
def test_arguments_that_are_no_text_end_no_command_in_a_traceback(env: dict[str, str]) -> None:
    raw = {os.fsencode(name): os.fsencode(value) for name, value in env.items()}
    her = os.fsencode(HER)
    done = _raw(b"enroll", b"\xff", her, env=raw)
    assert (done.returncode, "error[speaker-invalid]" in done.stderr) == (2, True), done.stderr
    done = _raw(b"enroll", b"ada", her, b"--name", b"evil\nada  99.9 s  fake", env=raw)
    assert (done.returncode, "error[speaker-invalid]" in done.stderr) == (2, True), done.stderr
    done = _raw(b"enroll", b"ada", her, env=raw | {b"USER": b"x\xff"})
    assert done.returncode == 0, done.stderr
    done = _raw(b"verify", b"ada", b"n" * 300, env=raw)
    assert (done.returncode, "error[config-invalid]" in done.stderr) == (2, True), done.stderr
    assert "too long" in done.stderr
    for top in (b"0", b"-5"):
        done = _raw(b"identify", her, b"--top", top, env=raw)
        assert (done.returncode, "error[option-invalid]" in done.stderr) == (2, True), done.stderr


def test_one_broken_file_is_refused_by_name_and_the_others_are_enrolled(
    env: dict[str, str], tmp_path: Path
) -> None:
    for name, content in (("empty.wav", b""), ("cut.wav", HER.read_bytes()[:20_000]),
                          ("no.wav", b"no sound" * 99)):  # fmt: skip
        (tmp_path / name).write_bytes(content)
    silent = write_wav(tmp_path / "silent.wav", np.zeros(80_000, np.float32))
    broken = [tmp_path / name for name in ("empty.wav", "cut.wav", "no.wav")]
    done = holdfast("voiceprint", "enroll", "ada", *broken, HER, silent, "--json", env=env)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    codes = [[each["code"] for each in one["reasons"]] for one in told["utterances"]]
    assert codes == [["audio-empty"], ["audio-truncated"], ["not-audio"], [], ["no-speech"]]
    again = holdfast("voiceprint", "enroll", "ada", *broken[:1], env=env)
    assert again.returncode == 1
    assert again.stdout.startswith(f"{broken[0]}: ")
    assert "is empty" in again.stdout
    assert f"ada has {told['speech_s']:.1f} s" in again.stderr  # what was enrolled is not forgotten


def test_what_cannot_be_enrolled_again_stops_no_other_speaker(
    env: dict[str, str], gallery: Gallery
) -> None:
    from holdfast.media import flac_bytes, read_audio

    good = flac_bytes(read_audio(HER))
    for name, audio in (("ada", [b"fLaC" + bytes(99)]), ("ben", [b"fLaC", good]), ("cy", [good])):
        gallery.put(Profile(id=name))
        gallery.enrol(name, [replace(voice(1, "old"), audio=each) for each in audio])
    listed = holdfast("voiceprint", "speakers", "--outdated", "--json", env=env)
    assert json.loads(listed.stdout) == ["ada", "ben", "cy"]
    done = holdfast("voiceprint", "speakers", "--re-enroll", env=env)
    assert done.returncode == 1, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first.startswith("ada: the recording")
    assert second.startswith("ben: 1 recording(s) enrolled again; the recording")
    assert third == "cy: 1 recording(s) enrolled again"
    assert "ben  10.0 s" in holdfast("voiceprint", "speakers", env=env).stdout
    done = holdfast("voiceprint", "speakers", "--re-enroll", "--json", env=env)
    (left,) = json.loads(done.stdout)
    assert (left["id"], left["enrolled"], len(left["reasons"])) == ("ada", 0, 1)


def test_a_key_that_is_none_is_said_and_no_new_one_is_advised(env: dict[str, str]) -> None:
    holdfast("voiceprint", "speakers", env=env)
    key = Path(env["HOLDFAST_DATA"], "voiceprint/voiceprint.key")
    key.write_text("corrupt")
    done = holdfast("voiceprint", "speakers", env=env)
    assert (done.returncode, "error[vault-key-wrong]" in done.stderr) == (2, True)
    assert "that the voices were enrolled with" in done.stderr
    key.unlink()
    key.mkdir()
    done = holdfast("voiceprint", "speakers", env=env)
    assert (done.returncode, "error[vault-key-missing]" in done.stderr) == (2, True), done.stderr
    assert str(key) in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="names are bytes on POSIX only")
def test_a_list_of_any_name_is_reported_on(tmp_path: Path, env: dict[str, str]) -> None:
    pytest.importorskip("matplotlib")
    for number, path in enumerate((HER, HER_AGAIN, sample_voices().other)):
        (tmp_path / str(number)).mkdir()
        shutil.copy(path, tmp_path / f"{number}/a.wav")
    trials = os.fsencode(tmp_path) + b"/\xff.txt"
    Path(os.fsdecode(trials)).write_text("1 0/a.wav 1/a.wav\n0 0/a.wav 2/a.wav\n")
    raw = {os.fsencode(name): os.fsencode(value) for name, value in env.items()}
    done = _raw(b"evaluate", trials, b"--audio", os.fsencode(tmp_path), b"--report", b"r", env=raw)
    assert done.returncode == 0, done.stderr
    assert "?.txt" in (tmp_path / "r/report.html").read_text("utf-8")


def test_json_of_one_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    context = Context(Settings.from_env({}), {}, json=True)
    context.result_json_line({"a": "\u2028\ud800\x85\u00e9"})
    assert capsys.readouterr().out == '{"a": "\\u2028\\ud800\\u0085\u00e9"}\n'


# -- over HTTP


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    services = services_in(tmp_path_factory.mktemp("place"))
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(60)
        yield running.url


def _ask(method: str, url: str, **more: Any) -> tuple[int, Any]:
    with urllib3.PoolManager(timeout=60, retries=False) as pool:
        answer = pool.request(method, url, **more)
        return answer.status, answer.json()


def test_a_profile_that_cannot_be_sent_is_refused_and_the_list_goes_on(server: str) -> None:
    url = f"{server}/v1/voiceprint/speakers"
    for body, code in (
        (r'{"display_name": "\ud800"}', "speaker-invalid"),
        (r'{"display_name": "a\nb"}', "speaker-invalid"),
        (r'{"consent": "\udfff"}', "speaker-invalid"),
        ('{"name": "Bob"}', "request-invalid"),
        (r'{"\ud800": 1}', "request-invalid"),
    ):
        kind = {"content-type": "application/json"}
        status, answer = _ask("PUT", f"{url}/bob", body=body, headers=kind)
        assert (status, answer["error"]["code"]) == (422, code), body
    status, answer = _ask("GET", url)
    assert (status, answer) == (200, {"speakers": [], "damaged": [], "next": None})
    status, answer = _ask("POST", url, body=b"[" * 100_000)
    assert status == 422


def test_one_broken_file_of_a_form_is_refused_alone(server: str, tmp_path: Path) -> None:
    url = f"{server}/v1/voiceprint"
    _ask("PUT", f"{url}/speakers/ada", json={})
    (tmp_path / "empty.wav").write_bytes(b"")
    with urllib3.PoolManager(timeout=60, retries=False) as pool:
        files = [HER, tmp_path / "empty.wav"]
        status, told = send(pool, f"{url}/speakers/ada/enrollments", files)
        assert (status, told["accepted"]) == (200, 1)
        assert told["utterances"][1]["reasons"][0]["code"] == "audio-empty"
        twice = [("file", ("a.wav", HER.read_bytes())), ("speaker_id", "ada"), ("speaker_id", "b")]
        answer = pool.request("POST", f"{url}/verify", fields=twice)
        assert (answer.status, answer.json()["error"]["param"]) == (422, "speaker_id")
    _ask("GET", f"{url}/speakers/ada")
    with Client(server) as client:
        client.erase_speaker("ada")


def test_places_of_the_service_are_for_its_log_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    services = services_in(tmp_path)
    (tmp_path / "data/voiceprint").mkdir(parents=True)
    (tmp_path / "data/voiceprint/voiceprint.sqlite").write_bytes(b"no database" * 99)
    (tmp_path / "data/voiceprint/voiceprint.key").write_text("A" * 43 + "=")
    with running_server(services, ServerSettings(port=0)) as running:
        status, answer = _ask("GET", f"{running.url}/v1/voiceprint/speakers")
        assert (status, answer["error"]["code"]) == (503, "gallery-unusable")
        (tmp_path / "data/voiceprint/voiceprint.key").unlink()
        status, other = _ask("GET", f"{running.url}/v1/voiceprint/speakers")
        assert (status, other["error"]["code"]) == (503, "vault-key-missing")
    assert str(tmp_path) not in json.dumps([answer, other])
    assert f"{tmp_path}/data/voiceprint cannot be used" in caplog.text


def test_one_that_is_damaged_names_nobody_and_stops_nobody(server: str, tmp_path: Path) -> None:
    services = services_in(tmp_path)
    gallery = services.voices.open()
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(60)
        url = f"{running.url}/v1/voiceprint"
        with urllib3.PoolManager(timeout=60, retries=False) as pool:
            for name in ("ada", "eve"):
                _ask("PUT", f"{url}/speakers/{name}", json={})
                send(pool, f"{url}/speakers/{name}/enrollments", [HER])
            store = gallery._store
            assert isinstance(store, SqliteStore)
            store._db.execute("UPDATE speakers SET profile = zeroblob(99) WHERE id = 'eve'")
            found = send(pool, f"{url}/identify", [HER_AGAIN])[1]
            assert [each["speaker_id"] for each in found["candidates"]] == ["ada"]
            listed = _ask("GET", f"{url}/speakers?limit=2")[1]
            assert ([each["id"] for each in listed["speakers"]], listed["damaged"]) == (
                ["ada"], ["eve"],
            )  # fmt: skip
            # One whose vectors are of another length is said, not a failure of the service.
            gallery.put(Profile(id="odd"))
            model = found["model"]
            store._db.execute("DELETE FROM utterances")
            gallery.enrol("odd", [Utterance(vector=np.ones(7), model=model, speech_s=9.0)])
            status, told = send(pool, f"{url}/verify", [HER], speaker_id="odd")
            assert (status, told["error"]["code"]) == (503, "template-tampered")


# -- in the client


def test_what_no_service_takes_is_not_sent() -> None:
    with Client("http://127.0.0.1:9") as client:  # where nothing listens
        for speaker in ("..", ".", "", "a/b", "\ud800"):
            for asked in (client.speaker, client.erase_speaker, client.export_speaker):
                with pytest.raises(ValueError, match="no speaker's id"):
                    asked(speaker)
        with pytest.raises(ValueError, match="no recording"):
            client.enroll("ada", [])
        for about in ({"display_name": "\ud800"}, {"consent": "\ud800"}, {"tags": ["\ud800"]}):
            with pytest.raises(ValueError, match="half a character") as caught:
                client.put_speaker("ada", **about)  # type: ignore[arg-type]
            assert not isinstance(caught.value, UnicodeError)

    async def ask() -> None:
        async with AsyncClient("http://127.0.0.1:9") as client:
            with pytest.raises(ValueError, match="no speaker's id"):
                await client.erase_speaker("..")

    asyncio.run(ask())
