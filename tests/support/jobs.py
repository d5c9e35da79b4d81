"""The same jobs in every kind of store, for processes that share them.

address = empty_place(folder)             # or empty_place(folder, server)
jobs_at(address).submit(...)              # another process may open it too
"""

from __future__ import annotations

from pathlib import Path

from holdfast.jobs import JobStore, SqliteJobs
from tests.support.postgres import Postgres

__all__ = ["STORES", "empty_place", "jobs_at"]

STORES = ("sqlite", "postgres")


def empty_place(folder: Path, server: Postgres | None = None) -> str:
    """Return where there are no jobs yet; a database is named after the folder."""
    if server is None:
        return str(folder / "data/jobs.sqlite")
    return server.database(folder.name)


def jobs_at(address: str) -> JobStore:
    """Open the jobs at an address."""
    if not address.startswith("postgresql:"):
        return SqliteJobs(Path(address))
    from holdfast.jobs.postgres import PostgresJobs

    return PostgresJobs(address)
