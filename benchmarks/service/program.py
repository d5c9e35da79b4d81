"""The servers that are measured: ``python -m benchmarks.service.program KIND``; prints its address.

bare        an ASGI application that answers with what it is given, and nothing else
echo        Holdfast with models that do the same, in its process and in one of its own
matrices    Holdfast with a model of matrices
heavy       Holdfast with a model that takes long to load; as `holdfast up` runs it
loads       the same with several, which are loaded when somebody asks for it
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.service import engines
from holdfast.api._waiting import answered
from holdfast.cli._logs import log_service
from holdfast.config import ServiceSettings
from holdfast.language import Backend
from holdfast.runtime import Batch, ModelSpec, Provided, Supervisor
from holdfast.server import RunningServer, ServerSettings, create_app, serve
from holdfast.server._run import listen, prompt_answers, uvicorn_over
from holdfast.wiring import KeptVoices, Services, VoiceActivity, voiceprint_of


def _spec(name: str, load: engines.Load, **more: Any) -> ModelSpec:
    return ModelSpec(
        id=name,
        task="measuring",
        repository=f"benchmarks/{name}",
        revision="main",
        licence="Apache-2.0",
        provide=lambda _: Provided(Path(), "0" * 40),
        load=load,
        **more,
    )


def _models(options: argparse.Namespace) -> list[ModelSpec]:
    if options.kind == "echo":
        return [
            _spec("echo", engines.load_echo),
            _spec("isolated", engines.load_echo, isolate=True),
        ]
    if options.kind == "matrices":
        wait_s = options.batch_wait_ms / 1000
        batching = {"max_batch": options.max_batch, "batch_wait_s": wait_s}
        return [_spec("matrices", engines.load_matrices, **batching)]
    loads = {"python": engines.loads_python, "imports": engines.loads_imports}
    if options.kind == "heavy":
        load = loads["imports"](options.seconds)
        return [_spec("heavy", load, isolate=options.isolate)]
    return [
        _spec(f"{name}{suffix}", load(options.seconds), isolate=bool(suffix), preload=False)
        for name, load in loads.items()
        for suffix in ("", "-isolated")
    ]


def _services(models: Sequence[ModelSpec]) -> Services:
    supervisor = Supervisor(models)
    service = ServiceSettings()
    voices = KeptVoices(service, {})
    voiceprint = voiceprint_of(supervisor, service, voices)
    return Services(
        supervisor, VoiceActivity(supervisor), voiceprint, voices, Backend("", None, 60)
    )


def _ours(services: Services) -> FastAPI:
    """Return Holdfast's application with a route more, made as the one for speech is."""
    app, supervisor = create_app(services), services.supervisor
    kinds = {"matrices": Batch(engines.multiply)}

    @app.post("/ask/{model}")
    async def ask(model: str, request: Request) -> Response:
        supervisor.expect(model)
        body = await request.body()
        work = kinds.get(model, engines.echo)
        job = await run_in_threadpool(supervisor.submit, model, work, body)
        return Response(await answered(request, job))

    return app


async def _bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what is given, to whatever path."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    kind = (b"content-type", b"application/octet-stream")
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [kind, length]})
    await send({"type": "http.response.body", "body": body})


def _run(app: ASGIApp) -> None:
    """Serve as the service does."""
    listener = listen(ServerSettings(port=0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    with prompt_answers():
        asyncio.run(uvicorn_over(app).serve([listener]))


def _say(server: RunningServer) -> None:
    print(server.url, flush=True)


def main() -> int:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service.program")
    parser.add_argument("kind", choices=["bare", "echo", "matrices", "heavy", "loads"])
    parser.add_argument("--max-batch", type=int, default=1)
    parser.add_argument("--batch-wait-ms", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--isolate", action="store_true")
    options = parser.parse_args()
    log_service("text", quiet=False, verbose=False)
    if options.kind == "bare":
        _run(_bare)
    elif options.kind in {"echo", "matrices"}:
        _run(_ours(_services(_models(options))))
    else:
        serve(_services(_models(options)), ServerSettings(port=0), _say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
