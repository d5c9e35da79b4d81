"""Jobs over documents outlive the servers that took them, and are done once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.client import Client, DocumentTask, ServiceBusy
from tests.support.documents import many_pages
from tests.support.filesystems import tmpfs
from tests.support.serving import Served, served

pytestmark = pytest.mark.linux
NOTE = b"# Title\n\nSome words.\n"
ONLY = {
    "HOLDFAST_DOCUMENTS_PROCESSES": "1",
    "HOLDFAST_SPEECH_TRANSCRIPTION_MODEL": "none",
    "HOLDFAST_SPEECH_SYNTHESIS_MODEL": "none",
}


@contextmanager
def office(folder: Path, data: Path, **more: str) -> Iterator[tuple[Served, Client]]:
    """A server of its own, with its jobs in ``data``."""
    folder.mkdir()
    models = str(folder.parent / "models")  # one home for all of them
    variables = ONLY | {"HOLDFAST_DATA": str(data), "HOLDFAST_HOME": models} | more
    with served(folder, **variables) as server, Client(server.url, patience_s=0) as client:
        yield server, client


def workers_of(server: Served) -> list[int]:
    return [pid for pid in server.family()[1:] if b"documents" in _command(pid)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def until(met: Callable[[], Any], within_s: float = 60) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := met()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def begun(client: Client, task: str) -> bool:
    return (client.task(task).page or 0) > 0


def ended(client: Client, task: str) -> DocumentTask:
    found: DocumentTask = until(lambda: (t := client.task(task, wait_s=5)).ended and t)
    return found


def test_a_killed_server_loses_no_job_and_the_next_one_does_them(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ExitStack() as stack:
        first, client = stack.enter_context(office(tmp_path / "a", data))
        long = client.submit(many_pages(200), ("json",), name="long.pdf").id
        notes = [client.submit(NOTE, name="note.md").id for _ in range(5)]
        until(lambda: begun(client, long))
        orphans = workers_of(first)
        assert orphans
        os.kill(first.pid, signal.SIGKILL)
        # Who has lost the server ends, too: nobody works twice on one job.
        until(lambda: not any(_command(pid) for pid in orphans), within_s=10)
    with office(tmp_path / "b", data) as (_, client):
        for task in (long, *notes):
            found = ended(client, task)
            assert (found.status, found.error) == ("success", None)
        assert len(client.task_result(long).outputs["json"]["pages"]) == 200
        assert {client.task_result(task).outputs["md"] for task in notes} == {
            "# Title\n\nSome words."
        }
        assert client.task(long).raw["task_meta"]["num_processed"] == 1


def test_a_killed_worker_is_replaced_and_its_document_is_read_again(tmp_path: Path) -> None:
    with office(tmp_path / "a", tmp_path / "data") as (server, client):
        task = client.submit(many_pages(200), ("json",), name="long.pdf").id
        until(lambda: begun(client, task))
        (worker,) = workers_of(server)
        os.kill(worker, signal.SIGKILL)
        assert ended(client, task).status == "success"
        assert len(client.task_result(task).outputs["json"]["pages"]) == 200
        assert client.health().uptime_s > 0


def test_a_server_that_is_told_to_end_leaves_its_jobs_to_the_next(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with office(tmp_path / "a", data) as (server, client):
        tasks = [client.submit(many_pages(100), ("text",), name="p.pdf").id for _ in range(4)]
        until(lambda: begun(client, tasks[0]))
        os.kill(server.pid, signal.SIGTERM)
    with office(tmp_path / "b", data) as (_, client):
        assert [ended(client, task).status for task in tasks] == ["success"] * 4


def test_two_servers_share_one_queue(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        office(tmp_path / "a", data) as (first, one),
        office(tmp_path / "b", data) as (_, other),
    ):
        tasks = [one.submit(many_pages(60), ("text",), name="p.pdf").id for _ in range(6)]
        until(lambda: begun(other, tasks[0]) or other.task(tasks[0]).ended)
        os.kill(first.pid, signal.SIGKILL)
        assert [ended(other, task).status for task in tasks] == ["success"] * 6
        for task in tasks:
            assert other.task_result(task).outputs["text"].count("This is what is on page") == 60


@pytest.mark.root
def test_a_full_disk_is_said_and_what_was_taken_is_done(tmp_path: Path) -> None:
    with tmpfs(tmp_path, 24 << 20) as disk, office(tmp_path / "a", disk) as (_, client):
        taken = client.submit(NOTE, name="note.md").id
        assert ended(client, taken).status == "success"
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(24 << 20))
        content = many_pages(40) + b"%" * 4_000_000  # more than is left in what SQLite has
        with pytest.raises(ServiceBusy, match="jobs cannot be kept at the moment"):
            client.submit(content, name="more.pdf")
        assert client.health().uptime_s > 0
        assert client.task_result(taken).outputs["md"].startswith("# Title")
        filler.unlink()
        again = until(lambda: client.submit(NOTE, name="note.md").id)
        assert ended(client, again).status == "success"
