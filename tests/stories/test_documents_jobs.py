"""Documents as durable jobs: processes that convert, die, hang, are killed, and lose nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.documents import (
    OUTPUTS,
    ConvertOptions,
    DocumentWorkers,
    Source,
    WorkersAsked,
    document_job,
    results,
)
from holdfast.errors import MissingExtra
from holdfast.jobs import JobState, JobStatus, SqliteJobs
from tests.support.documents import MADE

OBEDIENT = "tests.support.document_engines:load_obedient"
FINISHED = (
    JobState.SUCCESS, JobState.PARTIAL_SUCCESS, JobState.FAILURE, JobState.CANCELLED,
)  # fmt: skip


class Office:
    """A queue in a folder, and the processes that work on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs = SqliteJobs(folder / "jobs.sqlite")

    @contextmanager
    def staffed(self, processes: int = 1, **how: Any) -> Iterator[DocumentWorkers]:
        asked = WorkersAsked(
            self.folder / "jobs.sqlite", processes, **{"load": OBEDIENT, "lease_s": 3.0} | how
        )
        workers = DocumentWorkers(asked._replace(folder=self.folder))
        try:
            yield workers
        finally:
            workers.close()

    def send(
        self, job: str, *contents: str | bytes, names: Sequence[str] = (), **options: Any
    ) -> None:
        for at, content in enumerate(contents):
            data = content if isinstance(content, bytes) else content.encode()
            self.jobs.put_blob(job, f"in/{at}", [data])
        named = names or [f"{job}-{at}.txt" for at in range(len(contents))]
        sources = [Source(name) for name in named]
        self.jobs.submit(job, document_job("ada", sources, ConvertOptions(**options)))

    def until(
        self, job: str, wanted: Callable[[JobStatus], bool], within_s: float = 40
    ) -> JobStatus:
        deadline = time.monotonic() + within_s
        while not wanted(found := self.jobs.status(job)):
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
        return found

    def ended(self, job: str) -> JobStatus:
        return self.until(job, lambda status: status.state in FINISHED)

    def begun(self) -> Counter[str]:
        return Counter((self.folder / "begun").read_text().split())


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.jobs.close()


def test_a_job_of_several_documents_is_done_with_a_report_of_each(office: Office) -> None:
    with office.staffed():
        office.send("j1", "pages 3", "refuse", "plain")
        ended = office.ended("j1")
        assert ended.state is JobState.PARTIAL_SUCCESS
        assert ended.progress == {
            "documents": 3, "processed": 3, "success": 2, "partial_success": 0, "failure": 1,
        }  # fmt: skip
        assert [(each["name"], each["status"]) for each in results(office.jobs, "j1")] == [
            ("j1-0.txt", "success"), ("j1-1.txt", "failure"), ("j1-2.txt", "success"),
        ]  # fmt: skip
        assert results(office.jobs, "j1")[1]["error"]["code"] == "document-damaged"
        assert b"".join(office.jobs.blob("j1", "out/2/md")) == b"plain"
        office.send("j2", "refuse")
        failed = office.ended("j2")
        assert failed.error is not None
        assert (failed.state, failed.error["message"]) == (JobState.FAILURE, "j2-0.txt is bad")


def test_pages_are_told_as_they_go_by(office: Office) -> None:
    with office.staffed():
        office.send("j1", "pages 150")
        seen = set()
        while not (status := office.jobs.status("j1")).is_finished:
            document = status.progress.get("document")
            if document:
                assert document["name"] == "j1-0.txt"
                seen.add((document["pages_done"], document["pages_total"]))
            time.sleep(0.02)
    assert len(seen) >= 3
    assert {total for _, total in seen} <= {0, 150}


def test_real_documents_become_text(office: Office) -> None:
    load = WorkersAsked._field_defaults["load"]
    with office.staffed(load=load) as workers:
        assert workers.about["layout"] == "layout by geometry, no model"
        names = ["paper.pdf", "light.docx", "broken.pdf"]
        contents = [MADE["paper.pdf"](), MADE["light.docx"](), b"%PDF-1.7 nothing"]
        office.send("j1", *contents, names=names, outputs=OUTPUTS)
        assert office.ended("j1").state is JobState.PARTIAL_SUCCESS
    found = results(office.jobs, "j1")
    assert [each["status"] for each in found] == ["success", "success", "failure"]
    assert (found[0]["form"], found[0]["pages"]) == ("pdf", 2)
    text = b"".join(office.jobs.blob("j1", "out/0/md")).decode()
    assert "## 1 Introduction" in text
    assert len(office.jobs.blobs("j1", "out/")) == 2 * len(OUTPUTS)


@pytest.mark.parametrize("dies", ["by itself", "by the system"])
def test_a_killed_process_loses_nothing_and_what_was_done_is_not_done_twice(
    office: Office, dies: str
) -> None:
    with office.staffed() as workers:
        office.send("j1", "quick", "pages 100", "quick")
        at_second = office.until("j1", lambda status: status.progress.get("processed") == 1)
        assert at_second.failures == 0
        (pid,) = workers.pids
        os.kill(pid, signal.SIGKILL if dies == "by the system" else signal.SIGTERM)
        ended = office.ended("j1")
    assert (ended.state, ended.failures) == (JobState.SUCCESS, 1)
    assert office.begun() == {"j1-0.txt": 1, "j1-1.txt": 2, "j1-2.txt": 1}


def test_a_document_that_kills_its_reader_fails_alone(office: Office) -> None:
    with office.staffed():
        office.send("j1", "one", "die", "three")
        ended = office.ended("j1")
    assert ended.state is JobState.PARTIAL_SUCCESS
    found = results(office.jobs, "j1")
    assert [each["status"] for each in found] == ["success", "failure", "success"]
    assert found[1]["error"]["code"] == "document-killed"
    assert office.begun()["j1-1.txt"] == 2


@pytest.mark.parametrize("at", ["pages 10000", "sleep 30", "hold 30"])
def test_a_cancelled_job_stops_within_two_seconds_and_the_next_is_done(
    office: Office, at: str
) -> None:
    with office.staffed() as workers:
        before = workers.pids
        office.send("j1", at)
        office.until("j1", lambda status: status.state is JobState.STARTED)
        time.sleep(0.3)
        asked = time.monotonic()
        office.jobs.cancel("j1")
        office.until("j1", lambda status: status.state is JobState.CANCELLED)
        assert time.monotonic() - asked < 2.5
        office.send("j2", "quick")
        assert office.ended("j2").state is JobState.SUCCESS
        assert (workers.pids == before) is at.startswith("pages")


@pytest.mark.parametrize("slow", ["pages 1000", "sleep 60", "hold 60"])
def test_a_document_that_takes_too_long_fails_alone(office: Office, slow: str) -> None:
    with office.staffed():
        office.send("j1", "plain", slow, "plain", longest_s=0.5)
        ended = office.ended("j1")
        assert ended.state is JobState.PARTIAL_SUCCESS
        assert ended.failures == 0
        found = results(office.jobs, "j1")
        assert [each["status"] for each in found] == ["success", "failure", "success"]
        assert found[1]["error"]["code"] == "document-slow"
        assert found[1]["error"]["why"] == "more than 0.5 s"
        # What was done before it was not done again, and it was begun once.
        assert set(office.begun().values()) == {1}


def test_a_library_that_lets_nothing_be_heard_keeps_its_job(office: Office) -> None:
    with office.staffed(processes=2, lease_s=2.0):
        office.send("j1", "hold 7")
        assert office.ended("j1").state is JobState.SUCCESS
        assert office.begun() == {"j1-0.txt": 1}


def test_a_document_that_eats_memory_fails_alone_and_once(office: Office) -> None:
    with office.staffed(killed_mb=400.0) as workers:
        office.send("j1", "plain", "eat 1000", "plain")
        ended = office.ended("j1")
        assert (ended.state, ended.failures) == (JobState.PARTIAL_SUCCESS, 0)
        found = results(office.jobs, "j1")
        assert [each["status"] for each in found] == ["success", "failure", "success"]
        assert found[1]["error"]["code"] == "document-too-large"
        assert set(office.begun().values()) == {1}
        assert 10 < (workers.memory_mb or 0) < 400


def test_what_nobody_foresaw_is_the_documents_failure_and_not_tried_again(office: Office) -> None:
    with office.staffed():
        office.send("j1", "break", "plain")
        assert office.ended("j1").state is JobState.PARTIAL_SUCCESS
        broken, plain = results(office.jobs, "j1")
        assert broken["error"]["code"] == "document-failed"
        assert "KeyError" in broken["error"]["why"]
        assert plain["status"] == "success"
        assert set(office.begun().values()) == {1}


def test_word_of_new_jobs_reaches_no_process_before_it_knows_what_it_is_for(
    office: Office,
) -> None:
    with office.staffed(2, most_jobs=1) as workers:  # each job's end is another's beginning
        nudging = threading.Event()

        def nudge() -> None:
            while not nudging.is_set():
                workers.nudge()

        thread = threading.Thread(target=nudge)
        thread.start()
        try:
            for number in range(6):
                office.send(f"j{number}", "plain")
            assert all(office.ended(f"j{n}").state is JobState.SUCCESS for n in range(6))
            assert all(office.jobs.status(f"j{n}").failures == 0 for n in range(6))
        finally:
            nudging.set()
            thread.join()


def test_processes_are_recycled_and_nothing_is_lost_on_the_way(office: Office) -> None:
    pids = set()
    with office.staffed(most_jobs=2) as workers:
        for number in range(6):
            office.send(f"j{number}", "quick")
            office.ended(f"j{number}")
            pids |= set(workers.pids)
    assert len(pids) >= 3
    assert office.jobs.counts("convert")["success"] == 6
    assert max(office.begun().values()) == 1


def test_two_services_on_one_queue_share_the_work_and_outlive_each_other(office: Office) -> None:
    with office.staffed() as one:
        other = DocumentWorkers(
            WorkersAsked(office.folder / "jobs.sqlite", 1, OBEDIENT, office.folder, lease_s=3.0)
        )
        try:
            for number in range(8):
                office.send(f"j{number}", "pages 20")
            office.until("j2", lambda status: status.state is JobState.SUCCESS)
            for pid in one.pids:
                os.kill(pid, signal.SIGKILL)
            one.close(patience_s=0)
            for number in range(8):
                assert office.ended(f"j{number}").state is JobState.SUCCESS
        finally:
            other.close()


def test_who_ends_lets_others_do_what_is_not_done(office: Office) -> None:
    with office.staffed() as workers:
        office.send("j1", "sleep 3")
        office.until("j1", lambda status: status.state is JobState.STARTED)
        workers.close(patience_s=0.2)
        waiting = office.jobs.status("j1")
        assert (waiting.state, waiting.failures) == (JobState.PENDING, 0)
    with office.staffed():
        assert office.ended("j1").state is JobState.SUCCESS


def test_what_is_not_installed_is_said_at_the_start(office: Office) -> None:
    with (
        pytest.raises(MissingExtra, match="there is no engine") as told,
        office.staffed(load="tests.support.document_engines:load_nothing"),
    ):
        pass
    assert told.value.hint == "pip install it"
