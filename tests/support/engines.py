"""Engines for tests of the runtime: functions of a module, so that processes can name them."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.runtime import CalledOff, Limits, ModelSpec, Provided, check_wanted

WAIT_S = 20.0


class Refused(HoldfastError):
    """What an engine says to input that it cannot use."""

    code = "refused"
    http_status = 422


class Echo:
    """Answers with what it is given. Counts, to show that the same engine answers again."""

    def __init__(self, folder: Path, device: str) -> None:
        self.folder, self.device = folder, device
        self.answered = 0
        self.batches: list[int] = []
        self.closed = False

    def close(self) -> None:
        self.closed = True


def load_echo(folder: Path, device: str) -> Echo:
    print("a library that prints to standard output")
    return Echo(folder, device)


def spec(name: str = "model", **changes: Any) -> ModelSpec:
    """Return a model that is an echo, but for the changes."""
    values: dict[str, Any] = {
        "id": name,
        "task": "testing",
        "repository": f"owner/{name}",
        "revision": "main",
        "licence": "MIT",
        "provide": lambda _: Provided(Path("folder"), "c" * 40),
        "load": load_echo,
        "limits": Limits(wait_s=WAIT_S, run_s=WAIT_S),
    }
    return ModelSpec(**(values | changes))


def load_refused(folder: Path, device: str) -> Echo:
    raise Refused("this folder is no model", why=str(folder), hint="another one", part=3)


def load_broken(folder: Path, device: str) -> Echo:
    raise RuntimeError("a broken library")


def load_dead(folder: Path, device: str) -> Echo:
    os._exit(7)


def where(engine: Echo) -> tuple[int, str, str]:
    return os.getpid(), str(engine.folder), engine.device


def echo(engine: Echo, value: Any, seconds: float = 0.0) -> Any:
    engine.answered += 1
    time.sleep(seconds)
    return value


def count(engine: Echo) -> int:
    engine.answered += 1
    return engine.answered


def refuse(engine: Echo) -> None:
    raise Refused("that is no good", why="it is bad", hint="something better", param="x")


def fail(engine: Echo) -> None:
    raise ZeroDivisionError("deep in a library")


def unsendable(engine: Echo) -> Any:
    return lambda: None


def exit_hard(engine: Echo, code: int) -> None:
    os._exit(code)


def kill_self(engine: Echo) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def politely(engine: Echo, steps: int) -> int:
    """Work in steps, and look between them whether anybody still waits."""
    for _ in range(steps):
        check_wanted()
        time.sleep(0.01)
    return steps


def stumble(engine: Echo) -> None:
    """Fail once nobody waits any more, as over a file that was closed with its request."""
    try:
        while True:
            check_wanted()
            time.sleep(0.005)
    except CalledOff:
        raise ValueError("I/O operation on closed file") from None


def hang(engine: Echo, seconds: float) -> None:
    """Work on whatever anybody says."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.01)


def doubled(engine: Echo, items: list[Any]) -> list[Any]:
    engine.batches.append(len(items))
    if "poison" in items:
        raise ValueError("one of them is bad")
    time.sleep(0.02)
    return [item * 2 for item in items]


def too_few(engine: Echo, items: list[Any]) -> list[Any]:
    return items[1:]


def batches(engine: Echo) -> list[int]:
    return engine.batches


def say(engine: Echo, text: str) -> None:
    print(text)
    print(text, file=sys.stderr)
