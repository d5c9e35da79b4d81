"""What the cure costs other programs: `holdfast run`, `activate()`, and a link that works."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.cases import Bench
from benchmarks.figures import Row, Section
from benchmarks.measure import run

__all__ = ["programs"]

_ACTIVATE = """
import json, time
import holdfast
started = time.perf_counter()
holdfast.activate()
print(json.dumps(1000 * (time.perf_counter() - started)))
"""
_LINKS = """
import json, os, sys, time
from holdfast.compat.inject import _holdfast_links
folder, links = sys.argv[1], 2000
open(os.path.join(folder, "blob"), "w").close()
def one_link_us(name):
    started = time.perf_counter()
    for number in range(links):
        os.symlink("blob", os.path.join(folder, f"{name}{number}"))
    return 1e6 * (time.perf_counter() - started) / links
fallback = _holdfast_links.LinkFallback([folder])
plain, ours = [], []
for turn in range(4):
    plain.append(one_link_us(f"plain{turn}-"))
    fallback.install()
    ours.append(one_link_us(f"ours{turn}-"))
    fallback.remove()
print(json.dumps([min(ours), min(plain)]))
"""


def programs(bench: Bench) -> list[Section]:
    """Start a program below `run`, activate in one, and make links that work."""
    if bench.ours is None:
        return []
    environment = bench.ours.environment() | {"HOLDFAST_HOME": str(bench.ours.home)}
    python = sys.executable
    alone = [python, "-c", "pass"]
    below = [str(Path(python).with_name("holdfast")), "run", "--", *alone]
    seconds: dict[str, list[float]] = {"alone": [], "below": [], "activate": []}
    links: list[list[float]] = [[], []]
    folder = bench.ours.home.with_name("links")
    for number in range(-1, len(bench.times(15))):
        for name, command in (("alone", alone), ("below", below)):
            cost = run(command, environment, settle=False)
            seconds[name] += [1000 * cost.wall_s] if number >= 0 else []
        cost = run([python, "-c", _ACTIVATE], environment, settle=False)
        seconds["activate"] += [json.loads(cost.output)] if number >= 0 else []
    for number in range(len(bench.times(3))):
        inside = Path(folder / str(number))
        inside.mkdir(parents=True)
        figures = json.loads(run([python, "-c", _LINKS, str(inside)], environment).output)
        for kept, figure in zip(links, figures, strict=True):
            kept.append(figure)
    more = [one - other for one, other in zip(seconds["below"], seconds["alone"], strict=True)]
    rows = [
        Row("holdfast run, beyond the command", "ms", more, [], target=80.0, compare="ours"),
        Row("holdfast.activate(), the first", "ms", seconds["activate"], [], target=10.0,
            compare="ours"),
        Row("a symbolic link that works", "us", links[0], links[1], compare="share"),
    ]  # fmt: skip
    return [Section("programs", "what other programs pay", rows, peer="without")]
