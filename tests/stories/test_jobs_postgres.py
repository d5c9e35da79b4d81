"""Jobs in a PostgreSQL that several servers share, and that fails in its ways."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from holdfast.jobs import (
    Attempt,
    JobInvalid,
    JobState,
    JobStorageFailed,
    JobStore,
    Keeping,
    NewJob,
    Outcome,
    open_jobs,
)
from tests.stories.test_jobs import LONG_S, Doer, claimed, new, until
from tests.support.jobs import empty_place
from tests.support.postgres import PASSWORD, Postgres


@pytest.fixture
def address(postgres: Postgres, tmp_path: Path) -> str:
    return empty_place(tmp_path, postgres)


@pytest.fixture
def jobs(address: str) -> Iterator[JobStore]:
    store = open_jobs(address)
    yield store
    store.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less long than in earnest."""
    monkeypatch.setattr("holdfast.postgres._ANSWER_S", 1.0)
    monkeypatch.setattr("holdfast.postgres._TURN_S", 0.5)


@contextlib.contextmanager
def outside(address: str) -> Iterator[Any]:
    """A connection of somebody else's; what it does is there at the end of the block."""
    import psycopg

    with psycopg.connect(address, options="-csearch_path=holdfast_jobs") as db:
        yield db


def failing(do: Callable[[], object], says: str, within_s: float) -> None:
    begun = time.monotonic()
    with pytest.raises(JobStorageFailed, match=says) as caught:
        do()
    assert time.monotonic() - begun < within_s
    assert PASSWORD not in repr(caught.value.to_dict())


def test_a_restart_of_the_database_is_survived(jobs: JobStore, postgres: Postgres) -> None:
    jobs.put_blob("j1", "in/0/a", [b"x" * 300_000])
    jobs.submit("j1", new())
    with ThreadPoolExecutor(4) as threads:  # several connections are idle then
        list(threads.map(jobs.status, ["j1"] * 8))
    claim = claimed(jobs)
    postgres.stop()
    for do in (
        lambda: jobs.counts("convert"),
        lambda: jobs.submit("j2", new()),
        lambda: jobs.beat(claim, LONG_S),
    ):
        failing(do, "refused|closed", 3)
    postgres.start()
    assert jobs.beat(claim, LONG_S, {"at": 1}) is False
    assert sum(map(len, jobs.blob("j1", "in/0/a"))) == 300_000
    assert jobs.finish(claim, Outcome(JobState.SUCCESS)).state is JobState.SUCCESS
    assert jobs.submit("j2", new()).position == 1


def test_a_job_that_is_done_while_the_database_restarts_is_done_once(
    jobs: JobStore, postgres: Postgres
) -> None:
    attempts: list[int] = []
    stopped = threading.Event()

    def do(attempt: Attempt) -> Outcome:
        attempts.append(attempt.claim.fence)
        assert stopped.wait(20)
        return Outcome(JobState.SUCCESS)

    jobs.submit("j1", new())
    with Doer(jobs, do, lease_s=30.0):
        until(jobs, "j1", JobState.STARTED)
        postgres.stop()
        stopped.set()
        time.sleep(0.7)  # its end cannot be kept now
        postgres.start()
        assert until(jobs, "j1", JobState.SUCCESS).failures == 0
    assert attempts == [1]


def test_connections_that_were_cut_are_replaced_without_an_error(
    jobs: JobStore, address: str
) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: jobs.counts("convert"), range(8)))
    with outside(address) as db:
        db.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert jobs.submit("j1", new()).position == 1


@pytest.mark.usefixtures("impatient")
def test_a_database_that_stands_still_keeps_nobody_waiting(
    address: str, postgres: Postgres
) -> None:
    jobs = open_jobs(address)
    jobs.submit("j1", new())
    claim = claimed(jobs)
    asked: list[Callable[[], object]] = [
        lambda: jobs.counts("convert"), lambda: jobs.claim("w", ["convert"], LONG_S),
        lambda: jobs.beat(claim, LONG_S, {"at": 1}), lambda: jobs.put_blob("j1", "a", [b"x"]),
        lambda: list(jobs.blob("j1", "a")), lambda: jobs.finish(claim, Outcome(JobState.SUCCESS)),
    ]  # fmt: skip

    def ask(do: Callable[[], object]) -> None:
        failing(do, "no answer within|timeout|in use", 9)

    with postgres.frozen(), ThreadPoolExecutor(20) as threads:
        list(threads.map(ask, asked * 3))
    jobs.status("j1")  # the next one is answered
    jobs.close()


@pytest.mark.usefixtures("impatient")
def test_who_hangs_while_it_changes_something_stops_no_reader_and_loses_its_turn(
    address: str,
) -> None:
    jobs = open_jobs(address)
    jobs.submit("j1", new())
    with outside(address) as hanging:
        hanging.execute("SET idle_in_transaction_session_timeout = '3s'")
        hanging.execute("UPDATE versions SET last = last + 1")
        assert jobs.changed(0)[1] == ["j1"]
        assert jobs.status("j1").position == 1
        jobs.put_blob("j2", "in/0/a", [b"x"])
        failing(lambda: jobs.submit("j2", new()), "lock timeout", 3)
        failed = 0
        while failed < 20:
            try:
                jobs.submit("j2", new())
                break
            except JobStorageFailed:
                failed += 1
        assert jobs.status("j2").position == 2
        hanging.close()
    jobs.close()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("postgresql://ada:open-sesame@127.0.0.1:1/g", "refused"),
        ("postgresql://ada:open-sesame@127.0.0.1:port/g", "not of the form"),
        ("postgresql://ada:open-sesame/@127.0.0.1/g", "not of the form"),
        ("postgresql://ada:open-sesame-not@127.0.0.1:{port}/postgres", "password authentication"),
        ("postgresql://ada:open-sesame@127.0.0.1:{port}/none", "does not exist"),
    ],
)
def test_a_database_that_cannot_be_had_is_said_without_its_password(
    postgres: Postgres, address: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    failing(lambda: open_jobs(address.replace("{port}", str(postgres.port))), says, 8)
    assert PASSWORD not in caplog.text


def _open_and_submit(address: str, name: str, together: Barrier) -> None:
    together.wait(60)
    jobs = open_jobs(address)
    jobs.submit(name, new())
    jobs.close()


def test_servers_that_start_at_once_make_the_tables_once(address: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(4)
    servers = [
        spawn.Process(target=_open_and_submit, args=(address, name, together)) for name in "abcd"
    ]
    for server in servers:
        server.start()
    for server in servers:
        server.join(60)
    assert [server.exitcode for server in servers] == [0] * 4
    jobs = open_jobs(address)
    assert sorted(jobs.changed(0)[1]) == list("abcd")
    jobs.close()


def test_what_a_later_version_made_is_left_alone(jobs: JobStore, address: str) -> None:
    with outside(address) as db:
        db.execute("UPDATE versions SET form = 7")
    with pytest.raises(JobStorageFailed, match="it is 7, and this version knows 1"):
        open_jobs(address)


def test_who_may_not_make_tables_uses_those_that_are_there(
    jobs: JobStore, address: str, postgres: Postgres
) -> None:
    role = f"worker_{time.monotonic_ns()}"
    with outside(address) as db:
        db.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        db.execute(f"GRANT USAGE ON SCHEMA holdfast_jobs TO {role}")
        db.execute(
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA holdfast_jobs TO {role}"
        )
    other = open_jobs(address.replace("//ada:", f"//{role}:"))
    other.put_blob("j1", "in/0/a", [b"x"])
    other.submit("j1", new())
    assert jobs.status("j1").position == 1
    other.close()


def test_a_lease_does_not_depend_on_anybodys_own_clock(
    jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = time.time()
    jobs.submit("j1", new())
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: right - 86_400)
        claim = claimed(jobs, "w1")
    monkeypatch.setattr(time, "time", lambda: right + 86_400)
    assert jobs.claim("w2", ["convert"], LONG_S) is None
    done = jobs.finish(claim, Outcome(JobState.SUCCESS))
    assert abs((done.finished or 0) - right) < 60
    assert jobs.collect(Keeping(age_s=3600)) == 0


def test_what_postgresql_cannot_hold_is_the_jobs_fault(jobs: JobStore) -> None:
    for do in (
        lambda: jobs.submit("a\0b", new()),
        lambda: jobs.submit("j1", new("half of \ud83d")),
        lambda: jobs.submit("j1", new(priority=2**70)),
        lambda: jobs.status("a\0b"),
        lambda: jobs.put_blob("j1", "in/0/a\0b", [b"x"]),
    ):
        with pytest.raises(JobInvalid, match="cannot be kept"):
            do()
    odd = {"\0": "half of \ud83d", "n": 1e308}  # JSON has words for these
    jobs.submit("é😀 %s ' \\", NewJob(kind="convert", owner="ada", payload=odd))
    assert claimed(jobs).payload == odd


def test_files_of_no_job_are_gone_after_an_hour(jobs: JobStore, address: str) -> None:
    jobs.put_blob("lost", "in/0/a", [b"x" * 262_144] * 300)  # more than go at once
    for name in ("young", "j1"):
        jobs.put_blob(name, "in/0/a", [b"x"])
    jobs.submit("j1", new())
    with outside(address) as db:
        db.execute("UPDATE pieces SET written = written - 3700 WHERE job <> 'young'")
    with ThreadPoolExecutor(3) as threads:  # every server does so
        list(threads.map(lambda _: jobs.collect(Keeping()), range(3)))
    assert jobs.blobs("lost") == []
    assert jobs.blobs("young") == jobs.blobs("j1") == [("in/0/a", 1)]
