"""up, status, check and test, as a person runs them."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from tests.stories.test_apps import bare, get, holdfast, started, wait_for


def test_check_asks_everything_and_says_a_line_each(tmp_path: Path) -> None:
    env = bare(tmp_path)
    with started("up", "--port", "0", env=env) as (url, process):
        told = holdfast("check", url, env=env)
        as_json = holdfast("check", url, "--json", env=env)
        status = holdfast("status", url, env=env)
        shown = holdfast("status", url, "--json", env=env)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert told.returncode == 0, told.stdout + told.stderr
    lines = told.stdout.splitlines()
    names = [
        "health", "readiness", "models", "model silero-vad", "model voiceprint",
        "model speech-to-text", "model text-to-speech", "model language",
        "metrics", "refusals", "speech: voice activity", "speech: text to speech",
        "speech: as it comes", "speech: speech to text", "speech: subtitles",
        "speech: read as it comes", "speech: who speaks", "speech: translation",
        "voiceprint: enrollment",
        "voiceprint: verification", "voiceprint: identification", "voiceprint: two recordings",
        "voiceprint: anti-spoofing", "voiceprint: one's own data",
        "voiceprint: erasure", "asynchronous client",
    ]  # fmt: skip
    assert [line[6:34].strip() for line in lines] == names
    assert all(line.startswith("ok    ") for line in lines)
    assert "26 passed, 0 failed" in told.stderr
    assert [item["check"] for item in json.loads(as_json.stdout)] == names
    assert status.returncode == 0
    assert "silero-vad" in status.stdout
    found = json.loads(shown.stdout)
    assert (found["ready"], found["models"][0]["state"]) == (True, "ready")


def test_check_of_nothing_fails_at_its_first_line(tmp_path: Path) -> None:
    done = holdfast("check", "http://127.0.0.1:9", "--wait", "0.5", env=bare(tmp_path))
    assert done.returncode == 1
    assert done.stdout.startswith("FAIL  health")
    assert "it is asked again for 0.5 s" in done.stderr
    assert len(done.stdout.splitlines()) == 1
    done = holdfast("status", "http://127.0.0.1:9", env=bare(tmp_path))
    assert (done.returncode, done.stdout) == (11, "")
    assert "error[service-unreachable]" in done.stderr


def test_check_shows_the_key_that_the_service_wants(tmp_path: Path) -> None:
    with started("up", "--port", "0", env=bare(tmp_path, HOLDFAST_API_KEY="k1")) as (url, _):
        wait_for(lambda: get(f"{url}/ready").status == 200)
        refused = holdfast("check", url, env=bare(tmp_path))
        passed = holdfast("check", url, env=bare(tmp_path, HOLDFAST_API_KEY="k1"))
    assert refused.returncode == 1
    assert "a key is needed" in refused.stdout
    assert refused.stdout.count("FAIL") == 1
    assert "try: export HOLDFAST_API_KEY=KEY" in refused.stdout
    assert passed.returncode == 0, passed.stdout


def test_the_self_test_brings_loads_and_asks(tmp_path: Path) -> None:
    done = holdfast("test", env=bare(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "26 passed, 0 failed" in done.stderr
    (tmp_path / "other").mkdir()
    offline = holdfast("test", "--offline", env=bare(tmp_path / "other"))
    assert offline.returncode == 1
    assert "FAIL  readiness" in offline.stdout
    assert "FAIL  model silero-vad" in offline.stdout
    assert "not-here" in offline.stdout


def test_up_ends_with_an_error_when_readiness_is_required_and_cannot_be(tmp_path: Path) -> None:
    done = holdfast("up", "--port", "0", "--offline", "--require-ready", env=bare(tmp_path))
    assert done.returncode == 5
    assert "error[not-here]" in done.stderr


def test_up_reads_its_file_and_names_what_means_nothing(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text(
        "[server]\nport = 0\nlog_format = 'json'\n[models.silero-vad]\nisolate = true\n"
    )
    with started("up", env=bare(tmp_path, HOLDFAST_CONFIG=str(file))) as (url, process):
        wait_for(lambda: get(f"{url}/ready").status == 200)
        assert json.loads(get(f"{url}/models").data)["models"][0]["isolated"]
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    logged = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    seen = [line for line in logged if line["logger"] == "holdfast.access"]
    assert {"method", "path", "status", "ms", "request_id"} <= set(seen[0])

    file.write_text("[server]\nprot = 1\n")
    done = holdfast("up", "--config", str(file), env=bare(tmp_path))
    assert done.returncode == 2
    assert "prot in [server] (did you mean port?)" in done.stderr
    file.write_text("[models.silero]\nisolate = true\n")
    done = holdfast("up", "--config", str(file), env=bare(tmp_path))
    assert done.returncode == 2
    assert "it has silero-vad" in done.stderr
