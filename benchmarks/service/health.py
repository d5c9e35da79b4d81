"""Whether a model that loads is felt by those who ask for something else."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from benchmarks.figures import Row, Section
from benchmarks.measure import run as run_command
from benchmarks.run import Run
from benchmarks.service.clients import Answers, ask, for_seconds, question
from benchmarks.service.servers import Server, holdfast_up, program, served
from benchmarks.sides import holdfast_environment

__all__ = ["HEAVY_S", "health"]

HEAVY_S = 2.0
_WATCHERS = 16
_EVERY_S = 0.04
_PROMPT_MS = 50.0
_HEALTH = question("/health")
_ASK = f"{_WATCHERS} clients ask `/health` every {1000 * _EVERY_S:.0f} ms"
_LIBRARIES = Path(__file__).resolve().parent.parent.parent / ".venv-libraries/bin/python"
# How long a thread that wants to go on every 0.2 ms is kept from it while another imports.
_HOLD = """
import json, sys, threading, time
sys.setswitchinterval(0.0001)
held, ended = [], threading.Event()
def look():
    last = time.perf_counter()
    while not ended.is_set():
        time.sleep(0.0002)
        now = time.perf_counter()
        held.append(now - last)
        last = now
thread = threading.Thread(target=look)
thread.start()
started = time.perf_counter()
__import__(sys.argv[1])
seconds = time.perf_counter() - started
ended.set()
thread.join()
print(json.dumps([1000 * max(held), 1000 * seconds]))
"""


async def _while_loading(server: Server, model: str) -> tuple[Answers, float]:
    """Return what watchers got while a model was loaded, and the seconds that took."""
    took: list[float] = []

    async def loaded() -> None:
        await asyncio.to_thread(server.ask, "POST", f"/models/{model}/load")
        while (seconds := await asyncio.to_thread(server.load_s, model)) is None:
            await asyncio.sleep(0.1)
        took.append(seconds)

    answers = await ask(server.url, _HEALTH, _WATCHERS, loaded, _EVERY_S)
    server.ask("POST", f"/models/{model}/unload")
    return answers, took[0]


async def _until_ready(server: Server) -> Answers:
    async def ready() -> None:
        while (await asyncio.to_thread(server.ready))[0] != 200:
            await asyncio.sleep(0.02)

    return await ask(server.url, _HEALTH, _WATCHERS, ready, _EVERY_S)


def _rows(
    label: str, loading: list[Answers], quiet: list[Answers], *, promised: bool = True
) -> list[Row]:
    def row(words: str, share: float, **more: object) -> Row:
        figures = ([one.ms(share) for one in side] for side in (loading, quiet))
        return Row(f"{label}: {words}", "ms", *figures, compare="ours", **more)  # type: ignore[arg-type]

    return [
        row("p50", 0.5, quoted=False),
        row("p99", 0.99, target=_PROMPT_MS if promised else None),
        row("the longest", 1.0, quoted=False),
    ]


def health(run: Run) -> list[Section]:
    """Ask for `/health` while models load, and while none does."""
    return [_starter(run), *_heavy(run), _holds(run)]


def _quiet(server: Server, seconds: float) -> Answers:
    return for_seconds(server.url, _HEALTH, _WATCHERS, seconds, _EVERY_S)


def _starter(run: Run) -> Section:
    """Ask while the starter set's own model is loaded."""
    loading: list[Answers] = []
    quiet: list[Answers] = []
    home = run.folder / "health-home"
    home.mkdir()
    for number in range(-1, len(run.times(7))):
        with served(holdfast_up(), HOME=str(home), HOLDFAST_HOME=str(home)) as server:
            seen = asyncio.run(_until_ready(server))
            if number >= 0:  # the first one fills the home
                loading.append(seen)
                quiet.append(_quiet(server, seen.wall_s))
                run.say(f"  starter: p99 {seen.ms(0.99):.1f} ms of {len(seen.took_s)}")
    rows = _rows("silero-vad", loading, quiet)
    what = f"{_ASK} while `holdfast up` loads its model, and afterwards"
    return Section("service-health-up", what, rows, peer="none loads", ours="while it loads")


def _heavy(run: Run) -> list[Section]:
    seconds = HEAVY_S * run.scale
    models = [f"{name}{suffix}" for name in ("python", "imports") for suffix in ("", "-isolated")]
    seen: dict[str, list[Answers]] = {model: [] for model in models}
    quiet: list[Answers] = []
    loads: dict[str, list[float]] = {model: [] for model in models}
    with served(program("loads", "--seconds", str(seconds))) as server:
        for _ in run.times(3):
            quiet.append(_quiet(server, seconds))
            for model in models:
                answers, load_s = asyncio.run(_while_loading(server, model))
                seen[model].append(answers)
                loads[model].append(load_s)
                run.say(f"  {model}: p50 {answers.ms(0.5):.1f}, p99 {answers.ms(0.99):.1f} ms, "
                        f"loaded in {load_s:.1f} s")  # fmt: skip

    def section(name: str, words: str, *, promised: bool = True) -> Section:
        own = f"{name}-isolated"
        rows = [
            *_rows("in this process", seen[name], quiet, promised=promised),
            Row("in this process: the load", "s", loads[name], [], compare="ours", quoted=False),
            *_rows("isolated", seen[own], quiet),
            Row("isolated: the load", "s", loads[own], [], compare="ours", quoted=False),
        ]
        what = f"{_ASK} while a model takes {seconds:g} s of a processor to load, {words}"
        return Section(f"service-health-{name}", what, rows, peer="none loads",
                       ours="while it loads")  # fmt: skip

    return [
        section("python", "in Python, which lets others in at any time"),
        section(
            "imports",
            "and keeps the interpreter to itself in pieces, as an import of torch does; "
            "such a model is therefore isolated, and a conversion done apart",
            promised=False,
        ),
    ]


def _holds(run: Run) -> Section:
    """Import libraries beside a thread that wants its turn; each in a process of its own."""
    libraries = [(sys.executable, name) for name in ("numpy", "onnxruntime", "av")]
    if _LIBRARIES.exists():
        libraries.append((str(_LIBRARIES), "torch"))
    else:
        run.say("  torch is not here: python3 bootstrap.py test brings it")
    rows = []
    for python, name in libraries:
        longest, whole = [], []
        for number in range(-1, len(run.times(3))):
            cost = run_command([python, "-c", _HOLD, name], holdfast_environment(), settle=False)
            if number >= 0:
                figures = json.loads(cost.output)
                longest.append(figures[0])
                whole.append(figures[1])
        rows.append(Row(f"import {name}", "ms", longest, whole, compare="share", quoted=False))
    what = "imports, and the longest piece of each in which no other thread can run"
    return Section("service-health-holds", what, rows, peer="the import", ours="longest piece")
