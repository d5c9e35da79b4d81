"""The commands of the applications, as a person runs them: vad, up, serve-hub."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from holdfast.speech import sample_recording
from tests.support.audio import Form, tone_file
from tests.support.deny import deny_prefix
from tests.support.serving import NO_DOCUMENTS
from tests.support.users import stranger_user

SEGMENTS = [{"start": 482, "end": 2206}, {"start": 4130, "end": 6718}]
LINES = ["0.482 -     2.206 s", "4.130 -     6.718 s"]
Run = subprocess.CompletedProcess[str]


def bare(home: Path, **more: str) -> dict[str, str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "HOLDFAST_HOME": str(home / "models")}
    return env | NO_DOCUMENTS | more


def holdfast(*arguments: str | Path, env: Mapping[str, str], prefix: tuple[str, ...] = ()) -> Run:
    command = [*prefix, sys.executable, "-m", "holdfast", *map(str, arguments)]
    return subprocess.run(
        command,
        env=dict(env),
        # Where it runs is where a home is looked for last.
        cwd=env["HOME"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def found(done: Run) -> list[dict[str, int]]:
    assert done.returncode == 0, done.stderr
    segments: list[dict[str, int]] = json.loads(done.stdout)["segments"]
    return segments


def test_nothing_is_written_outside_the_model_home(tmp_path: Path) -> None:
    done = holdfast("vad", sample_recording(), env=bare(tmp_path))
    assert done.returncode == 0, done.stderr
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert written == {"models"}


def test_vad_prints_segments_and_nothing_else_on_standard_output(tmp_path: Path) -> None:
    cold, warm = (holdfast("vad", sample_recording(), env=bare(tmp_path)) for _ in range(2))
    for done in (cold, warm):
        assert done.returncode == 0, done.stderr
        assert [line.strip() for line in done.stdout.splitlines()] == LINES
        assert "2 segment(s) of speech in two-sentences.flac" in done.stderr


def test_vad_answers_in_json(tmp_path: Path) -> None:
    done = holdfast("vad", "--json", env=bare(tmp_path))
    answer = json.loads(done.stdout)
    assert answer["segments"] == SEGMENTS
    assert answer["model"] == "holdfast/silero-vad"
    assert len(answer["revision"]) == 40
    one = holdfast("vad", "--json", "--min-silence-ms", "3000", env=bare(tmp_path))
    assert len(found(one)) == 1


def test_vad_needs_nobody_once_the_model_is_there(tmp_path: Path) -> None:
    env = bare(tmp_path)
    first = holdfast("vad", "--json", "--offline", env=env)
    assert (first.returncode, first.stdout) == (5, "")
    assert json.loads(first.stderr)["error"]["code"] == "not-here"
    assert found(holdfast("vad", "--json", env=env)) == SEGMENTS
    assert found(holdfast("vad", "--json", "--offline", env=env)) == SEGMENTS


def test_vad_reads_bare_samples(tmp_path: Path) -> None:
    import numpy as np

    from holdfast.media import read_audio

    raw = tmp_path / "speech.raw"
    raw.write_bytes((read_audio(sample_recording()) * 32_767).astype("<i2").tobytes())
    done = holdfast("vad", raw, "--raw", "16000", "--json", env=bare(tmp_path))
    assert np.allclose(
        [list(item.values()) for item in found(done)],
        [list(item.values()) for item in SEGMENTS],
        atol=40,
    )


@pytest.mark.parametrize(
    ("content", "arguments", "exit_code", "code"),
    [
        (b"", (), 9, "audio-empty"),
        (b"no recording\n", (), 9, "not-audio"),
        (None, (), 2, "config-invalid"),
        (b"x", ("--threshold", "7"), 2, "option-invalid"),
    ],
)
def test_vad_says_what_is_wrong(
    tmp_path: Path, content: bytes | None, arguments: tuple[str, ...], exit_code: int, code: str
) -> None:
    path = tmp_path / "file.wav"
    if content is not None:
        path.write_bytes(content)
    done = holdfast("vad", path, *arguments, env=bare(tmp_path))
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert f"error[{code}]" in done.stderr
    assert "Traceback" not in done.stderr


def test_silence_is_no_error(tmp_path: Path) -> None:
    path = tone_file(tmp_path, Form("wav", "wav", "pcm_s16le", 8_000), seconds=1)
    done = holdfast("vad", path, env=bare(tmp_path))
    assert (done.returncode, done.stdout) == (0, "")
    assert "0 segment(s)" in done.stderr


@pytest.mark.linux
@pytest.mark.parametrize(
    "refused",
    [
        {"symlink": "EPERM"},
        {"symlink": "EPERM", "link": "EPERM"},
        {"flock": "ENOLCK", "fcntl_lock": "ENOLCK"},
    ],
    ids=["no-symlinks", "no-links-at-all", "no-locks"],
)
@pytest.mark.usefixtures("seccomp")
def test_it_works_the_same_when_the_kernel_refuses(tmp_path: Path, refused: dict[str, str]) -> None:
    prefix = tuple(deny_prefix(**refused))
    for _ in range(2):
        assert found(holdfast("vad", "--json", env=bare(tmp_path), prefix=prefix)) == SEGMENTS
    links = [path for path in (tmp_path / "models").rglob("*") if path.is_symlink()]
    assert bool(links) is ("symlink" not in refused)


@pytest.mark.linux
def test_it_works_when_the_first_choice_of_a_home_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, so nothing can be made below it")
    env = bare(tmp_path)
    del env["HOLDFAST_HOME"]
    done = holdfast("vad", "--json", env=env | {"XDG_CACHE_HOME": str(blocked)})
    assert found(done) == SEGMENTS


@pytest.mark.root
@pytest.mark.linux
def test_it_works_for_a_user_without_a_name_or_a_home() -> None:
    with stranger_user(extras=("server", "voiceprint", "espeak")) as stranger:
        vad = stranger.run("-m", "holdfast", "vad", "--json")
        up = stranger.run("-m", "holdfast", "up", "--once", "--json", "--port", "0")
    assert found(vad) == SEGMENTS
    assert found(up) == SEGMENTS


@contextmanager
def started(*arguments: str | Path, env: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Start a serving command; give its address, from standard output, and the process."""
    command = [sys.executable, "-m", "holdfast", *map(str, arguments)]
    with subprocess.Popen(
        command, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def get(url: str) -> urllib3.BaseHTTPResponse:
    with urllib3.PoolManager(retries=False, timeout=30) as pool:
        return pool.request("GET", url)


def wait_for(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(600):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError("it did not come true in time")


def test_up_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    with started("up", "--port", "0", env=bare(tmp_path)) as (url, process):
        assert get(f"{url}/health").status == 200
        wait_for(lambda: get(f"{url}/ready").status == 200)
        with urllib3.PoolManager(retries=False, timeout=30) as pool:
            content = sample_recording().read_bytes()
            answer = pool.request(
                "POST",
                f"{url}/v1/audio/speech/timestamps",
                fields={"file": ("speech.flac", content, "audio/flac")},
            )
        assert answer.json() == SEGMENTS
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "doctor: " in said
    assert "Traceback" not in said


def test_up_once_answers_about_its_recording_and_ends(tmp_path: Path) -> None:
    done = holdfast("up", "--once", "--port", "0", env=bare(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [line.strip() for line in done.stdout.splitlines()] == LINES


def test_up_asks_itself_past_the_proxies_of_the_environment(tmp_path: Path) -> None:
    # A port that nobody listens on, and a kind of proxy that wants a library of its own.
    nobody = {"HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "socks5://127.0.0.1:9"}
    assert found(holdfast("vad", "--json", env=bare(tmp_path))) == SEGMENTS  # the model is here
    env = bare(tmp_path, **nobody)
    assert found(holdfast("up", "--once", "--json", "--port", "0", env=env)) == SEGMENTS


def test_up_with_a_key_asks_for_it(tmp_path: Path) -> None:
    env = bare(tmp_path, HOLDFAST_API_KEY="a-key")
    with started("up", "--port", "0", env=env) as (url, _):
        assert get(f"{url}/models").status == 401
        assert get(f"{url}/health").status == 200
    assert found(holdfast("up", "--once", "--json", "--port", "0", env=env)) == SEGMENTS


def test_up_does_not_open_itself_to_other_machines(tmp_path: Path) -> None:
    done = holdfast("up", "--host", "0.0.0.0", "--port", "0", env=bare(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "HOLDFAST_API_KEY" in done.stderr


def test_up_says_why_it_cannot_serve(tmp_path: Path) -> None:
    done = holdfast("up", "--once", "--offline", "--port", "0", env=bare(tmp_path))
    assert (done.returncode, done.stdout) == (5, "")
    assert "error[not-here]" in done.stderr


def test_serve_hub_serves_a_dropped_folder(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "owner" / "speech"
    repository.mkdir(parents=True)
    shutil.copy(sample_recording(), repository)
    (repository / "config.json").write_text("{}")
    with started("serve-hub", tmp_path / "hub", "--port", "0", env=bare(tmp_path)) as (url, hub):
        done = holdfast("pull", "owner/speech", "--json", "--endpoint", url, env=bare(tmp_path))
        hub.send_signal(signal.SIGINT)
        _, said = hub.communicate(timeout=30)
    assert done.returncode == 0, done.stderr
    folder = Path(json.loads(done.stdout)["path"])
    assert (folder / "two-sentences.flac").read_bytes() == sample_recording().read_bytes()
    assert hub.returncode == 0
    assert "serving owner/speech" in said


def test_serve_hub_wants_a_folder(tmp_path: Path) -> None:
    done = holdfast("serve-hub", tmp_path / "nothing", env=bare(tmp_path))
    assert done.returncode == 2
    assert "error[config-invalid]" in done.stderr
