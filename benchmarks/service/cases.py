"""The service's cases: what it costs a request, and what batching saves, are measured here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from benchmarks.figures import Row, Section
from benchmarks.run import Run
from benchmarks.service.clients import Answers, for_seconds, question
from benchmarks.service.engines import WIDTH
from benchmarks.service.health import health
from benchmarks.service.servers import program, served
from benchmarks.service.start import start

__all__ = ["CASES", "INTRODUCTION", "LIBRARIES"]

LIBRARIES = ("uvicorn", "fastapi", "numpy", "onnxruntime")
INTRODUCTION = """\
# Benchmarks of the service

Made by `python -m benchmarks service --write-docs docs/benchmarks-service.md`. Servers are
processes of their own on loopback, and take turns within one run; the clients are one process
more, on the same cores. A client asks again as soon as it has its answer; where it asks every so
often instead, a late answer makes the next question late too, and that counts as waiting. Figures
are medians over the rounds. Downloads are compared in [benchmarks.md](benchmarks.md).

What loads or computes in Python within the service's process keeps its answers waiting for the
interpreter, by Python's standard 5 ms at every read and write; `holdfast up` has it let go after
0.5 ms ([ADR 22](adr/0022-the-servers-turn.md)). No setting helps against a library that keeps the
interpreter to itself in one piece, as torch does while it is imported (`service-health-holds`):
in the service's process that breaks the 50 ms that are promised for `/health`
(`service-health-imports`), so such a model is to be isolated, where it is not felt.
"""
_CROWD = 32
_Asked = dict[str, list[Answers]]


def _in_turn(
    run: Run, usual: int, clients: int, seconds: float, sides: Mapping[str, tuple[str, bytes]]
) -> _Asked:
    """Ask one server after the other, round after round; a first, short round is not counted."""
    asked: _Asked = {name: [] for name in sides}
    for number in range(-1, len(run.times(usual))):
        for name, (url, request) in sides.items():
            lasting = (seconds if number >= 0 else seconds / 3) * run.scale
            answers = for_seconds(url, request, clients, lasting)
            if number >= 0:
                asked[name].append(answers)
                run.say(f"  {name}, {clients} clients: {answers.rate:.0f} requests/s, p50 "
                        f"{answers.ms(0.5):.2f} ms, p99 {answers.ms(0.99):.2f} ms")  # fmt: skip
    return asked


def _ms(asked: _Asked, name: str, share: float) -> list[float]:
    return [answers.ms(share) for answers in asked[name]]


def _rates(asked: _Asked, name: str) -> list[float]:
    return [answers.rate for answers in asked[name]]


def overhead(run: Run) -> list[Section]:
    """Ask Holdfast, and a bare ASGI application on the same server with the same settings."""
    body = bytes(1000)
    with served(program("bare")) as bare, served(program("echo")) as ours:
        ours.await_ready()
        sides = {
            "bare GET": (bare.url, question("/health")),
            "health": (ours.url, question("/health")),
            "bare POST": (bare.url, question("/", body)),
            "model": (ours.url, question("/ask/echo", body)),
            "isolated": (ours.url, question("/ask/isolated", body)),
        }
        alone = _in_turn(run, 5, 1, 0.4, sides)
        crowd = _in_turn(run, 5, _CROWD, 0.6, sides)

    def section(name: str, peer: str, what: str) -> Section:
        more = [one - other for one, other in
                zip(_ms(alone, name, 0.5), _ms(alone, peer, 0.5), strict=True)]  # fmt: skip
        rows = [
            Row("one client, p50", "ms", _ms(alone, name, 0.5), _ms(alone, peer, 0.5),
                compare="share"),
            Row("one client, p50: what is added", "ms", more, [], compare="ours", quoted=False),
            Row("one client, p99", "ms", _ms(alone, name, 0.99), _ms(alone, peer, 0.99),
                compare="share"),
            Row(f"{_CROWD} clients", "requests/s", _rates(crowd, name), _rates(crowd, peer),
                compare="gain"),
        ]  # fmt: skip
        return Section(f"service-overhead-{name}", what, rows, peer="bare ASGI")

    return [
        section("health", "bare GET", "`GET /health`, against an application that only answers"),
        section("model", "bare POST",
                "1 kB there and back through a model's queue, against an application that does "
                "nothing else"),
        section("isolated", "bare POST", "the same, the model in a process of its own"),
    ]  # fmt: skip


def batching(run: Run) -> list[Section]:
    """Ask a model that is bound by memory, one request a call, and many."""
    import numpy as np

    # One core for the model: the clients and the server need the other.
    one_core = {"OPENBLAS_NUM_THREADS": "1"}
    request = question("/ask/matrices", np.full(WIDTH, 1, np.float32).tobytes())
    commands = {
        "one by one": program("matrices"),
        "batched": program("matrices", "--max-batch", "32"),
        "not waiting": program("matrices", "--max-batch", "32", "--batch-wait-ms", "0"),
    }
    with contextlib.ExitStack() as stack:
        sides = {}
        for name, command in commands.items():
            server = stack.enter_context(served(command, **one_core))
            server.await_ready()
            sides[name] = (server.url, request)
        alone = _in_turn(run, 5, 1, 0.4, sides)
        crowd = _in_turn(run, 5, _CROWD, 1.0, sides)

    def section(name: str, suffix: str, words: str) -> Section:
        peer = "one by one"
        rows = [
            Row(f"{_CROWD} clients", "requests/s", _rates(crowd, name), _rates(crowd, peer),
                compare="gain"),
            Row(f"{_CROWD} clients, p50", "ms", _ms(crowd, name, 0.5), _ms(crowd, peer, 0.5),
                quoted=False),
            Row(f"{_CROWD} clients, p99", "ms", _ms(crowd, name, 0.99), _ms(crowd, peer, 0.99),
                quoted=False),
            Row("one client alone, p50", "ms", _ms(alone, name, 0.5), _ms(alone, peer, 0.5),
                compare="share"),
        ]  # fmt: skip
        what = f"four layers of {WIDTH} x {WIDTH} numbers, 32 requests a call at most; {words}"
        return Section(f"service-batching{suffix}", what, rows, peer="one a call")

    return [
        section("batched", "", "the first request waits 5 ms for others, as is standard"),
        section("not waiting", "-no-wait", "no request waits for others (`batch_wait_ms = 0`)"),
    ]


CASES: dict[str, Callable[[Run], list[Section]]] = {
    "service-overhead": overhead,
    "service-batching": batching,
    "service-start": start,
    "service-health": health,
}
