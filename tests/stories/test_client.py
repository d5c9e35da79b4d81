"""The client against a real server, and against servers that behave badly."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from holdfast.client import (
    AsyncClient,
    Client,
    ServiceBusy,
    ServiceError,
    ServiceUnreachable,
    SpeechSegment,
)
from holdfast.config import Secret
from holdfast.server import ServerSettings, running_server
from holdfast.speech import sample_recording
from holdfast.wiring import Services
from tests.stories.test_server_speech import hold, services_in
from tests.support.audio import Form, tone_file

SPOKEN = [SpeechSegment(482, 2206), SpeechSegment(4130, 6718)]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    return services_in(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def url(services: Services) -> Iterator[str]:
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(60)
        yield running.url


def test_every_method_works(url: str) -> None:
    with Client(url) as client:
        assert client.health().uptime_s >= 0
        assert client.wait_ready(10).ready
        assert client.ready().waiting == ()
        model, slot = client.models()
        assert (slot.id, slot.state) == ("language", "absent")
        hello = [{"role": "user", "content": "hello"}]
        with (
            Client(url, patience_s=0) as hasty,
            pytest.raises(ServiceBusy, match="no language model"),
        ):
            hasty.chat(hello)
        assert (model.id, model.state, model.device) == ("silero-vad", "ready", "cpu")
        assert model.raw["isolated"] is False
        assert "holdfast_requests_total" in client.metrics()
        recording = sample_recording()
        for audio in (recording, recording.read_bytes(), io.BytesIO(recording.read_bytes())):
            assert client.find_speech(audio) == SPOKEN
        assert len(client.find_speech(recording, min_silence_ms=5000)) == 1
        assert client.unload("silero-vad").state == "idle"
        assert not client.ready().ready
        client.load("silero-vad")
        assert client.wait_ready(30).ready


def test_every_method_works_awaited(url: str) -> None:
    async def ask() -> None:
        async with AsyncClient(url) as client:
            assert (await client.health()).version
            assert (await client.wait_ready(10)).ready
            found = await asyncio.gather(*[client.find_speech(sample_recording())] * 1)
            assert found == [SPOKEN]
            many = await asyncio.gather(*(client.find_speech(sample_recording()) for _ in range(8)))
            assert many == [SPOKEN] * 8
            assert "holdfast_model_state" in await client.metrics()
            model, *_ = await client.models()
            assert (await client.unload(model.id)).state == "idle"
            await client.load(model.id)
            assert (await client.wait_ready(30)).ready
            with pytest.raises(ServiceError) as caught:
                await client.load("none")
            assert caught.value.status == 404

    asyncio.run(ask())


def test_one_client_serves_many_threads(url: str) -> None:
    with Client(url) as client, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: client.find_speech(sample_recording()), range(16)))
    assert found == [SPOKEN] * 16


def test_a_refusal_says_all_that_the_service_said(url: str) -> None:
    with Client(url) as client, pytest.raises(ServiceError) as caught:
        client.find_speech(sample_recording(), threshold=7)
    error = caught.value
    assert (error.status, error.service_code) == (422, "option-invalid")
    assert "threshold" in str(error)
    assert error.facts["request_id"]


def test_a_key_is_shown_and_never_told(tmp_path: Path) -> None:
    services = services_in(tmp_path)
    settings = ServerSettings(port=0, key=Secret("a-secret-key"))
    with running_server(services, settings) as running:
        assert services.supervisor.wait_ready(60)
        with Client(running.url, key="a-secret-key") as client:
            assert client.find_speech(sample_recording()) == SPOKEN
        with Client(running.url, key="wrong-key") as client, pytest.raises(ServiceError) as caught:
            client.models()
    assert caught.value.status == 401
    assert "wrong-key" not in str(caught.value.to_dict())


def test_a_service_that_ends_answers_what_was_begun_and_refuses_the_rest(tmp_path: Path) -> None:
    services = services_in(tmp_path)
    long = tone_file(tmp_path, Form("wav", "wav", "pcm_s16le", 16_000), seconds=600)
    outcome: list[Any] = []
    refused: list[Any] = []
    begun, go_on = threading.Event(), threading.Event()

    def ask(url: str) -> None:
        with Client(url) as client:
            outcome.append(client.find_speech(long))

    def knock(url: str) -> None:
        with Client(url, patience_s=0) as client:
            while not services.supervisor.refusing:
                time.sleep(0.01)
            try:
                client.find_speech(sample_recording())
            except ServiceBusy as error:
                refused.append((error.status, error.service_code, error.retry_after_s))
            refused.append(client.ready().message)
            refused.append(client.health().version != "")
            go_on.set()

    with running_server(services, ServerSettings(port=0, shutdown_s=30)) as running:
        assert services.supervisor.wait_ready(60)
        held = services.supervisor.submit("silero-vad", hold, begun, go_on)
        threads = [threading.Thread(target=work, args=(running.url,)) for work in (ask, knock)]
        for thread in threads:
            thread.start()
        assert begun.wait(10)
        while services.supervisor.statuses()[0].running < 2:
            time.sleep(0.005)
    for thread in threads:
        thread.join()
    held.result()
    assert outcome == [[]]  # a tone is no speech
    assert refused == [(503, "shutting-down", 5.0), "the service is ending", True]


# -- servers that behave badly


class Scripted(ThreadingHTTPServer):
    """Answers with what it was given, one after the other, and notes when it was asked."""

    def __init__(self, answers: list[tuple[int, dict[str, str], bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.asked: list[float] = []
        self.bodies: list[bytes] = []


class Handler(BaseHTTPRequestHandler):
    server: Scripted

    def answer(self) -> None:
        self.server.asked.append(time.monotonic())
        self.server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        status, headers, body = self.server.answers.pop(0)
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815 - as the base class wants them named

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def scripted(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[tuple[str, Scripted]]:
    server = Scripted(list(answers))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


JSON = {"Content-Type": "application/json"}
BUSY = json.dumps({"error": {"message": "too much", "code": "model-busy"}}).encode()
GOOD = json.dumps([{"start": 1, "end": 2}]).encode()


def test_a_busy_service_is_asked_again_when_it_says_and_with_the_whole_body() -> None:
    busy = (429, JSON | {"Retry-After": "1"}, BUSY)
    with scripted(busy, busy, (200, JSON, GOOD)) as (url, server), Client(url) as client:
        assert client.find_speech(io.BytesIO(b"sound")) == [SpeechSegment(1, 2)]
    pauses = [later - sooner for sooner, later in zip(server.asked, server.asked[1:], strict=False)]
    assert all(1.0 <= pause < 2.5 for pause in pauses)
    assert len(server.bodies) == 3
    assert all(b"sound" in body for body in server.bodies)


def test_patience_is_not_without_end() -> None:
    busy = (503, JSON | {"Retry-After": "30"}, BUSY)
    with (
        scripted(busy) as (url, server),
        Client(url, patience_s=5) as client,
        pytest.raises(ServiceBusy, match="too much") as caught,
    ):
        client.models()
    assert caught.value.retry_after_s == 30
    assert len(server.asked) == 1


def test_a_broken_connection_is_tried_again() -> None:
    health = json.dumps({"status": "ok", "version": "1", "uptime_s": 2}).encode()
    with scripted((0, {}, b""), (200, JSON, health)) as (url, _), Client(url) as client:
        assert client.health().version == "1"


def test_nobody_there_is_said_with_a_hint() -> None:
    with (
        Client("http://127.0.0.1:9", patience_s=0) as client,
        pytest.raises(ServiceUnreachable) as caught,
    ):
        client.health()
    assert "holdfast status" in caught.value.hint


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"{}", b"[", b"null", b'{"version": 1}'])
def test_another_server_is_not_taken_for_a_service(body: bytes) -> None:
    with (
        scripted((200, JSON, body)) as (url, _),
        Client(url, patience_s=0) as client,
        pytest.raises(ServiceUnreachable, match="no Holdfast service"),
    ):
        client.health()


def test_a_redirect_does_not_take_the_key_along() -> None:
    elsewhere = (302, {"Location": "http://127.0.0.1:9/health"}, b"")
    with (
        scripted(elsewhere) as (url, _),
        Client(url, key="k", patience_s=0) as client,
        pytest.raises(ServiceError) as caught,
    ):
        client.health()
    assert caught.value.status == 302
