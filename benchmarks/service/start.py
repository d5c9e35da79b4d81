"""How soon a service answers, and what follows until its models are loaded."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Row, Section
from benchmarks.measure import MeasurementError
from benchmarks.run import Run
from benchmarks.service.servers import Server, holdfast_up, program, served

__all__ = ["HEAVY_S", "start"]

_FIRST_WITHIN_S = 1.0
_SOONER = 10.0
_POLL_S = 0.004
# The median of three imports of torch and transformers.
HEAVY_S = 5.5
# What a model is at least through with once it is seen in a state.
_ORDER = ("absent", "fetching", "verifying", "converting", "loading")


@dataclass(frozen=True)
class _Stages:
    """Seconds since the process was started."""

    first_answer: float
    provided: float
    verified: float
    loaded: float


def _watch(server: Server) -> _Stages:
    """Ask for readiness until it is there; the first answer must be that it is not."""
    status, states = server.ready()
    first = time.perf_counter() - server.started
    if status != 503:
        raise MeasurementError(f"the first answer was {status}, not 503: it came too late")
    reached: dict[str, float] = {"verifying": 0.0, "loading": 0.0}
    while status != 200:
        time.sleep(_POLL_S)
        status, states = server.ready()
        now = time.perf_counter() - server.started
        # With several models the last one counts.
        least = min((_ORDER.index(state) for state in states), default=len(_ORDER))
        for state, seen in reached.items():
            if not seen and least >= _ORDER.index(state):
                reached[state] = now
    return _Stages(first, reached["verifying"], reached["loading"], now)


def _starter(run: Run) -> Section:
    """Start the starter set where nothing is, and where its model is."""
    stages: dict[str, list[_Stages]] = {"empty": [], "warm": []}
    loads: dict[str, list[float]] = {"empty": [], "warm": []}
    for number, home in _homes(run):
        for kind, watched in stages.items():
            with served(holdfast_up(), HOME=str(home), HOLDFAST_HOME=str(home)) as server:
                seen = _watch(server)
                load_s = server.load_s("silero-vad")
            run.say(f"  {kind} home: {seen.first_answer:.2f} s to the first answer, "
                    f"{seen.loaded:.2f} s until ready")  # fmt: skip
            if number >= 0:
                watched.append(seen)
                loads[kind].append(load_s or 0.0)
    rows = [
        Row(label, "s", *([getattr(one, stage) for one in stages[kind]] for kind in stages),
            quoted=False)
        for label, stage in (
            ("/ready answers, with 503", "first_answer"),
            ("the model is there", "provided"),
            ("it is verified", "verified"),
            ("it is loaded: /ready answers with 200", "loaded"),
        )
    ]  # fmt: skip
    rows[0].compare, rows[0].target = "ours", _FIRST_WITHIN_S
    own = Row("of this loading, by the server's own figure", "s", loads["empty"], loads["warm"],
              quoted=False)  # fmt: skip
    what = "`holdfast up` with the starter set, in seconds from the start of the process"
    return Section("service-start", what, [*rows, own], peer="model at home", ours="empty home")


def _homes(run: Run) -> Iterator[tuple[int, Path]]:
    """Yield the rounds and an empty home for each; the first round is not counted."""
    for number in range(-1, len(run.times(5))):
        home = run.folder / f"home-{number + 1}"
        home.mkdir()
        yield number, home


def _heavy(run: Run) -> Section:
    """Start a service whose model takes long to load, beside itself."""
    seconds = HEAVY_S * run.scale
    kinds = {"loaded in this process": (), "loaded in a process of its own": ("--isolate",)}
    seen: dict[str, list[_Stages]] = {kind: [] for kind in kinds}
    for _, (kind, options) in itertools.product(run.times(3), kinds.items()):
        with served(program("heavy", "--seconds", str(seconds), *options)) as server:
            stages = _watch(server)
        seen[kind].append(stages)
        run.say(f"  {kind}: {stages.first_answer:.2f} s, ready after {stages.loaded:.2f} s")
    rows = []
    for kind, stages_of in seen.items():
        firsts = [one.first_answer for one in stages_of]
        readies = [one.loaded for one in stages_of]
        rows.append(Row(kind, "s", firsts, readies, target=_SOONER))
        rows.append(Row(f"{kind}: until 503", "s", firsts, [], target=_FIRST_WITHIN_S,
                        compare="ours", quoted=False))  # fmt: skip
    what = (
        f"a service with a model that takes {seconds:g} s of a processor to load, as torch and "
        "transformers take to be imported; in seconds from the start of the process"
    )
    return Section("service-start-heavy", what, rows, peer="/ready: 200", ours="/ready: 503")


def start(run: Run) -> list[Section]:
    """Start services and watch what becomes of them."""
    return [_starter(run), _heavy(run)]
