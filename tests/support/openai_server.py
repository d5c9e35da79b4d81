"""A small server that speaks OpenAI's chat interface: python -m tests.support.openai_server KEY.

Prints its address. Answers with what it was asked, word by word where that is wanted.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

KEY = sys.argv[1] if len(sys.argv) > 1 else ""
left: list[str] = []  # what clients went away from


def refused(request: Request) -> Response | None:
    if request.headers.get("authorization", "") == (f"Bearer {KEY}" if KEY else ""):
        return None
    error = {"message": "wrong key", "type": "auth", "param": None, "code": "bad"}
    return JSONResponse({"error": error}, 401)


async def models(request: Request) -> Response:
    listed = [{"id": "tiny-llm", "object": "model", "created": 1, "owned_by": "test"}]
    return refused(request) or JSONResponse({"object": "list", "data": listed})


def chunk(delta: dict[str, Any], end: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": end}
    value = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "tiny-llm",
             "choices": [choice]}  # fmt: skip
    return f"data: {json.dumps(value)}\n\n"


async def chat(request: Request) -> Response:
    asked = await request.json()
    if asked.get("model") not in {"tiny-llm", "x"}:
        error = {"message": "no such model", "type": "x", "param": "model", "code": "none"}
        return JSONResponse({"error": error}, 404)
    said = asked["messages"][-1]["content"]
    if (no := refused(request)) is not None:
        return no
    if said == "too much":
        error = {"message": "no more", "type": "rate_limit_error", "param": None, "code": "slow"}
        return JSONResponse({"error": error}, 429, {"Retry-After": "7"})
    if not asked.get("stream"):
        message = {"role": "assistant", "content": f"you said: {said}"}
        return JSONResponse(
            {"id": "c1", "object": "chat.completion", "created": 1, "model": "tiny-llm",
             "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        )  # fmt: skip

    async def words() -> AsyncIterator[str]:
        try:
            for word in said.split():
                yield chunk({"content": word + " "})
                await asyncio.sleep(0.1)
            yield chunk({}, "stop")
            yield "data: [DONE]\n\n"
        except asyncio.CancelledError:
            left.append(said)
            raise

    return StreamingResponse(words(), media_type="text/event-stream")


async def who_left(request: Request) -> Response:
    return JSONResponse(left)


def main() -> None:
    app = Starlette(
        routes=[
            Route("/v1/models", models),
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/left", who_left),
        ]
    )
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    asyncio.run(server.serve([listener]))


if __name__ == "__main__":
    main()
