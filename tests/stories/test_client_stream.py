"""The client: answers that come piece by piece, addresses, proxies, and when not to ask again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from holdfast.client import AsyncClient, Client, ServiceBusy, ServiceError, ServiceUnreachable
from holdfast.client._direct import environment_for
from tests.support.wire import Wire, answer, json_answer, stream_of, wired

CHAT = "/v1/chat/completions"
ASKED = [{"role": "user", "content": "hello"}]
HEALTHY = json_answer({"version": "1", "uptime_s": 2})


def event(text: str | None) -> str:
    content = "null" if text is None else f'"{text}"'
    return f'data: {{"choices": [{{"index": 0, "delta": {{"content": {content}}}}}]}}'


@pytest.fixture
def wire() -> Iterator[Wire]:
    with wired({}) as one:
        yield one


def streamed(wire: Wire, **options: Any) -> list[str]:
    with Client(wire.url, **options) as client:
        return list(client.chat_stream(ASKED))


async def streamed_awaited(url: str) -> list[str]:
    async with AsyncClient(url) as client:
        return [piece async for piece in client.chat_stream(ASKED)]


def in_both_ways(wire: Wire) -> list[str]:
    pieces = streamed(wire)
    assert asyncio.run(streamed_awaited(wire.url)) == pieces
    return pieces


def raised_in_both_ways(wire: Wire) -> ServiceError | ServiceUnreachable:
    with pytest.raises((ServiceError, ServiceUnreachable)) as one:
        streamed(wire)
    with pytest.raises((ServiceError, ServiceUnreachable)) as other:
        asyncio.run(streamed_awaited(wire.url))
    assert one.value.to_dict() == other.value.to_dict()
    return one.value


def test_pieces_are_told_as_they_are(wire: Wire) -> None:
    wire.says[CHAT] = stream_of(
        ": a comment", 'data: {"choices": [{"delta": {"role": "assistant"}}]}', event("one "),
        event(None), event(""), event("two\u2028\u0085 \u00fc"), "event: message\nid: 7",
        'data: {"choices": [{"index": 1, "delta": {"content": "another answer"}}]}',
        'data: {"choices": [], "usage": {}, "error": null}', event("3").replace(": ", ":", 1),
        "data: [DONE]", event("nobody hears this"),
    )  # fmt: skip
    assert in_both_ways(wire) == ["one ", "two\u2028\u0085 \u00fc", "3"]
    assert all(json.loads(body)["stream"] is True for body in wire.bodies)


@pytest.mark.parametrize("ending", [b"\r\n", b"\r", b"\n"])
def test_pieces_may_be_cut_anywhere(wire: Wire, ending: bytes) -> None:
    text = "".join(f"{event(word)}\n\n" for word in ("gr\u00fc\u00df ", "dich"))
    body = (text + "data: [DONE]\n\n").encode().replace(b"\n", ending)

    def by_the_byte(connection: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for one in range(len(body)):
            connection.sendall(body[one : one + 1])

    wire.says[CHAT] = by_the_byte
    assert in_both_ways(wire) == ["gr\u00fc\u00df ", "dich"]


def test_an_answer_that_comes_all_at_once_is_one_piece(wire: Wire) -> None:
    wire.says[CHAT] = json_answer({"choices": [{"message": {"content": "whole"}}]})
    assert in_both_ways(wire) == ["whole"]


def test_what_came_before_a_cut_is_told_and_the_cut_too(wire: Wire) -> None:
    wire.says[CHAT] = stream_of(event("one"), whole=False)
    with Client(wire.url) as client, contextlib.closing(client.chat_stream(ASKED)) as pieces:
        assert next(pieces) == "one"
        with pytest.raises(ServiceUnreachable, match="cut its answer off"):
            next(pieces)


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        (stream_of(event("one"), whole=False), ServiceUnreachable, "cut its answer off"),
        (stream_of(event("one")), ServiceUnreachable, "cut its answer off"),
        (stream_of(), ServiceUnreachable, "cut its answer off"),
        (stream_of(event("one"), "data: [DONE"), ServiceError, "cannot be read"),
        (stream_of('data: {"choices": [7]}'), ServiceError, "cannot be read"),
        (stream_of("data: " + "[" * 200_000), ServiceError, "cannot be read"),
        (stream_of('data: {"error": {"message": "no memory"}}'), ServiceError, "no memory"),
        (stream_of('data: {"error": "no memory"}'), ServiceError, "no memory"),
        (json_answer({"error": {"message": "who?"}}, "404 No"), ServiceError, "who?"),
        (json_answer({}), ServiceUnreachable, "no Holdfast service"),
        (answer("200 OK", b"<html>", Content_Type="text/html"), ServiceUnreachable, "no Holdfast"),
        (b"", ServiceUnreachable, "does not answer"),
    ],
)
def test_an_answer_that_goes_wrong_is_an_error(
    wire: Wire, said: bytes, kind: type[Exception], reason: str
) -> None:
    wire.says[CHAT] = said
    error = raised_in_both_ways(wire)
    assert isinstance(error, kind)
    assert reason in str(error)
    assert error.hint
    assert len(wire.asked) == 2  # a question is not asked twice


def test_a_stream_waits_for_a_busy_service(wire: Wire) -> None:
    busy = json_answer({}, "503 No", Retry_After="1")
    good = stream_of(event("one"), "data: [DONE]")

    def saying(connection: Any) -> None:
        connection.sendall(busy if len(wire.asked) % 2 else good)

    wire.says[CHAT] = saying
    assert in_both_ways(wire) == ["one"]
    assert len(wire.asked) == 4


# -- when not to ask again


def quickly(ask: Any, match: str) -> Exception:
    started = time.monotonic()
    with pytest.raises((ServiceError, ServiceUnreachable), match=match) as caught:
        ask()
    assert time.monotonic() - started < 1
    return caught.value


def test_a_503_that_names_no_time_is_final(wire: Wire) -> None:
    wire.says["/models"] = json_answer({"error": {"message": "unloaded"}}, "503 No")
    with Client(wire.url) as client:
        assert isinstance(quickly(client.models, "unloaded"), ServiceBusy)
    assert len(wire.asked) == 1


def test_a_429_that_names_no_time_is_not(wire: Wire) -> None:
    def saying(connection: Any) -> None:
        connection.sendall(json_answer({}, "429 No") if len(wire.asked) == 1 else HEALTHY)

    wire.says["/health"] = saying
    with Client(wire.url) as client:
        assert client.health().version == "1"


def test_what_is_no_holdfast_service_will_not_become_one(wire: Wire) -> None:
    wire.says["/health"] = answer("200 OK", b"<html>", Content_Type="text/html")
    with Client(wire.url) as client:
        error = quickly(client.health, "no Holdfast service")
    assert "http://127.0.0.1:8000" in error.hint  # type: ignore[attr-defined]
    assert len(wire.asked) == 1


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8000", "localhost:8000", "foo", "", "ftp://x", "http://", "http://[::1",
     "http://x:port", "http://a..b", "http://" + "a" * 64 + ".org", "http://\ud800"],
)  # fmt: skip
def test_an_address_that_is_none_is_said_to_be_so(url: str) -> None:
    for kind in (Client, AsyncClient):
        error = quickly(lambda kind=kind: kind(url), "no address")
        assert "http://127.0.0.1:8000" in error.hint  # type: ignore[attr-defined]


# -- what the environment says


@pytest.mark.parametrize(
    "url",
    ["http://localhost:1", "http://LOCALHOST.", "http://a.localhost", "http://127.0.0.1",
     "http://127.8.9.1", "http://[::1]:8000", "http://[::ffff:127.0.0.1]", "http://0.0.0.0:1",
     "https://localhost"],
)  # fmt: skip
def test_this_machine_is_asked_without_a_proxy(url: str) -> None:
    assert environment_for(httpx2.URL(url))["trust_env"] is False


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1", "http://example.org", "http://localhost.org", "http://127.org"]
)
def test_other_machines_are_asked_as_the_environment_says(url: str) -> None:
    assert environment_for(httpx2.URL(url)) == {"trust_env": True}


def test_a_proxy_is_used_for_others_and_not_for_this_machine(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.says["/health"] = HEALTHY
    with wired({"/health": HEALTHY}) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "example.org")
        with Client(wire.url) as here, Client("http://holdfast.invalid:8000") as there:
            assert (here.health().version, there.health().version) == ("1", "1")
        assert [head.split()[1] for head in proxy.asked] == [b"http://holdfast.invalid:8000/health"]
    assert len(wire.asked) == 1
