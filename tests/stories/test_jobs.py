"""Durable jobs: one contract, whatever they are kept in."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import ConfigInvalid
from holdfast.jobs import (
    Attempt,
    Claim,
    JobInvalid,
    JobLost,
    JobState,
    JobStatus,
    JobStorageFailed,
    JobStore,
    Keeping,
    Limits,
    NewJob,
    Outcome,
    SqliteJobs,
    TooManyJobs,
    UnknownJob,
    do_jobs,
    open_jobs,
)
from tests.support.filesystems import needs_root, tmpfs
from tests.support.jobs import STORES, empty_place

Opened = Callable[[], JobStore]
LONG_S = 60.0
ROOT = Path(__file__).resolve().parents[2]
ERROR = {"code": "c", "message": "m", "why": "w", "hint": "", "facts": {}}
AGAIN = Outcome(JobState.PENDING, error=ERROR)


@pytest.fixture(params=STORES)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where there are no jobs yet: a file or a database, for other processes too."""
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    return empty_place(tmp_path, server)


@pytest.fixture
def opened(address: str) -> Iterator[Opened]:
    """What opens the same jobs, again and again."""
    made: list[JobStore] = []

    def open_one() -> JobStore:
        made.append(open_jobs(address))
        return made[-1]

    yield open_one
    for store in made:
        store.close()


@pytest.fixture
def jobs(opened: Opened) -> JobStore:
    return opened()


def new(owner: str = "ada", *, priority: int = 0, kind: str = "convert") -> NewJob:
    return NewJob(kind=kind, owner=owner, payload={"of": owner}, priority=priority)


def claimed(jobs: JobStore, worker: str = "w1", lease_s: float = LONG_S) -> Claim:
    claim = jobs.claim(worker, ["convert"], lease_s)
    assert claim is not None
    return claim


def test_a_job_is_taken_done_and_kept_over_a_restart(jobs: JobStore, opened: Opened) -> None:
    first = jobs.submit("j1", new())
    assert (first.state, first.position, first.failures) == (JobState.PENDING, 1, 0)
    claim = claimed(jobs)
    assert (claim.id, claim.payload) == ("j1", {"of": "ada"})
    assert jobs.claim("w2", ["convert"], LONG_S) is None
    assert jobs.beat(claim, LONG_S, {"pages": 3}) is False
    status = opened().status("j1")
    assert (status.state, status.position, status.progress) == (
        JobState.STARTED, None, {"pages": 3},
    )  # fmt: skip
    jobs.finish(claim, Outcome(JobState.SUCCESS, {"pages": 7}))
    done = opened().status("j1")
    assert (done.state, done.progress, done.is_finished) == (JobState.SUCCESS, {"pages": 7}, True)
    assert done.created <= (done.started or 0) <= (done.finished or 0)
    assert jobs.counts("convert") == {
        "pending": 0, "started": 0, "success": 1, "partial_success": 0, "failure": 0,
        "cancelled": 0,
    }  # fmt: skip


def test_the_higher_goes_first_of_equals_the_older(jobs: JobStore) -> None:
    for name, priority in (("low", -1), ("a", 0), ("b", 0), ("urgent", 5)):
        jobs.submit(name, new(priority=priority))
    assert [jobs.status(name).position for name in ("urgent", "a", "b", "low")] == [1, 2, 3, 4]
    assert [claimed(jobs).id for _ in range(4)] == ["urgent", "a", "b", "low"]


def test_a_worker_takes_what_it_can_do_only(jobs: JobStore) -> None:
    jobs.submit("sound", new(kind="transcribe"))
    assert jobs.claim("w1", ["convert"], LONG_S) is None
    assert jobs.claim("w1", ["convert", "transcribe"], LONG_S) is not None


def test_what_a_dead_worker_had_is_done_by_another_and_the_dead_one_changes_nothing(
    jobs: JobStore,
) -> None:
    jobs.submit("j1", new())
    first = claimed(jobs, "dead", lease_s=0.05)
    time.sleep(0.1)
    assert jobs.claim("w2", ["convert"], LONG_S) is None  # a pause comes first
    waiting = jobs.status("j1")
    assert (waiting.state, waiting.failures) == (JobState.PENDING, 1)
    assert waiting.error is not None
    assert waiting.error["code"] == "job-lost"
    time.sleep(1.1)
    second = claimed(jobs, "w2")
    assert second.fence > first.fence
    for late in (
        lambda: jobs.beat(first, LONG_S), lambda: jobs.finish(first, Outcome(JobState.SUCCESS)),
    ):  # fmt: skip
        with pytest.raises(JobLost):
            late()
    assert jobs.finish(second, Outcome(JobState.SUCCESS)).state is JobState.SUCCESS
    with pytest.raises(JobLost):  # done is done
        jobs.finish(second, Outcome(JobState.FAILURE))


def test_a_job_that_kills_its_workers_fails_with_the_reason(jobs: JobStore) -> None:
    jobs.submit("j1", NewJob(kind="convert", owner="ada", payload={}, most_failures=2))
    claimed(jobs, "w1")
    assert jobs.release("w1", ERROR, counts=True) == ["j1"]
    assert jobs.status("j1").state is JobState.PENDING
    time.sleep(1.1)
    claimed(jobs, "w2")
    jobs.release("w2", ERROR, counts=True)
    failed = jobs.status("j1")
    assert (failed.state, failed.failures, failed.error) == (JobState.FAILURE, 2, ERROR)


def test_a_worker_that_is_told_to_end_gives_back_what_it_has_without_a_failure(
    jobs: JobStore,
) -> None:
    jobs.submit("j1", new())
    claimed(jobs, "w1")
    jobs.release("w1", ERROR, counts=False)
    assert jobs.status("j1").failures == 0
    assert claimed(jobs, "w2").id == "j1"


def test_an_error_that_may_pass_is_tried_again_after_a_pause(jobs: JobStore) -> None:
    jobs.submit("j1", new())
    assert jobs.finish(claimed(jobs), AGAIN).state is JobState.PENDING
    assert jobs.claim("w1", ["convert"], LONG_S) is None
    time.sleep(1.1)
    assert claimed(jobs).failures == 1


def test_a_job_that_waits_is_cancelled_at_once_and_one_that_is_worked_on_is_told(
    jobs: JobStore,
) -> None:
    jobs.submit("running", new())
    claim = claimed(jobs)
    jobs.submit("waiting", new())
    assert jobs.cancel("waiting").state is JobState.CANCELLED
    told = jobs.cancel("running")
    assert (told.state, told.cancelling) == (JobState.STARTED, True)
    assert jobs.beat(claim, LONG_S) is True
    assert jobs.finish(claim, Outcome(JobState.CANCELLED)).state is JobState.CANCELLED
    assert jobs.cancel("running").state is JobState.CANCELLED  # twice does no more
    jobs.submit("orphan", new())
    claimed(jobs, "dead")
    jobs.cancel("orphan")
    jobs.release("dead", ERROR, counts=True)
    assert jobs.status("orphan").state is JobState.CANCELLED  # nobody does it again


def test_nobody_fills_the_queue_or_takes_all_workers(jobs: JobStore) -> None:
    limits = Limits(of_owner=2, of_all=3, running_of_owner=1)
    jobs.submit("a1", new("ada"), limits)
    jobs.submit("a2", new("ada"), limits)
    with pytest.raises(TooManyJobs, match="this client"):
        jobs.submit("a3", new("ada"), limits)
    jobs.submit("b1", new("bo"), limits)
    with pytest.raises(TooManyJobs, match="too many jobs wait"):
        jobs.submit("c1", new("cy"), limits)
    taken = [jobs.claim("w", ["convert"], LONG_S, limits) for _ in range(3)]
    assert [claim and claim.id for claim in taken] == ["a1", "b1", None]
    first = taken[0]
    assert first is not None
    jobs.finish(first, Outcome(JobState.SUCCESS))
    assert claimed(jobs).id == "a2"
    jobs.submit("a3", new("ada"), limits)


def test_kinds_of_jobs_do_not_count_for_each_other(jobs: JobStore) -> None:
    for number in range(5):
        jobs.submit(f"c{number}", new(kind="callback"), Limits(10, 10))
    found = jobs.submit("j1", new(), Limits(of_owner=1, of_all=1))
    assert found.position == 1
    assert (jobs.counts("convert")["pending"], jobs.counts("callback")["pending"]) == (1, 5)
    while (claim := jobs.claim("w", ["convert", "callback"], LONG_S)) is not None:
        jobs.finish(claim, Outcome(JobState.SUCCESS))
    assert jobs.collect(Keeping(most=1)) == 4  # one of each is kept
    assert jobs.status("j1").is_finished


def test_an_id_is_used_once_and_an_unknown_one_is_said_to_be_so(jobs: JobStore) -> None:
    jobs.submit("j1", new())
    with pytest.raises(JobInvalid):
        jobs.submit("j1", new())
    for ask in (jobs.status, jobs.payload, jobs.cancel, jobs.delete):
        with pytest.raises(UnknownJob, match="no job"):
            ask("other")
    with pytest.raises(UnknownJob):
        list(jobs.blob("j1", "in/none"))


@pytest.mark.parametrize("size", [0, 1, 262_144, 262_145, 20_000_000])
def test_files_come_back_as_they_were_put(jobs: JobStore, opened: Opened, size: int) -> None:
    content = os.urandom(size)
    pieces = (content[at : at + 100_000] for at in range(0, size, 100_000))
    assert jobs.put_blob("j1", "in/0/a.pdf", pieces) == size
    jobs.put_blob("j1", "out/a.md", [b"text"])
    jobs.put_blob("j1", "out/a.md", [b"other"])  # in place of the one before
    again = opened()
    assert b"".join(again.blob("j1", "in/0/a.pdf")) == content
    assert [tuple(blob) for blob in again.blobs("j1")] == [("in/0/a.pdf", size), ("out/a.md", 5)]
    assert [blob.name for blob in again.blobs("j1", "out/")] == ["out/a.md"]
    jobs.drop_blobs("j1", "in/")
    assert [blob.name for blob in again.blobs("j1")] == ["out/a.md"]


def test_finished_jobs_are_kept_by_age_and_number_with_their_files(jobs: JobStore) -> None:
    for name in ("old", "middle", "new", "waiting"):
        jobs.put_blob(name, "in/0/a", [b"x" * 500_000])
        jobs.submit(name, new())
    for _ in range(3):
        jobs.finish(claimed(jobs), Outcome(JobState.SUCCESS))
    jobs.put_blob("not yet submitted", "in/0/a", [b"x"])
    jobs.delete("waiting")  # it is not finished: nothing happens
    assert jobs.collect(Keeping(age_s=3600, most=2)) == 1
    with pytest.raises(UnknownJob):
        jobs.status("old")
    assert jobs.blobs("old") == []
    assert jobs.blobs("new")
    assert jobs.blobs("not yet submitted")
    time.sleep(0.05)
    assert jobs.collect(Keeping(age_s=0.01, most=100)) == 2
    assert jobs.status("waiting").position == 1


def test_room_that_is_no_longer_needed_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    jobs = SqliteJobs(path)
    jobs.put_blob("j1", "in/0/a", [os.urandom(1_000_000)] * 20)
    jobs.submit("j1", new())
    jobs.finish(claimed(jobs), Outcome(JobState.SUCCESS))
    jobs.collect(Keeping(age_s=0, most=0))
    jobs.close()
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 1_000_000
    assert path.stat().st_mode & 0o077 == 0


def test_who_watches_learns_of_every_change_once(jobs: JobStore, opened: Opened) -> None:
    watching = opened()
    before, _ = watching.changed(0)
    jobs.submit("j1", new())
    jobs.submit("j2", new())
    version, ids = watching.changed(before)
    assert ids == ["j1", "j2"]
    claim = claimed(jobs)
    jobs.beat(claim, LONG_S)  # changes nothing that anybody sees
    later, ids = watching.changed(version)
    assert ids == ["j1"]
    assert watching.changed(later) == (later, [])


def test_who_watches_while_many_write_misses_nothing(opened: Opened) -> None:
    def write(writer: str) -> None:
        own = opened()
        for number in range(25):
            own.submit(f"{writer}{number}", new())

    watching, seen, last = opened(), list[str](), 0
    writers = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for writer in writers:
        writer.start()
    while True:
        over = not any(writer.is_alive() for writer in writers)
        last, ids = watching.changed(last)
        seen += ids
        if over:
            break
    assert sorted(seen) == sorted(f"{name}{number}" for name in "abcd" for number in range(25))


def test_limits_hold_where_many_come_at_once(opened: Opened) -> None:
    limits = Limits(of_owner=5, running_of_owner=2)
    together = threading.Barrier(4)
    taken: list[str] = []
    refused: list[str] = []
    claims: list[Claim] = []

    def come(who: str) -> None:
        own = opened()
        together.wait(60)
        for number in range(5):
            try:
                taken.append(own.submit(f"{who}{number}", new(), limits).id)
            except TooManyJobs:
                refused.append(who)
        together.wait(60)
        while (claim := own.claim(who, ["convert"], LONG_S, limits)) is not None:
            claims.append(claim)

    everybody = [threading.Thread(target=come, args=(name,)) for name in "abcd"]
    for each in everybody:
        each.start()
    for each in everybody:
        each.join(60)
    assert (len(taken), len(refused), len(claims)) == (5, 15, 2)


def _drain(address: str, worker: str, done: str, together: Barrier) -> None:
    jobs = open_jobs(address)
    together.wait(60)
    while (claim := jobs.claim(worker, ["convert"], LONG_S)) is not None:
        with Path(done, claim.id).open("x") as file:  # fails where it was done before
            file.write(worker)
        jobs.beat(claim, LONG_S, {"at": 1})
        jobs.finish(claim, Outcome(JobState.SUCCESS))
    jobs.close()


def test_many_processes_do_every_job_once(jobs: JobStore, address: str, tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.mkdir()
    for number in range(120):
        jobs.submit(f"j{number}", new(f"owner{number % 7}"), Limits(of_all=1000))
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(4)
    workers = [
        spawn.Process(target=_drain, args=(address, f"w{n}", str(done), together)) for n in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert jobs.counts("convert")["success"] == 120
    assert len({each.read_text() for each in done.iterdir()}) > 1  # not one of them alone


_WRITER = """
import sys
from holdfast.jobs import *
from holdfast.jobs import open_jobs
jobs = open_jobs(sys.argv[1])
for number in range(100_000):
    name = f"{sys.argv[2]}-{number}"
    jobs.put_blob(name, "in/0/a", [b"x" * 300_000])
    jobs.submit(name, NewJob(kind="convert", owner="ada", payload={"n": number}),
                Limits(10**6, 10**6))
    print(number, flush=True)
"""


def test_what_was_taken_is_there_after_a_kill_at_any_moment(opened: Opened, address: str) -> None:
    for moment_s in (0.3, 0.5, 0.8):
        words = [sys.executable, "-c", _WRITER, address, str(moment_s)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moment_s)
            process.send_signal(signal.SIGKILL)
            told = [int(line) for line in process.stdout]
        jobs = opened()
        assert told, "nothing was taken before the end"
        for number in told:
            name = f"{moment_s}-{number}"
            assert jobs.payload(name) == {"n": number}
            assert sum(map(len, jobs.blob(name, "in/0/a"))) == 300_000


def test_readers_are_answered_while_a_large_file_is_put(jobs: JobStore, opened: Opened) -> None:
    jobs.submit("j1", new())
    slowest = 0.0
    writing = threading.Thread(
        target=lambda: opened().put_blob("big", "in/0/a", (b"x" * 1_000_000 for _ in range(150)))
    )
    writing.start()
    asked = 0
    while writing.is_alive():
        started = time.monotonic()
        jobs.status("j1")
        slowest, asked = max(slowest, time.monotonic() - started), asked + 1
        time.sleep(0.005)
    assert asked > 5
    assert slowest < 5


@pytest.mark.root
def test_a_full_disk_loses_nothing_and_is_said(tmp_path: Path) -> None:
    needs_root()
    with tmpfs(tmp_path, size=8 << 20) as folder:
        jobs = SqliteJobs(folder / "jobs.sqlite")
        jobs.put_blob("j1", "in/0/a", [b"x" * 1_000_000])
        jobs.submit("j1", new())
        claim = claimed(jobs)
        with pytest.raises(JobStorageFailed, match="full"):
            jobs.put_blob("j2", "in/0/a", [b"x" * 1_000_000] * 20)
        jobs.drop_blobs("j2")
        assert jobs.finish(claim, Outcome(JobState.SUCCESS)).state is JobState.SUCCESS
        assert sum(map(len, jobs.blob("j1", "in/0/a"))) == 1_000_000
        jobs.close()


def test_a_place_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(JobStorageFailed, match="cannot be used"):
        SqliteJobs(tmp_path / "file/jobs.sqlite")
    (tmp_path / "rubbish").write_bytes(b"no database" * 1000)
    with pytest.raises(JobStorageFailed, match="not a database"):
        SqliteJobs(tmp_path / "rubbish")


# -- doing them


class Doer:
    """Does jobs in a thread until the block ends."""

    def __init__(self, jobs: JobStore, do: Callable[[Attempt], Outcome], **how: Any) -> None:
        self.stuck: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=do_jobs,
            args=(jobs, "w1", ["convert"], do, self._ended),
            kwargs={"stuck": lambda claim: self.stuck.append(claim.id), **how},
        )

    def __enter__(self) -> Doer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


def until(jobs: JobStore, job: str, *states: JobState) -> JobStatus:
    deadline = time.monotonic() + 20
    while (found := jobs.status(job)).state not in states:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def test_jobs_are_done_with_progress_and_their_lease_is_kept(
    jobs: JobStore, opened: Opened
) -> None:
    go_on = threading.Event()

    def do(attempt: Attempt) -> Outcome:
        attempt.tell({"page": 1})
        assert go_on.wait(20)
        return Outcome(JobState.SUCCESS, {"page": 2})

    jobs.submit("j1", new())
    with Doer(jobs, do, lease_s=1.0):
        until(jobs, "j1", JobState.STARTED)
        watching = opened()
        deadline = time.monotonic() + 20
        while watching.status("j1").progress != {"page": 1}:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1.5)  # longer than the lease
        assert watching.claim("thief", ["convert"], LONG_S) is None
        go_on.set()
        assert until(jobs, "j1", JobState.SUCCESS).progress == {"page": 2}


def test_a_cancelled_job_ends_at_its_next_step_within_two_seconds(jobs: JobStore) -> None:
    def do(attempt: Attempt) -> Outcome:
        for page in range(10_000):
            attempt.tell({"page": page})
            time.sleep(0.01)
        return Outcome(JobState.SUCCESS)

    jobs.submit("j1", new())
    with Doer(jobs, do) as doer:
        until(jobs, "j1", JobState.STARTED)
        jobs.cancel("j1")
        asked = time.monotonic()
        ended = until(jobs, "j1", JobState.CANCELLED)
        assert time.monotonic() - asked < 2
    assert ended.progress["page"] > 0
    assert doer.stuck == []


def test_what_does_not_end_when_it_is_called_off_is_told_of(jobs: JobStore) -> None:
    release = threading.Event()

    def do(attempt: Attempt) -> Outcome:
        del attempt
        assert release.wait(20)
        return Outcome(JobState.SUCCESS)

    jobs.submit("j1", new())
    with Doer(jobs, do) as doer:
        until(jobs, "j1", JobState.STARTED)
        jobs.cancel("j1")
        deadline = time.monotonic() + 20
        while not doer.stuck:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        release.set()
    assert doer.stuck == ["j1"]


@pytest.mark.parametrize("kind", ["its own", "nobody foresaw"])
def test_an_error_is_the_jobs_or_a_reason_to_try_again(jobs: JobStore, kind: str) -> None:
    def do(attempt: Attempt) -> Outcome:
        if attempt.claim.failures < 1:
            if kind == "its own":
                raise ConfigInvalid("it cannot be", why="of that", hint="do this")
            raise RuntimeError("a bug, or bad luck")
        return Outcome(JobState.SUCCESS)

    jobs.submit("j1", new())
    with Doer(jobs, do):
        ended = until(jobs, "j1", JobState.SUCCESS, JobState.FAILURE)
    assert ended.error is None if kind == "nobody foresaw" else ended.error is not None
    if ended.error is not None:
        assert (ended.state, ended.error["code"]) == (JobState.FAILURE, "config-invalid")
    else:
        assert (ended.state, ended.failures) == (JobState.SUCCESS, 1)
