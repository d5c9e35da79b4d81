"""Clients that are slow, odd or hostile, and the service's end while somebody is inside."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from holdfast.api import _uploads
from holdfast.server import ServerSettings, _protocol, running_server
from holdfast.speech import sample_recording
from holdfast.wiring import Services
from tests.stories.test_server_speech import TIMESTAMPS, ask, code_of, post, services_in

HEAD = (
    "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n"
    "Content-Type: {kind}\r\n\r\n"
)
KIND = "multipart/form-data; boundary=x"


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    return services_in(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def server(services: Services) -> Iterator[str]:
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(60)
        yield running.url


@pytest.fixture
def client() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(timeout=30, retries=False) as pool:
        yield pool


def connected(url: str) -> socket.socket:
    target = urlsplit(url)
    return socket.create_connection((target.hostname or "", target.port or 0), timeout=10)


def multipart() -> bytes:
    content = sample_recording().read_bytes()
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return head + content + b"\r\n--x--\r\n"


def test_who_never_says_what_it_wants_is_not_waited_for(
    server: str, client: urllib3.PoolManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_protocol, "_HEAD_WITHIN_S", 0.3)
    started = time.monotonic()
    with connected(server) as silent, connected(server) as slow:
        with contextlib.suppress(OSError):
            for letter in b"GET /hea":
                slow.sendall(bytes([letter]))
                time.sleep(0.1)  # a letter now and then is no progress
        assert silent.recv(10) == b""
        with contextlib.suppress(ConnectionError):
            assert slow.recv(10) == b""
    assert time.monotonic() - started < 5
    assert ask(client, f"{server}/health")[0] == 200


def test_a_connection_that_is_kept_serves_one_request_after_another(server: str) -> None:
    target = urlsplit(server)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=10)
    for _ in range(3):
        connection.request("GET", "/health")
        assert connection.getresponse().read()
    connection.close()


def test_an_upload_that_stops_coming_is_ended(
    server: str, client: urllib3.PoolManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_uploads, "_STALL_S", 0.3)
    with connected(server) as stalled:
        stalled.sendall(HEAD.format(path=TIMESTAMPS, length=9_000, kind=KIND).encode() + b"--x\r\n")
        answer = http.client.HTTPResponse(stalled)
        answer.begin()
        body = json.loads(answer.read())
    assert (answer.status, body["error"]["code"]) == (408, "upload-stalled")
    assert post(client, server, sample_recording().read_bytes())[0] == 200


def raw(url: str, text: str) -> int:
    with connected(url) as connection:
        connection.sendall(text.encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET /health HTTP/1.1\r\nHost: [\r\n\r\n", 403),
        ("GET /health HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", 200),
        ("HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        ("POST /models/silero-vad/load HTTP/1.1\r\nHost: localhost\r\nOrigin: http://[\r\n"
         "Content-Length: 0\r\n\r\n", 403),
        ("POST /models/silero-vad/load HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil\r\n"
         "Authorization: Basic eDp5\r\nContent-Length: 0\r\n\r\n", 403),
    ],
)  # fmt: skip
def test_odd_headers_are_refused_not_stumbled_over(
    server: str, request_text: str, status: int
) -> None:
    assert raw(server, request_text) == status


@pytest.mark.parametrize("charset", ["undefined", "punycode", "no-such", "idna"])
def test_a_form_in_no_encoding_is_the_clients_fault(
    server: str, client: urllib3.PoolManager, charset: str
) -> None:
    body = multipart().replace(b"--x--", b'--x\r\nContent-Disposition: form-data; name="threshold"'
                                         b"\r\n\r\n0.5\xff\r\n--x--")  # fmt: skip
    headers = {"Content-Type": f"{KIND}; charset={charset}"}
    answer = ask(client, server + TIMESTAMPS, "POST", body=body, headers=headers)
    assert answer[0] in {200, 422}, answer


def test_invented_methods_leave_no_numbers_behind(server: str, client: urllib3.PoolManager) -> None:
    for number in range(50):
        assert client.request(f"M{number}", f"{server}/health").status == 405
    text = client.request("GET", f"{server}/metrics").data.decode()
    assert 'method="M1"' not in text
    assert 'holdfast_requests_total{method="OTHER",route="/health",status="405"} 50.0' in text


def test_the_end_waits_for_uploads_and_lets_nobody_else_in(
    tmp_path: Path, client: urllib3.PoolManager
) -> None:
    services = services_in(tmp_path)
    settings = ServerSettings(port=0, shutdown_s=10)
    begun, told = threading.Event(), threading.Event()
    found: dict[str, Any] = {}

    def serve() -> None:
        with running_server(services, settings) as running:
            found["url"] = running.url
            services.supervisor.wait_ready(60)
            begun.set()
            told.wait(20)

    serving = threading.Thread(target=serve)
    serving.start()
    assert begun.wait(60)
    url, body = found["url"], multipart()
    with connected(url) as upload:
        head = HEAD.format(path=TIMESTAMPS, length=len(body), kind=KIND).encode()
        upload.sendall(head + body[:1000])
        time.sleep(0.2)
        told.set()
        time.sleep(0.2)
        ready = client.request("GET", f"{url}/ready")
        refused = post(client, url, sample_recording().read_bytes())
        upload.sendall(body[1000:])
        answer = http.client.HTTPResponse(upload)
        answer.begin()
        segments = json.loads(answer.read())
    serving.join(20)
    assert not serving.is_alive()
    assert (ready.status, ready.json()["error"]["code"]) == (503, "shutting-down")
    assert code_of(refused) == (503, "shutting-down")
    assert (answer.status, len(segments)) == (200, 2)


def test_the_end_comes_within_its_limit_whoever_is_inside(tmp_path: Path) -> None:
    services = services_in(tmp_path)
    with running_server(services, ServerSettings(port=0, shutdown_s=0.5)) as running:
        assert services.supervisor.wait_ready(60)
        upload = connected(running.url)
        upload.sendall(HEAD.format(path=TIMESTAMPS, length=9_000, kind=KIND).encode() + b"--x\r\n")
        time.sleep(0.2)
        started = time.monotonic()
    assert time.monotonic() - started < 8
    upload.close()
