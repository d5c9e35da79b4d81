"""The language slot: passed through to a real server, with OpenAI's own client."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import openai
import pytest
import urllib3

from holdfast.cli._rounds import rounds
from holdfast.client import AsyncClient, Client
from holdfast.config import Secret, ServiceSettings, Settings
from holdfast.server import ServerSettings, running_server
from holdfast.speech import sample_recording
from holdfast.wiring import provide_starter, services_of
from tests.stories.test_server_speech import ask
from tests.support.wire import until

KEY = "back-end-key"
ClientOf = Callable[[str], openai.OpenAI]


@contextmanager
def back_end() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "tests.support.openai_server", KEY]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


@contextmanager
def serving(home: Path, url: str, key: str | None = KEY) -> Iterator[str]:
    env = {"HOLDFAST_HOME": str(home), "HOME": str(home)}
    service = ServiceSettings(
        documents_processes=0,
        language_url=url,
        language_key=Secret(key) if key else None,
        deadline_s=20,
    )
    services = services_of(provide_starter(Settings.from_env(env), env), service=service)
    with running_server(services, ServerSettings(port=0, key=Secret("front-key"))) as running:
        yield running.url


@pytest.fixture
def client_of() -> Iterator[ClientOf]:
    with contextlib.ExitStack() as stack:
        yield lambda url: stack.enter_context(
            openai.OpenAI(base_url=f"{url}/v1", api_key="front-key", max_retries=0)
        )


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    headers = {"X-Api-Key": "front-key"}
    with urllib3.PoolManager(retries=False, timeout=30, headers=headers) as pool:
        yield pool


def test_openais_client_talks_to_the_model_behind(
    tmp_path: Path, client_of: ClientOf, http: urllib3.PoolManager
) -> None:
    with back_end() as (behind, _), serving(tmp_path, f"{behind}/v1") as url:
        client = client_of(url)
        said = client.chat.completions.create(
            model="tiny-llm", messages=[{"role": "user", "content": "hello there"}]
        )
        assert said.choices[0].message.content == "you said: hello there"

        started, came = time.monotonic(), []
        for piece in client.chat.completions.create(
            model="tiny-llm", messages=[{"role": "user", "content": "one two three four"}],
            stream=True,
        ):  # fmt: skip
            came.append((piece.choices[0].delta.content, time.monotonic() - started))
        assert [word for word, _ in came] == ["one ", "two ", "three ", "four ", None]
        assert came[3][1] - came[0][1] > 0.2  # as they were said, not all at the end

        lines = {line.name: line for line in rounds(url, "front-key", sample_recording(), 30)}
        assert all(line.passed for line in lines.values()), lines
        told = "tiny-llm says 'you said: Say hello.', and again in 2 piece(s)"
        assert lines["model language"].told == told

        with Client(url, key="front-key") as ours:
            hello = [{"role": "user", "content": "hi"}]
            assert ours.chat(hello, model="tiny-llm") == "you said: hi"
            assert list(ours.chat_stream(hello, model="tiny-llm")) == ["hi "]

        assert {"silero-vad", "tiny-llm"} <= {model.id for model in client.models.list()}
        slot = ask(http, f"{url}/models")[1]["models"][-1]
        assert (slot["id"], slot["state"], slot["repository"]) == ("language", "ready", "tiny-llm")
        assert slot["hardware"]["gpu_memory_mb"] == 8000
        metrics = http.request("GET", f"{url}/metrics").data.decode()
        assert 'holdfast_model_state{model="language",state="ready"} 1.0' in metrics


def test_what_the_back_end_refuses_is_refused_in_its_own_words(
    tmp_path: Path, client_of: ClientOf
) -> None:
    with back_end() as (behind, _), serving(tmp_path, f"{behind}/v1") as url:
        with pytest.raises(openai.RateLimitError, match="no more") as caught:
            client_of(url).chat.completions.create(
                model="tiny-llm", messages=[{"role": "user", "content": "too much"}]
            )
        assert caught.value.response.headers["retry-after"] == "7"


def test_a_client_that_leaves_ends_the_answer_at_its_source(
    tmp_path: Path, client_of: ClientOf
) -> None:
    words = " ".join(map(str, range(200)))
    with back_end() as (behind, _), serving(tmp_path, f"{behind}/v1") as url:
        stream = client_of(url).chat.completions.create(
            model="tiny-llm", messages=[{"role": "user", "content": words}], stream=True
        )
        next(iter(stream))
        stream.close()
        assert gone_from(behind) == [words]


def gone_from(behind: str) -> list[str]:
    def left() -> list[str]:
        found: list[str] = urllib3.request("GET", f"{behind}/left").json()
        return found

    until(lambda: bool(left()), within_s=10)
    return left()


def test_our_client_streams_and_ends_the_answer_at_its_source_when_it_leaves(
    tmp_path: Path,
) -> None:
    words = " ".join(map(str, range(200)))
    asked = [{"role": "user", "content": words}]
    with back_end() as (behind, _), serving(tmp_path, f"{behind}/v1") as url:
        with Client(url, key="front-key") as client:
            for piece in client.chat_stream(asked, model="tiny-llm"):
                assert piece == "0 "
                break
            assert gone_from(behind) == [words]

        async def awaited() -> str:
            async with (
                AsyncClient(url, key="front-key") as client,
                aclosing(client.chat_stream(asked, model="tiny-llm")) as pieces,
            ):
                return await anext(pieces) + await anext(pieces)

        assert asyncio.run(awaited()) == "0 1 "
        until(lambda: urllib3.request("GET", f"{behind}/left").json() == [words] * 2, 10)


def test_without_a_back_end_it_says_what_would_be_needed(
    tmp_path: Path, client_of: ClientOf, http: urllib3.PoolManager
) -> None:
    with serving(tmp_path, "") as url:
        with pytest.raises(openai.InternalServerError) as caught:
            client_of(url).chat.completions.create(
                model="x", messages=[{"role": "user", "content": "hello"}]
            )
        slot = ask(http, f"{url}/models")[1]["models"][-1]
    assert caught.value.status_code == 503
    assert "needs a GPU with 8000 MB" in str(caught.value)
    assert (slot["state"], slot["error"]["code"]) == ("absent", "language-unavailable")


def test_a_back_end_that_dies_is_noticed_and_one_that_returns_too(
    tmp_path: Path, client_of: ClientOf, http: urllib3.PoolManager
) -> None:
    with back_end() as (behind, process), serving(tmp_path, f"{behind}/v1") as url:
        assert ask(http, f"{url}/models")[1]["models"][-1]["state"] == "ready"
        process.kill()
        process.wait()
        with pytest.raises(openai.InternalServerError, match="does not answer"):
            client_of(url).chat.completions.create(
                model="x", messages=[{"role": "user", "content": "hello"}]
            )
        slot = ask(http, f"{url}/models")[1]["models"][-1]
        assert (slot["state"], slot["error"]["code"]) == ("failed", "language-unavailable")


def test_the_keys_stay_where_they_belong(
    tmp_path: Path, client_of: ClientOf, http: urllib3.PoolManager
) -> None:
    with back_end() as (behind, _), serving(tmp_path, f"{behind}/v1", key="wrong") as url:
        slot = ask(http, f"{url}/models")[1]["models"][-1]
        assert slot["state"] == "failed"
        assert "401" in slot["error"]["message"]
        # The client's own key is right, and nothing may make it think otherwise.
        with pytest.raises(openai.InternalServerError, match="401 Unauthorized: it wants a key"):
            client_of(url).chat.completions.create(
                model="x", messages=[{"role": "user", "content": "hello"}]
            )
        plain = http.request("POST", f"{url}/v1/chat/completions", body=b"[1]")
    assert plain.status == 422
    assert "wrong" not in str(slot).replace("wrong key", "")
