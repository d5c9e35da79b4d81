"""Documents: the processes that convert them, mounted as a model, and the queue before them."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.config import ServiceSettings, Settings
from holdfast.errors import HoldfastError, NoDataFolder
from holdfast.jobs import JobState, JobStatus, Keeping, Limits, UnknownJob, open_jobs
from holdfast.places import data_folder, surroundings
from holdfast.runtime import ModelState, Needs, Supervisor, not_ready_error, this_machine
from holdfast.wiring._callbacks import Callbacks
from holdfast.wiring._hearing import LOAD, told_settings

if TYPE_CHECKING:
    from holdfast.documents import ConvertOptions, DocumentWorkers, Source
    from holdfast.jobs import JobStore
    from holdfast.wiring._document_models import ChosenModels

__all__ = ["DOCUMENTS_MODEL", "Documents", "KeptJobs", "documents_description"]

DOCUMENTS_MODEL = "documents"
_log = logging.getLogger(__name__)
_COLLECT_S = 60.0
# Of what a process may have when it makes room for a new one, and of the machine's memory.
_BEYOND, _OF_MACHINE = 1.5, 0.7
_PROCESS_MB = 450
# Torch and docling-layout-heron, or TableFormer, besides.
_LAYOUT_MB, _TABLES_MB = 1_000, 600
_MB = 1_000_000


class KeptJobs:
    """Opens the queue when it is first asked for, keeps it tidy, and closes it once.

    Args:
        service: where data are, and how long what is done is kept.
        env: the environment's variables.

    Attributes:
        nudge: lets who works on the jobs know that there is one more.
    """

    def __init__(self, service: ServiceSettings, env: Mapping[str, str]) -> None:
        self._service = service
        self._env = env
        self._turn = threading.Lock()
        self._store: JobStore | None = None
        self._closing = threading.Event()
        self._tidying: threading.Thread | None = None
        self._passing: tempfile.TemporaryDirectory[str] | None = None
        self._callbacks: Callbacks | None = None
        self.nudge: Callable[[], None] = lambda: None

    def place(self) -> Path | str:
        """Return the file, or the database, that jobs are kept in.

        Raises:
            NoDataFolder: nothing can be kept on this machine.
        """
        if self._service.documents_database is not None:
            return self._service.documents_database
        return self._folder() / "documents/jobs.sqlite"

    def _folder(self) -> Path:
        """Return the folder of data; where there is none, one that goes with this process."""
        if self._passing is not None:
            return Path(self._passing.name)
        try:
            return data_folder(self._service.data, surroundings(self._env))
        except NoDataFolder as error:
            if self._service.data is not None:
                raise  # the one that was named, or none
            try:
                self._passing = tempfile.TemporaryDirectory(prefix="holdfast-jobs-")
            except OSError:
                raise error from None
            _log.warning("jobs over documents end with this process: %s (%s)", error, error.hint)
            return Path(self._passing.name)

    @property
    def durable(self) -> bool:
        """Whether what is kept outlives this process."""
        return self._passing is None

    def open(self) -> JobStore:
        """Return the queue.

        Raises:
            HoldfastError: there is no place for it, or it cannot be used.
        """
        with self._turn:
            if self._store is None:
                self._store = open_jobs(self.place())
                self._closing.clear()
                self._tidying = threading.Thread(
                    target=self._tidy, args=(self._store,), name="holdfast-jobs", daemon=True
                )
                self._tidying.start()
                key = self._service.documents_callback_key
                if key is not None:
                    allowed = self._service.documents_allow_addresses
                    self._callbacks = Callbacks(self._store, key, allowed)
            return self._store

    def counts(self) -> Mapping[str, int]:
        """Return how many jobs there are by state; nothing while it was not opened.

        Raises:
            JobStorageFailed: it cannot be used.
        """
        from holdfast.documents import KIND

        store = self._store
        return {} if store is None else store.counts(KIND)

    def _tidy(self, store: JobStore) -> None:
        keeping = Keeping(
            age_s=self._service.documents_keep_s, most=self._service.documents_keep_jobs
        )
        while True:
            with contextlib.suppress(HoldfastError):  # whoever asks for jobs is told why
                if gone := store.collect(keeping):
                    _log.info("%d jobs that ended long ago are forgotten", gone)
            if self._closing.wait(_COLLECT_S):
                return

    def close(self) -> None:
        """Let go of it."""
        with self._turn:
            self._closing.set()
            if self._callbacks is not None:
                self._callbacks.close()
                self._callbacks = None
            if self._tidying is not None:
                self._tidying.join()
                self._tidying = None
            if self._store is not None:
                self._store.close()
                self._store = None
            if self._passing is not None:
                self._passing.cleanup()
                self._passing = None


class Documents:
    """Takes documents to be converted, and tells what becomes of them.

    Args:
        supervisor: knows whether the processes are ready.
        jobs: the queue.
        service: how much is taken on.
    """

    def __init__(self, supervisor: Supervisor, jobs: KeptJobs, service: ServiceSettings) -> None:
        self._supervisor = supervisor
        self._jobs = jobs
        self.service = service

    @property
    def store(self) -> JobStore:
        """The queue; see `KeptJobs.open`."""
        return self._jobs.open()

    def check_ready(self) -> None:
        """Say now if documents cannot be converted.

        Raises:
            ModelNotReady: not yet, or not any more.
        """
        self._supervisor.expect(DOCUMENTS_MODEL)
        status = self._supervisor.status(DOCUMENTS_MODEL)
        if status.state is not ModelState.READY:
            raise not_ready_error(status)

    def take(
        self,
        owner: str,
        sources: Sequence[Source],
        contents: Sequence[Iterable[bytes]],
        options: ConvertOptions,
        about: Mapping[str, Any],
        priority: int = 0,
    ) -> JobStatus:
        """Take documents; what was reported is done, whatever dies meanwhile.

        Args:
            owner: the client, by which limits count.
            sources: the documents.
            contents: of each, in pieces; of those with an address nothing.
            options: how.
            about: what the caller wants to find again in the job.
            priority: the higher goes first.

        Raises:
            TooManyJobs: this client, or all, have as many unfinished ones as may be.
            JobStorageFailed: there is no room.
        """
        from holdfast.documents import document_job

        store, job = self.store, uuid.uuid4().hex
        limits = Limits(self.service.documents_client_jobs, self.service.documents_jobs)
        try:
            for at, (source, content) in enumerate(zip(sources, contents, strict=True)):
                if not source.url:
                    store.put_blob(job, f"in/{at}", content)
            new = document_job(owner, sources, options, priority=priority, about=about)
            taken = store.submit(job, new, limits)
        except BaseException:
            with contextlib.suppress(HoldfastError):  # else it is gone after an hour
                store.drop_blobs(job)
            raise
        self._jobs.nudge()
        return taken

    def status(self, job: str, *, waiting: bool = False) -> JobStatus:
        """Return how a job stands; while it is not at its end, somebody is to work on it.

        Args:
            job: its id.
            waiting: somebody waits for its end, and is told where nobody will begin it.

        Raises:
            UnknownJob: there is none, or no more.
            ModelNotReady: ``waiting``, it is not begun, and the processes were taken away.
        """
        from holdfast.documents import KIND

        found = self.store.status(job)
        if found.kind != KIND:
            raise UnknownJob(
                f"there is no task {job[:60]!r}",
                why="what has this id is none",
                hint="check the id",
            )
        if not found.is_finished:
            try:
                self._supervisor.expect(DOCUMENTS_MODEL)
            except HoldfastError:
                if waiting and found.state is JobState.PENDING:
                    raise
        return found

    def counts(self) -> Mapping[str, int]:
        """Return how many jobs there are by state; nothing where that cannot be told."""
        try:
            return self._jobs.counts()
        except HoldfastError:
            return {}  # whoever asks for a job is told why

    def close(self) -> None:
        """Let go of the queue; what waits in it waits on."""
        self._jobs.close()


def _killed_mb(service: ServiceSettings) -> float:
    """Return with how much memory a process is ended: before the machine has none left."""
    limit = _BEYOND * service.documents_recycle_mb
    memory_mb = this_machine().memory_mb
    return limit if memory_mb is None else min(limit, _OF_MACHINE * memory_mb)


def documents_description(
    service: ServiceSettings,
    jobs: KeptJobs,
    chosen: ChosenModels | None,
    settings: Settings | None,
) -> dict[str, Any]:
    """Return what converts documents and what it needs, in the terms of `ModelSpec`.

    Args:
        service: how many processes there are, and how they live.
        jobs: what they work on.
        chosen: the models that pages are looked at with; None for geometry.
        settings: where models of speech are; without them recordings are not read.
    """
    hearing: dict[str, Any] = {}
    if settings is not None:
        hearing = {"load": LOAD, "more": told_settings(settings, service)}

    def load(folder: Path, device: str) -> DocumentWorkers:
        from holdfast.documents import DocumentWorkers, WorkersAsked

        jobs.open()  # so that a place where nothing can be kept is told here
        workers = DocumentWorkers(
            WorkersAsked(
                jobs.place(), service.documents_processes, folder=folder, device=device,
                most_jobs=service.documents_recycle_jobs, most_mb=service.documents_recycle_mb,
                killed_mb=_killed_mb(service),
                running_of_owner=service.documents_client_running,
                allowed=service.documents_allow_addresses,
                most_bytes=service.upload_limit_mb * _MB, **hearing,
            )
        )  # fmt: skip
        jobs.nudge = workers.nudge
        return workers

    each_mb, on_gpu = _PROCESS_MB, {}
    if chosen is not None:
        each_mb += _LAYOUT_MB + (_TABLES_MB if chosen.tables is not None else 0)
        if service.profile == "gpu":
            on_gpu = {"device": "cuda", "devices": ("cpu", "cuda")}
    return {
        "task": "document-conversion",
        "licence": "Apache-2.0" if chosen is None else chosen.licence,
        "load": load,
        "describe": lambda workers: {
            **workers.about,
            "processes": service.documents_processes,
            "durable": jobs.durable,
        },
        "needs": Needs(memory_mb=each_mb * service.documents_processes),
        **on_gpu,
    }
