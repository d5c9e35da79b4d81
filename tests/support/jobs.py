"""The same jobs in every kind of store, for processes that share them.

address = empty_place(folder)             # or empty_place(folder, server)
open_jobs(address).submit(...)              # another process may open it too
"""

from __future__ import annotations

from pathlib import Path

from tests.support.postgres import Postgres

__all__ = ["STORES", "empty_place"]

STORES = ("sqlite", "postgres")


def empty_place(folder: Path, server: Postgres | None = None) -> str:
    """Return where there are no jobs yet; a database is named after the folder."""
    if server is None:
        return str(folder / "data/jobs.sqlite")
    return server.database(folder.name)
