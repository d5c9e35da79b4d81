"""Opening jobs where they are kept."""

from __future__ import annotations

from pathlib import Path

from holdfast.errors import MissingExtra
from holdfast.jobs._sqlite import SqliteJobs
from holdfast.jobs._store import JobStore

__all__ = ["open_jobs"]


def open_jobs(where: Path | str) -> JobStore:
    """Return the jobs in a file, or in a database that several machines share.

    Args:
        where: the file's path; or a text such as ``postgresql://user@host/database``.

    Raises:
        JobStorageFailed: they cannot be kept there.
        MissingExtra: what talks to the database is not installed.
    """
    if isinstance(where, Path) or not where.startswith(("postgresql:", "postgres:")):
        return SqliteJobs(Path(where))
    try:
        from holdfast.jobs.postgres import PostgresJobs
    except ImportError as error:
        raise MissingExtra(
            "jobs cannot be kept in PostgreSQL here", why=f"{error.name} is not installed",
            hint="pip install 'holdfast[postgres]'",
        ) from error  # fmt: skip
    return PostgresJobs(where)
