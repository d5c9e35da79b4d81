"""The server on a real port, with a real model and real recordings."""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from holdfast.config import ModelSettings, Secret, ServiceSettings, Settings
from holdfast.errors import ConfigInvalid, HubUnavailable
from holdfast.events import Progress, Reporter
from holdfast.refs import RevisionRef
from holdfast.runtime import Backoff, Provided
from holdfast.server import ServerSettings, running_server
from holdfast.speech import sample_recording
from holdfast.wiring import (
    VAD_MODEL,
    Provide,
    Services,
    provide_starter,
    services_of,
    verify_stored,
)
from tests.support.audio import FORMS, Form, tone_file

TIMESTAMPS = "/v1/audio/speech/timestamps"
LIMIT = 300_000
FIRST, SECOND = (482, 2206), (4130, 6718)


def hold(engine: Any, begun: threading.Event, go_on: threading.Event) -> None:
    begun.set()
    assert go_on.wait(10)


def spoil(engine: Any) -> None:
    engine.close()  # it is of no use afterwards


def services_in(home: Path, backoff: Backoff | None = None) -> Services:
    env = {"HOLDFAST_HOME": str(home), "HOME": str(home)}
    settings = Settings.from_env(env)
    return services_of(
        provide_starter(settings, env),
        verify_stored(settings, env),
        env=env,
        only=(VAD_MODEL,),
        backoff=backoff,
    )


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    return services_in(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def server(services: Services) -> Iterator[str]:
    with running_server(services, ServerSettings(port=0, upload_limit_bytes=LIMIT)) as running:
        assert services.supervisor.wait_ready(60)
        yield running.url


@pytest.fixture
def client() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(timeout=30, retries=False) as pool:
        yield pool


def ask(
    client: urllib3.PoolManager, url: str, method: str = "GET", **options: Any
) -> tuple[int, Any]:
    answer = client.request(method, url, **options)
    return answer.status, answer.json()


def post(
    client: urllib3.PoolManager, server: str, content: bytes | None, **fields: str
) -> tuple[int, Any]:
    form: dict[str, Any] = dict(fields)
    if content is not None:
        form["file"] = ("speech.flac", content, "audio/flac")
    return ask(client, server + TIMESTAMPS, "POST", fields=form)


def code_of(answer: tuple[int, Any]) -> tuple[int, str]:
    """Check the shape of an error and return its status and code."""
    status, body = answer
    assert set(body["error"]) == {"message", "type", "param", "code", "request_id"}
    assert body["error"]["message"]
    return status, body["error"]["code"]


def test_health_readiness_and_models(server: str, client: urllib3.PoolManager) -> None:
    health_status, health = ask(client, f"{server}/health")
    ready = ask(client, f"{server}/ready")
    models_status, models = ask(client, f"{server}/models")

    assert (health_status, health["status"]) == (200, "ok")
    assert set(health) == {"status", "version", "uptime_s"}
    assert ready == (200, {"status": "ready", "models": []})
    assert models_status == 200
    model, language = models["models"]
    assert (language["id"], language["state"]) == ("language", "absent")
    assert (model["id"], model["state"], model["task"]) == (
        "silero-vad",
        "ready",
        "voice-activity-detection",
    )
    assert (model["repository"], model["licence"]) == ("holdfast/silero-vad", "mit")
    assert len(model["revision"]) == 40
    assert model["load_s"] > 0
    assert model["hardware"]["met"] is True
    assert {"progress", "device", "memory_mb", "error"} <= set(model)


def test_speech_is_found_in_milliseconds(server: str, client: urllib3.PoolManager) -> None:
    status, found = post(client, server, sample_recording().read_bytes())
    assert status == 200
    assert [(item["start"], item["end"]) for item in found] == [FIRST, SECOND]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.codec}-{form.suffix}")
def test_every_form_is_taken(
    server: str, client: urllib3.PoolManager, tmp_path: Path, form: Form
) -> None:
    content = tone_file(tmp_path, form, seconds=0.25).read_bytes()
    assert post(client, server, content) == (200, [])


def test_options_are_used_by_both_their_names(server: str, client: urllib3.PoolManager) -> None:
    content = sample_recording().read_bytes()
    ours = post(client, server, content, min_silence_ms="3000", speech_pad_ms="0")
    theirs = post(client, server, content, min_silence_duration_ms="3000", speech_pad_ms="0")
    assert ours == theirs
    assert len(ours[1]) == 1
    assert post(client, server, content, model="silero-vad", max_speech_s="1.0")[0] == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threshold", "high"),
        ("threshold", "nan"),
        ("threshold", "2"),
        ("min_speech_ms", "1.5"),
        ("max_speech_s", "-1"),
        ("max_speech_s", "inf"),
        ("treshold", "0.5"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(
    server: str, client: urllib3.PoolManager, field: str, value: str
) -> None:
    answer = post(client, server, sample_recording().read_bytes(), **{field: value})
    assert code_of(answer) == (422, "option-invalid")
    assert field in answer[1]["error"]["message"]


def test_what_cannot_be_used_has_its_status_and_code(
    server: str, client: urllib3.PoolManager
) -> None:
    speech = sample_recording().read_bytes()
    assert code_of(post(client, server, b"")) == (422, "audio-empty")
    assert code_of(post(client, server, b"just some text\n")) == (415, "not-audio")
    assert code_of(post(client, server, speech[: len(speech) // 2])) == (422, "audio-truncated")
    assert code_of(post(client, server, None, threshold="0.5")) == (422, "upload-invalid")
    assert code_of(post(client, server, None, file="text")) == (422, "upload-invalid")
    assert code_of(post(client, server, speech, model="whisper-1")) == (404, "unknown-model")
    url = server + TIMESTAMPS
    assert code_of(ask(client, url, "POST", json={"file": "x"})) == (415, "unsupported-content")
    assert code_of(ask(client, url, "POST", body=speech)) == (415, "unsupported-content")
    broken = {"content-type": "multipart/form-data; boundary=x"}
    answer = ask(client, url, "POST", body=b"no form at all", headers=broken)
    assert code_of(answer) == (422, "upload-invalid")
    unbounded = {"content-type": "multipart/form-data"}
    answer = ask(client, url, "POST", body=b"--x--", headers=unbounded)
    assert code_of(answer) == (422, "upload-invalid")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("DELETE", "/health", 405, "method-not-allowed"),
        ("GET", TIMESTAMPS, 405, "method-not-allowed"),
        ("POST", "/models/nothing/load", 404, "unknown-model"),
        ("POST", "/models/nothing/unload", 404, "unknown-model"),
    ],
)
def test_every_route_has_the_same_errors(
    server: str, client: urllib3.PoolManager, method: str, path: str, status: int, code: str
) -> None:
    assert code_of(ask(client, server + path, method)) == (status, code)


def test_more_than_the_limit_is_refused_announced_or_not(
    server: str, client: urllib3.PoolManager
) -> None:
    assert code_of(post(client, server, bytes(LIMIT))) == (413, "upload-too-large")

    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(LIMIT // 1000 + 1):
            yield bytes(1000)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = ask(client, server + TIMESTAMPS, "POST", body=endless(), headers=headers, chunked=True)
    assert code_of(answer) == (413, "upload-too-large")


def test_a_client_that_leaves_in_mid_upload_leaves_nothing_behind(
    services: Services,
    client: urllib3.PoolManager,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "holdfast")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = services_in(tmp_path / "home")
    with running_server(own, ServerSettings(port=0)) as running:
        assert own.supervisor.wait_ready(60)
        before = open_files()
        target = urlsplit(running.url)
        with socket.create_connection((target.hostname or "", target.port or 0)) as leaving:
            leaving.sendall(
                f"POST {TIMESTAMPS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
                "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
                'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n'.encode()
                + bytes(3_000_000)
            )
            wait_for(lambda: open_files() > before)
        wait_for(lambda: any("the client left" in record.message for record in caplog.records))
        wait_for(lambda: open_files() <= before)
        assert post(client, running.url, sample_recording().read_bytes())[0] == 200
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def open_files() -> int:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("open files cannot be counted here")
    return len([name for name in os.listdir(folder) if not _is_socket(folder / name)])  # noqa: PTH208 - names


def _is_socket(path: Path) -> bool:
    try:
        return "socket:" in os.readlink(path)
    except OSError:
        return True


def wait_for(condition: Any) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come true in time")


def test_many_ask_at_once(server: str) -> None:
    content = sample_recording().read_bytes()
    found: list[Any] = []

    def one() -> None:
        with urllib3.PoolManager(timeout=60, retries=False) as pool:
            found.append(post(pool, server, content))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(answer == found[0] and answer[0] == 200 for answer in found)


def stuck(released: threading.Event, begun: threading.Event) -> Provide:
    def provide(ref: RevisionRef, report: Reporter) -> Provided:
        report(Progress("silero_vad.onnx", 1, 4, 1, 4, 1.0, 3.2))
        begun.set()
        assert released.wait(30)
        raise HubUnavailable("the hub does not answer", why="it is silent", hint="wait")

    return provide


def test_the_port_answers_before_anything_is_ready(client: urllib3.PoolManager) -> None:
    released, begun = threading.Event(), threading.Event()
    patience = ServiceSettings(documents_processes=0, wait_s=0.3)
    services = services_of(
        stuck(released, begun), service=patience, only=(VAD_MODEL,), backoff=Backoff(7, 7)
    )
    with running_server(services, ServerSettings(port=0)) as running:
        assert begun.wait(10)
        assert ask(client, f"{running.url}/health")[0] == 200
        fetching = client.request("GET", f"{running.url}/ready")
        refused = post(client, running.url, b"not even looked at")  # waits for 0.3 s
        released.set()
        wait_for(lambda: services.supervisor.statuses()[0].state == "failed")
        failed = client.request("GET", f"{running.url}/ready")
        model = ask(client, f"{running.url}/models")[1]["models"][0]

    assert fetching.status == failed.status == 503
    assert fetching.headers["retry-after"] == "4"
    assert failed.headers["retry-after"] in {"6", "7", "8"}
    body = fetching.json()
    assert code_of((503, body)) == (503, "not-ready")
    assert body["models"][0]["state"] == "fetching"
    assert body["models"][0]["progress"] == {"bytes": 1, "bytes_total": 4, "seconds_left": 3.2}
    assert code_of(refused) == (503, "model-not-ready")
    assert model["error"] == {
        "code": "hub-unavailable",
        "message": "the hub does not answer: it is silent",
        "hint": "wait",
    }


def test_unloading_and_loading_over_http(client: urllib3.PoolManager, tmp_path: Path) -> None:
    services = services_in(tmp_path)
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(60)
        model = f"{running.url}/models/silero-vad"
        begun, go_on = threading.Event(), threading.Event()
        job = services.supervisor.submit("silero-vad", hold, begun, go_on)
        assert begun.wait(10)
        assert code_of(ask(client, f"{model}/unload", "POST")) == (409, "model-in-use")
        go_on.set()
        job.result()
        status, body = ask(client, f"{model}/unload", "POST")
        assert (status, body["state"]) == (202, "idle")
        assert ask(client, f"{running.url}/ready")[0] == 503
        assert ask(client, f"{model}/load", "POST")[0] == 202
        assert services.supervisor.wait_ready(60)


def test_a_model_in_a_process_of_its_own_answers_over_http(
    client: urllib3.PoolManager, tmp_path: Path
) -> None:
    env = {"HOLDFAST_HOME": str(tmp_path), "HOME": str(tmp_path)}
    settings = Settings.from_env(env)
    apart = ServiceSettings(
        documents_processes=0, models={"silero-vad": ModelSettings(isolate=True)}
    )
    services = services_of(
        provide_starter(settings, env), verify_stored(settings, env), service=apart
    )
    with running_server(services, ServerSettings(port=0)) as running:
        answer = post(client, running.url, sample_recording().read_bytes())
        model = ask(client, f"{running.url}/models")[1]["models"][0]
    assert [(part["start"], part["end"]) for part in answer[1]] == [FIRST, SECOND]
    assert model["isolated"]


def test_numbers_and_ids_of_requests(server: str, client: urllib3.PoolManager) -> None:
    given = client.request("GET", f"{server}/health", headers={"X-Request-Id": "mine-1"})
    assert given.headers["x-request-id"] == "mine-1"
    refused = client.request("GET", f"{server}/nothing", headers={"X-Request-Id": "a b\u00e4"})
    assert refused.json()["error"]["request_id"] == refused.headers["x-request-id"]
    assert refused.headers["x-request-id"] not in {"", "mine-1", "a b\u00e4"}
    text = client.request("GET", f"{server}/metrics").data.decode()
    assert 'holdfast_requests_total{method="GET",route="/health",status="200"}' in text
    assert 'holdfast_requests_total{method="GET",route="unmatched",status="404"}' in text
    assert 'holdfast_model_state{model="silero-vad",state="ready"} 1.0' in text
    listed = ask(client, f"{server}/v1/models")[1]
    assert [(m["id"], m["object"]) for m in listed["data"]] == [("silero-vad", "model")]


def test_a_flipped_bit_in_the_home_is_found_before_loading(
    client: urllib3.PoolManager, tmp_path: Path
) -> None:
    first = services_in(tmp_path)
    first.supervisor.start()
    assert first.supervisor.wait_ready(60)
    first.supervisor.close()
    (stored,) = {path.resolve() for path in tmp_path.rglob("silero_vad.onnx")}
    facts = stored.stat()
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.chmod(0o644)
    stored.write_bytes(content)
    os.utime(stored, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    again = services_in(tmp_path, backoff=Backoff(0.05, 0.05))
    with running_server(again, ServerSettings(port=0)) as running:
        assert again.supervisor.wait_ready(60)
        status, found = post(client, running.url, sample_recording().read_bytes())

    content[len(content) // 2] ^= 1
    (mended,) = {path.resolve() for path in tmp_path.rglob("silero_vad.onnx")}
    assert mended.read_bytes() == content
    assert (status, len(found)) == (200, 2)


def test_a_key_is_asked_for_once_it_is_set(client: urllib3.PoolManager, tmp_path: Path) -> None:
    services = services_in(tmp_path)
    key = "kéy-123"
    settings = ServerSettings(host="0.0.0.0", port=0, key=Secret(key))
    assert key not in repr(settings)
    with running_server(services, settings) as running:
        port = urlsplit(running.url).port
        url = f"http://127.0.0.1:{port}"

        def models(**headers: str) -> tuple[int, Any]:
            named = {name.replace("_", "-"): value.encode() for name, value in headers.items()}
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/models", headers=named)
            answer = connection.getresponse()
            body = json.loads(answer.read())
            connection.close()
            return answer.status, body

        assert ask(client, f"{url}/health")[0] == 200
        assert code_of(models()) == (401, "key-invalid")
        assert code_of(models(Authorization="Bearer wrong")) == (401, "key-invalid")
        assert code_of(models(Authorization=f"Basic {key}")) == (401, "key-invalid")
        assert models(Authorization=f"Bearer {key}")[0] == 200
        assert models(X_Api_Key=key)[0] == 200
        assert code_of(post(client, url, b"x")) == (401, "key-invalid")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_other_machines_are_not_let_in_without_a_key(host: str) -> None:
    with pytest.raises(ConfigInvalid, match="without a key"):
        ServerSettings(host=host)
    with pytest.raises(ConfigInvalid, match="empty"):
        ServerSettings(host=host, key=Secret(" "))


def test_a_taken_port_is_said(services: Services) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = ServerSettings(port=taken.getsockname()[1])
        with (
            pytest.raises(ConfigInvalid, match="cannot listen"),
            running_server(services, settings),
        ):
            pass


def test_an_unforeseen_error_tells_strangers_nothing(
    client: urllib3.PoolManager, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    services = services_in(tmp_path)
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(60)
        services.supervisor.ask("silero-vad", spoil)
        answer = post(client, running.url, sample_recording().read_bytes())
    assert code_of(answer) == (500, "engine-failed")
    assert "NoneType" not in json.dumps(answer[1])
    assert "NoneType" in caplog.text


def test_a_warm_start_asks_nobody_and_is_ready_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = services_in(tmp_path)
    first.supervisor.start()
    assert first.supervisor.wait_ready(60)
    first.supervisor.close()

    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    again = services_in(tmp_path)
    started = time.monotonic()
    again.supervisor.start()
    assert again.supervisor.wait_ready(60)
    assert time.monotonic() - started < 2
    again.supervisor.close()
