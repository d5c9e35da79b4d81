"""The rounds of `holdfast check` and `holdfast test`: everything a client can ask, once each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from holdfast.cli._answers import Wrong
from holdfast.cli._document_rounds import DocumentRounds, documents_asynchronously
from holdfast.cli._speech_rounds import SpeechRounds, speech_asynchronously
from holdfast.cli._voice_rounds import VoiceRounds, voices_asynchronously
from holdfast.client import AsyncClient, Client, Model, ServiceError
from holdfast.errors import HoldfastError
from holdfast.voiceprint import sample_voices

__all__ = ["Line", "rounds"]


@dataclass(frozen=True, slots=True)
class Line:
    """What came of one round."""

    name: str
    passed: bool
    told: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "check": self.name,
            "passed": self.passed,
            "message": self.told,
            "seconds": round(self.seconds, 3),
        }


def rounds(url: str, key: str | None, recording: Path, wait_s: float) -> Iterator[Line]:
    """Ask a service everything; yield a line about each as it comes.

    Args:
        url: where it is.
        key: what it asks for, if anything.
        recording: somebody speaking.
        wait_s: how long it may take to become ready.
    """
    with Client(url, key=key, patience_s=wait_s) as client:
        first = _line("health", lambda: _health(client))
        yield first
        if not first.passed:
            return
        yield _line("readiness", lambda: _ready(client, wait_s))
        models: list[Model] = []
        listed = _line("models", lambda: _models(client, models))
        yield listed
        if not listed.passed:  # without a key, say: then nothing else is answered either
            return
        for model in models:
            yield _line(f"model {model.id}", partial(_model, client, model))
        yield _line("metrics", lambda: _metrics(client))
        yield _line("refusals", lambda: _refusal(client))
        yield _line("speech: voice activity", lambda: _speech(client, recording))
        for name, ask in SpeechRounds(client, models, recording).all():
            yield _line(name, ask)
        for name, ask in VoiceRounds(client, sample_voices()).all():
            yield _line(name, ask)
        for name, ask in DocumentRounds(client, models).all():
            yield _line(name, ask)
    yield _line(
        "asynchronous client", lambda: asyncio.run(_asynchronously(url, key, recording, wait_s))
    )


def _line(name: str, ask: Callable[[], str]) -> Line:
    started = time.monotonic()
    try:
        passed, told = True, ask()
    except Wrong as wrong:
        passed, told = False, str(wrong)
    except HoldfastError as error:
        passed, told = False, f"{error}" + (f"    try: {error.hint}" if error.hint else "")
    return Line(name, passed, told, time.monotonic() - started)


def _health(client: Client) -> str:
    health = client.health()
    return f"holdfast {health.version}, up for {health.uptime_s:.0f} s"


def _ready(client: Client, wait_s: float) -> str:
    found = client.wait_ready(wait_s)
    if not found.ready:
        raise Wrong(found.message or "it is not ready")
    return "every preloaded model is present, verified and loaded"


def _models(client: Client, models: list[Model]) -> str:
    models += client.models()
    return ", ".join(f"{model.id} is {model.state}" for model in models) or "none are configured"


def _model(client: Client, model: Model) -> str:
    if model.task == "text-generation":
        return _language(client, model)
    if model.error is not None:
        raise Wrong(f"{model.error['code']}: {model.error['message']}")
    client.load(model.id)  # does nothing to one that is loaded
    memory = "" if model.memory_mb is None else f", {model.memory_mb:.0f} MB"
    seconds = "" if model.load_s is None else f", loaded in {model.load_s:.2f} s"
    return f"{model.task} by {model.repository}@{model.revision[:8]} on {model.device}" + (
        memory + seconds
    )


def _language(client: Client, model: Model) -> str:
    if model.state == "absent":
        return "none is configured, which is no fault"
    if model.error is not None:
        raise Wrong(f"{model.error['code']}: {model.error['message']}")
    first = model.repository.split(", ")[0]  # servers want to be told which, also where it is one
    question = [{"role": "user", "content": "Say hello."}]
    answer = client.chat(question, model=first, max_tokens=16)
    pieces = len(list(client.chat_stream(question, model=first, max_tokens=16)))
    return f"{first} says {answer[:40]!r}, and again in {pieces} piece(s)"


def _metrics(client: Client) -> str:
    text = client.metrics()
    if "holdfast_requests_total" not in text:
        raise Wrong("the numbers of requests are missing")
    return f"{len([line for line in text.splitlines() if not line.startswith('#')])} numbers"


def _refusal(client: Client) -> str:
    try:
        client.unload("no-such-model")
    except ServiceError as error:
        if (error.status, error.service_code) == (404, "unknown-model"):
            return f"an unknown model is {error.status} {error.service_code}"
        raise
    raise Wrong("a model that there is not was unloaded")


def _speech(client: Client, recording: Path) -> str:
    found = client.find_speech(recording)
    if not found:
        raise Wrong(f"nobody was heard in {recording.name}")
    heard = ", ".join(f"{one.start_ms / 1000:.2f}-{one.stop_ms / 1000:.2f} s" for one in found)
    return f"{recording.name}: speech at {heard}"


async def _asynchronously(url: str, key: str | None, recording: Path, wait_s: float) -> str:
    async with AsyncClient(url, key=key, patience_s=wait_s) as client:
        health, ready, models, metrics, found, loaded = await asyncio.gather(
            client.health(), client.ready(), client.models(), client.metrics(),
            client.find_speech(recording), _load_first(client),
        )  # fmt: skip
        try:
            await client.unload("no-such-model")
        except ServiceError as error:
            if error.status != 404:
                raise
        speech = await speech_asynchronously(client, models, recording)
        voice = await voices_asynchronously(client, sample_voices())
        document = await documents_asynchronously(client, models)
    del health, ready, metrics
    told = (f"{len(models)} model(s), {len(found)} segment(s) of speech", loaded, speech, voice)
    return "; ".join((*told, document))


async def _load_first(client: AsyncClient) -> str:
    models = await client.models()
    if not models or models[0].task == "text-generation":
        return "nothing to load"
    return f"{(await client.load(models[0].id)).id} is loaded"
