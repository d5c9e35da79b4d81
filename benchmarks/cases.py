"""The cases. Each alternates the two sides, round by round, on the same hub."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.deny import deny_prefix, unavailable

from benchmarks.corpus import Corpus, Repository
from benchmarks.figures import Row, Section, startup_dominates
from benchmarks.measure import clean_environment, run
from benchmarks.rig import Hub
from benchmarks.run import Run
from benchmarks.sides import HoldfastSide, HubSide, Pull, Side, holdfast_environment

__all__ = ["CASES", "Bench"]

_Samples = dict[str, list[Pull]]


@dataclass
class Bench(Run):
    """Everything a case over a hub needs. ``ours`` is None while there is no Holdfast to run."""

    corpus: Corpus
    hub: Hub
    ours: HoldfastSide | None
    peer: HubSide

    @property
    def sides(self) -> list[Side]:
        """Return the sides that take part."""
        return [side for side in (self.ours, self.peer) if side is not None]


def _alternate(bench: Bench, rounds: range, once: Callable[[Side], Pull]) -> _Samples:
    """Measure side by side; a first, uncounted round leaves caches as warm for one as the other."""
    samples: _Samples = {side.name: [] for side in bench.sides}
    for number in range(-1, len(rounds)):
        for side in bench.sides:
            pull = once(side)
            if number >= 0:
                samples[side.name].append(pull)
                bench.say(f"  {side.name}: {pull.cost.wall_s:.2f} s ({pull.inner_s:.2f} s inside)")
    return samples


def _row(samples: _Samples, label: str, unit: str, figure: str, **more: object) -> Row:
    ours, peer = (
        [pull.figures()[figure] for pull in samples.get(name, [])]
        for name in (HoldfastSide.name, HubSide.name)
    )
    return Row(label, unit, ours, peer, **more)  # type: ignore[arg-type]


def _time_rows(samples: _Samples, target: float | None) -> list[Row]:
    """Return the times; the whole process is what is quoted unless starting it is most of it."""
    whole = _row(samples, "whole process", "s", "wall_s")
    inner = _row(samples, "inside the process", "s", "inner_s")
    dominated = any(
        startup_dominates(whole_figures, inner_figures)
        for whole_figures, inner_figures in ((whole.ours, inner.ours), (whole.peer, inner.peer))
    )
    whole.quoted, inner.quoted = not dominated, dominated
    (inner if dominated else whole).target = target
    return [whole, inner, _row(samples, "until all is on the disk", "s", "durable_s", quoted=False)]


def _cost_rows(samples: _Samples, content_mb: float, requests_share: float | None) -> list[Row]:
    disk = _row(samples, "disk used", "MB", "disk_mb", compare="ours", target=content_mb * 1.02 + 3)
    return [
        _row(samples, "processor time", "s", "cpu_s", quoted=False),
        _row(samples, "peak memory", "MB", "peak_mb", compare="ours", target=150.0),
        _row(samples, "requests", "", "requests", compare="share", target=requests_share),
        _row(samples, "of these HEAD", "", "heads", quoted=False),
        _row(samples, "bytes fetched", "MB", "fetched_mb", quoted=False),
        _row(samples, "bytes written", "MB", "written_mb", quoted=False),
        disk,
    ]


def _cold(
    bench: Bench, repository: Repository, *, target: float, usual: int, share: float | None = None
) -> list[Row]:
    def once(side: Side) -> Pull:
        side.fresh()
        return side.pull(repository.name, "main")

    samples = _alternate(bench, bench.times(usual), once)
    content_mb = _blocks_mb(repository)
    return [*_time_rows(samples, target), *_cost_rows(samples, content_mb, share)]


def _blocks_mb(repository: Repository) -> float:
    """Return what every distinct file of the repository takes on a disk, in 10^6 bytes."""
    files = {file.sha256: file.size for each in repository.revisions.values() for file in each}
    return sum((size + 4095) // 4096 * 4096 for size in files.values()) / 1e6


def cold_model(bench: Bench) -> list[Section]:
    """Download 283 MB in 20 files into an empty home."""
    model = bench.corpus.model
    bench.hub.move_main(model, next(iter(model.revisions)))
    rows = _cold(bench, model, target=1.3, usual=5)
    return [Section("cold-283mb", "283 MB in 20 files into an empty home", rows)]


def cold_large(bench: Bench) -> list[Section]:
    """Download 2 GB in one file into an empty home."""
    rows = _cold(bench, bench.corpus.large, target=1.5, usual=3)
    return [Section("cold-2gb", "2 GB in one file into an empty home", rows)]


def cold_small(bench: Bench) -> list[Section]:
    """Download 300 files of 4 kB into an empty home."""
    rows = _cold(bench, bench.corpus.small, target=3.0, usual=7, share=0.5)
    return [Section("cold-300", "300 files of 4 kB into an empty home", rows)]


def second_revision(bench: Bench) -> list[Section]:
    """Pull a second revision that changes one small file and adds one, with and without links."""
    variants: list[tuple[str, str, list[str], float | None]] = [
        ("links", "with symbolic links", [], None)
    ]
    reason = unavailable()
    if reason is None:
        no_symlink = deny_prefix(symlink="EPERM")
        no_link = deny_prefix(symlink="EPERM", link="EPERM")
        words = "symbolic links refused by the kernel"
        variants.append(("no-symlink", words, no_symlink, 20.0))
        variants.append(("no-link", "symbolic and hard links refused by the kernel", no_link, 20.0))
    else:
        bench.say(f"  links cannot be refused here: {reason}")
    return [
        _second_revision(bench, name, words, prefix, target)
        for name, words, prefix, target in variants
    ]


def _second_revision(
    bench: Bench, name: str, words: str, prefix: Sequence[str], target: float | None
) -> Section:
    model = bench.corpus.model
    first, second = model.revisions
    bench.say(f"  {words}")

    def once(side: Side) -> Pull:
        side.fresh()
        bench.hub.move_main(model, first)
        side.pull(model.name, "main", prefix)
        bench.hub.move_main(model, second)
        return side.pull(model.name, "main", prefix)

    samples = _alternate(bench, bench.times(3), once)
    content_mb = _blocks_mb(model)
    rows = _time_rows(samples, None)
    rows += _cost_rows(samples, content_mb, None)
    next(row for row in rows if row.label == "bytes fetched").target = target
    what = f"second revision of 283 MB (one file changed, one added, 5 kB together), {words}"
    return Section(f"second-revision-{name}", what, rows)


def warm(bench: Bench) -> list[Section]:
    """Pull what is already there: by branch, and by commit."""
    model = bench.corpus.model
    first = next(iter(model.revisions))
    bench.hub.move_main(model, first)
    for side in bench.sides:
        side.fresh()
        side.pull(model.name, "main")
    sections = []
    for name, revision in (("branch", "main"), ("commit", first)):

        def once(side: Side, revision: str = revision) -> Pull:
            return side.pull(model.name, revision)

        samples = _alternate(bench, bench.times(9), once)
        rows = _time_rows(samples, None)
        rows.append(_row(samples, "requests", "", "requests", quoted=False))
        rows.append(_row(samples, "peak memory", "MB", "peak_mb", quoted=False))
        sections.append(Section(f"warm-{name}", f"283 MB that are here, by {name}", rows))
    return sections


_HASHLIB = """
import hashlib, json, sys, time
from pathlib import Path
started = time.perf_counter()
size = 0
for path in sorted(Path(sys.argv[1]).rglob("*")):
    if path.is_file():
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")
            size += file.tell()
print(json.dumps({"seconds": time.perf_counter() - started, "bytes": size}))
"""


def verify(bench: Bench) -> list[Section]:
    """Verify 283 MB and 2 GB offline; beside it, plain hashlib over the same files."""
    sections = []
    for repository in (bench.corpus.model, bench.corpus.large):
        bench.hub.move_main(repository, next(iter(repository.revisions)))
        holder = bench.ours or bench.peer
        holder.fresh()
        path = holder.pull(repository.name, "main").path
        ours: list[float] = []
        plain: list[float] = []
        for number in range(-1, len(bench.times(5))):
            if bench.ours is not None:
                command = [*bench.ours.program, "verify", repository.name]
                cost = run(command, bench.ours.environment())
                ours += [cost.wall_s] if number >= 0 else []
            cost = run([sys.executable, "-c", _HASHLIB, str(path)], clean_environment())
            assert json.loads(cost.output)["bytes"] == repository.size()
            plain += [cost.wall_s] if number >= 0 else []
        megabytes = repository.size() / 1e6
        time_row = Row("whole process", "s", ours, plain, target=0.9)
        rates = [[megabytes / seconds for seconds in figures] for figures in (ours, plain)]
        rate_row = Row("rate", "MB/s", rates[0], rates[1], compare="share", quoted=False)
        what = f"verify {megabytes:.0f} MB offline, against hashlib's sha256 of the same files"
        name = f"verify-{repository.name.rpartition('-')[2]}"
        sections.append(Section(name, what, [time_row, rate_row], peer="hashlib"))
    return sections


def start(bench: Bench) -> list[Section]:
    """Import the package, and print the help."""
    tools = Path(sys.executable).parent
    ours_help = [str(tools / "holdfast"), "--help"]
    if not (tools / "holdfast").exists():
        ours_help = [sys.executable, "-m", "holdfast", "--help"]
    commands = {
        "bare": [sys.executable, "-c", "pass"],
        "peer import": [sys.executable, "-c", "import huggingface_hub"],
        "peer download": [sys.executable, "-c", "from huggingface_hub import snapshot_download"],
        "peer help": [str(tools / "hf"), "--help"],
    }
    if bench.ours is not None:
        commands["import"] = [sys.executable, "-c", "import holdfast"]
        commands["download"] = [sys.executable, "-c", "from holdfast import pull"]
        commands["help"] = ours_help
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    environment = holdfast_environment()
    for number in range(-1, len(bench.times(15))):
        for name, command in commands.items():
            cost = run(command, environment, settle=False)
            seconds[name] += [cost.wall_s] if number >= 0 else []
    more = {
        name: [1000 * (one - bare) for one, bare in zip(figures, seconds["bare"], strict=True)]
        for name, figures in seconds.items()
    }
    helps = [[1000 * one for one in seconds.get(name, [])] for name in ("help", "peer help")]
    rows = [
        Row("import, beyond bare Python", "ms", more.get("import", []), more["peer import"],
            target=60.0, compare="ours"),
        Row("import of what downloads, beyond bare Python", "ms", more.get("download", []),
            more["peer download"], quoted=False),
        Row("--help", "ms", helps[0], helps[1], target=0.5, compare="share"),
    ]  # fmt: skip
    return [Section("start", "starting up", rows)]


CASES: dict[str, Callable[[Bench], list[Section]]] = {
    "cold-283mb": cold_model,
    "cold-2gb": cold_large,
    "cold-300": cold_small,
    "second-revision": second_revision,
    "warm": warm,
    "verify": verify,
    "start": start,
}
