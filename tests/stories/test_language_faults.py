"""The language slot in front of a server that is slow, broken, locked, or none at all."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from holdfast.config import Secret
from holdfast.language import Backend
from holdfast.server import ServerSettings, running_server
from tests.stories.test_server_speech import ask, code_of, services_in
from tests.support.wire import Wire, answer, json_answer, stream_of, until, wired

MODELS, CHAT = "/v1/models", "/v1/chat/completions"
LISTED = json_answer({"object": "list", "data": [{"id": "tiny-llm", "permission": [{}]}]})
ASKED = json.dumps({"messages": [{"role": "user", "content": "hello"}]}).encode()
OWN = {"error": {"message": "in my words", "type": "x", "param": None, "code": 7, "more": [1]}}


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=30) as pool:
        yield pool


@contextmanager
def serving(home: Path, behind: str, key: str = "k") -> Iterator[str]:
    services = replace(services_in(home), language=Backend(behind, Secret(key), answer_s=20))
    with running_server(services, ServerSettings(port=0)) as running:
        yield running.url


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Wire, str]]:
    with (
        pytest.MonkeyPatch.context() as patch,
        wired({}) as wire,
        serving(tmp_path_factory.mktemp("home"), f"{wire.url}/v1") as url,
    ):
        patch.setattr("holdfast.language._look._FRESH_S", 0.0)
        yield wire, url


@pytest.fixture
def wire(shared: tuple[Wire, str]) -> Wire:
    """Return what stands behind; it looks well until a test says otherwise."""
    wire, _ = shared
    wire.says = {MODELS: LISTED}
    wire.held = wire.left = 0
    return wire


@pytest.fixture
def url(shared: tuple[Wire, str], wire: Wire, http: urllib3.PoolManager) -> str:
    until(lambda: slot(http, shared[1])["state"] == "ready")
    return shared[1]


def slot(http: urllib3.PoolManager, url: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(http, f"{url}/models")[1]["models"][-1]
    return found


def chat(http: urllib3.PoolManager, url: str) -> urllib3.BaseHTTPResponse:
    return http.request("POST", url + CHAT, body=ASKED)


def knock(url: str) -> socket.socket:
    """Ask a question and do not wait for the answer."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port))
    head = f"POST {CHAT} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(ASKED)}\r\n\r\n"
    connection.sendall(head.encode() + ASKED)
    return connection


# -- the look


def test_a_back_end_that_trickles_holds_no_route(tmp_path: Path) -> None:
    def seconds(path: str) -> float:
        started = time.monotonic()
        assert urllib3.request("GET", url + path, timeout=10, retries=False).status == 200
        return time.monotonic() - started

    routes = ["/models", "/metrics", "/v1/models", "/"]
    with (
        wired({}) as wire,
        serving(tmp_path, f"{wire.url}/v1") as url,
        ThreadPoolExecutor(4) as threads,
    ):
        wire.says[MODELS] = wire.trickle
        assert max(threads.map(seconds, routes)) < 4
        assert max(threads.map(seconds, routes)) < 1


def test_a_back_end_that_falls_silent_is_told_of_as_it_was_until_that_is_known(
    wire: Wire, url: str, http: urllib3.PoolManager
) -> None:
    until(lambda: slot(http, url)["state"] == "ready")
    wire.says[MODELS] = wire.hold
    started = time.monotonic()
    assert slot(http, url)["state"] == "ready"
    assert time.monotonic() - started < 1
    until(lambda: slot(http, url)["state"] == "failed")
    started = time.monotonic()
    assert "within 2 s" in slot(http, url)["error"]["message"]
    assert time.monotonic() - started < 1
    wire.says[MODELS] = LISTED
    until(lambda: slot(http, url)["state"] == "ready")


@pytest.mark.parametrize(
    "listed",
    [
        b'{"data": [{"id": "\\ud800"}]}',
        b'{"data": [{"id": "a", "created": NaN}]}',
        b'{"data": [{"id": "a", "created": 1e999}]}',
        b'{"data": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"data": [{"id": 1}]}',
        b'{"data": {"id": "a"}}',
        b'[{"id": "a"}]',
        b'{"data": [' + b'{"id": "a"},' * 100_000 + b'{"id": "a"}]}',
        b"\xff\xfe\x00",
        b"",
    ],
    ids=["surrogate", "nan", "infinity", "deep", "number", "object", "list", "long", "no-text", ""],
)
def test_a_list_that_cannot_be_read_is_said_to_be_so(
    wire: Wire, url: str, http: urllib3.PoolManager, listed: bytes
) -> None:
    wire.says[MODELS] = json_answer(listed)
    told = "its list of models cannot be read"
    until(lambda: told in (slot(http, url)["error"] or {"message": ""})["message"])
    found = slot(http, url)
    assert (found["state"], found["error"]["code"]) == ("failed", "language-unavailable")
    status, models = ask(http, f"{url}/v1/models")
    assert status == 200
    assert [model["id"] for model in models["data"]] == ["silero-vad"]


# -- questions whose clients leave, and too many of them


def test_a_client_that_leaves_before_the_answer_begins_ends_the_question(
    wire: Wire, url: str
) -> None:
    wire.says[CHAT] = wire.hold
    connection = knock(url)
    until(lambda: wire.held == 1)
    connection.close()
    until(lambda: wire.left == 1)


def test_questions_at_once_are_limited_and_do_not_stand_in_the_way_of_the_look(
    wire: Wire, url: str, http: urllib3.PoolManager
) -> None:
    wire.says[CHAT] = wire.hold
    with contextlib.ExitStack() as stack:
        for _ in range(64):
            stack.enter_context(knock(url))
        until(lambda: wire.held == 64)
        found = slot(http, url)
        assert (found["state"], found["requests"]["running"]) == ("ready", 64)
        refused = chat(http, url)
        assert code_of((refused.status, refused.json())) == (429, "model-busy")
        assert refused.headers["Retry-After"] == "5"
    until(lambda: wire.left == 64)
    until(lambda: slot(http, url)["requests"]["running"] == 0)
    wire.says[CHAT] = json_answer({"choices": []})
    assert chat(http, url).status == 200


# -- answers that are none


@pytest.mark.parametrize(
    ("said", "reason", "unread"),
    [
        (answer("302 Found", Location="http://127.0.0.1:9/"), "302 Found", True),
        (answer("401 No", WWW_Authenticate="Basic"), "401 Unauthorized", True),
        (json_answer(OWN, "401 No", WWW_Authenticate="Bearer"), "401 Unauthorized", True),
        (json_answer(OWN, "403 No"), "403 Forbidden", True),
        (answer("407 No", Proxy_Authenticate="Basic"), "407", True),
        (answer("404 No", b"<html>", Content_Type="text/html"), "404 Not Found", False),
        (json_answer({"detail": "x"}, "422 No"), "422", False),
        (json_answer({"error": "x"}, "400 No"), "400 Bad Request", False),
        (json_answer(b"[" * 90_000, "400 No"), "400 Bad Request", False),
        (json_answer(b" " * 200_000, "502 No"), "502 Bad Gateway", False),
        (b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\n{", "500 Internal", False),
        (answer("999 Odd", b"{}"), "999", True),
        (
            b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "RemoteProtocolError",
            True,
        ),
        (answer("200 OK", b"<html>", Content_Type="text/html"), "a page for browsers", True),
        (b"SSH-2.0-OpenSSH\r\n", "RemoteProtocolError", False),
        (b"", "RemoteProtocolError", False),
    ],
)
def test_what_is_no_answer_of_a_language_model_is_our_error(
    wire: Wire, url: str, http: urllib3.PoolManager, said: bytes, reason: str, unread: bool
) -> None:
    def saying(connection: socket.socket) -> None:
        connection.sendall(said)
        if unread:
            wire.hold(connection)

    wire.says[CHAT] = saying
    came = chat(http, url)
    assert code_of((came.status, came.json())) == (503, "language-unavailable")
    assert reason in came.json()["error"]["message"]
    assert "WWW-Authenticate" not in came.headers
    until(lambda: wire.left == int(unread))  # its connection was closed
    assert slot(http, url)["requests"]["running"] == 0


@pytest.mark.parametrize(
    ("status", "ours"),
    [(400, 400), (404, 404), (422, 422), (429, 429), (500, 502), (502, 502), (503, 503)],
)
def test_errors_in_openais_form_are_passed_on(
    wire: Wire, url: str, http: urllib3.PoolManager, status: int, ours: int
) -> None:
    wire.says[CHAT] = json_answer(OWN, f"{status} X", Retry_After="7")
    came = chat(http, url)
    assert (came.status, came.json()) == (ours, OWN)
    assert came.headers["Retry-After"] == "7"


def test_of_the_headers_only_known_and_sound_ones_are_passed_on(
    wire: Wire, url: str, http: urllib3.PoolManager
) -> None:
    wire.says[CHAT] = json_answer(
        {}, Set_Cookie="a=b", X_Odd="\xe4\xff", Cache_Control="\xff", OpenAI_Processing_MS="3",
        X_RateLimit_Remaining_Requests="\u00e4", X_RateLimit_Limit_Tokens="8", Server="vllm",
        Access_Control_Allow_Origin="*", Content_Security_Policy="x", Location="/",
    )  # fmt: skip
    came = chat(http, url)
    passed = {name.lower() for name in came.headers}
    assert came.status == 200
    assert passed - {"date", "transfer-encoding", "x-request-id"} == {
        "content-type", "openai-processing-ms", "x-ratelimit-limit-tokens",
    }  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        stream_of('data: {"choices": []}', whole=False),
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nno-gzip!!",
    ],
    ids=["stream", "whole", "no-gzip"],
)
def test_an_answer_that_is_cut_off_does_not_look_complete(
    wire: Wire,
    url: str,
    http: urllib3.PoolManager,
    said: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wire.says[CHAT] = said
    with caplog.at_level(logging.INFO), pytest.raises(urllib3.exceptions.ProtocolError):
        chat(http, url)
    until(lambda: slot(http, url)["requests"]["running"] == 0)
    told = [one for one in caplog.records if one.levelno > logging.INFO]
    assert len([one for one in told if one.name.startswith("holdfast")]) == 1
    assert "cut its answer off" in caplog.text
    assert not any(one.exc_info for one in told)


# -- what the environment says


def test_no_proxy_stands_between_the_service_and_this_machine(
    wire: Wire, tmp_path: Path, http: urllib3.PoolManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    wire.says[CHAT] = json_answer({"choices": []})
    with serving(tmp_path, wire.url.replace("127.0.0.1", "localhost") + "/v1") as url:
        assert slot(http, url)["state"] == "ready"
        assert chat(http, url).status == 200


def test_a_key_that_cannot_be_sent_is_not_told(
    wire: Wire, tmp_path: Path, http: urllib3.PoolManager
) -> None:
    with serving(tmp_path, f"{wire.url}/v1", "my\nsecret") as url:
        said = [slot(http, url)["error"]["message"], chat(http, url).json()["error"]["message"]]
    assert all("HOLDFAST_LANGUAGE_KEY" in one and "secret" not in one for one in said)


def test_the_slot_is_not_loaded_or_unloaded_here(url: str, http: urllib3.PoolManager) -> None:
    for order in ("load", "unload"):
        refused = ask(http, f"{url}/models/language/{order}", "POST")
        assert code_of(refused) == (409, "answered-elsewhere")
        assert "that server's" in refused[1]["error"]["message"]
    described = ask(http, f"{url}/openapi.json")[1]["paths"]
    assert "409" in described["/models/{model}/load"]["post"]["responses"]
    assert {"400", "404", "429", "502"} <= set(described[CHAT]["post"]["responses"])
