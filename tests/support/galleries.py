"""The same enrolled voices in every kind of store, for processes that share them.

place = sqlite_place(folder)        # or postgres_place(server, "g")
place.open(KEY).put(...)            # another process may open it too: a place can be pickled
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from holdfast.voiceprint.gallery import Gallery, SqliteStore, Utterance, Vault
from tests.support.postgres import Postgres

__all__ = ["DIMENSION", "MODEL", "OTHER", "STORES", "Place", "place_of", "unit", "voice"]

MODEL, OTHER = "m" * 16, "o" * 16
DIMENSION = 8
STORES = ("sqlite", "postgres", "postgres-search")
_TABLES = ("facts", "changes", "keys", "speakers", "utterances", "audio", "audit")


class Place(NamedTuple):
    """Where voices are kept: a store's kind, and its folder or address."""

    kind: str
    address: str

    @property
    def search(self) -> Literal["memory", "database"]:
        """Where a gallery here is searched."""
        return "database" if self.kind == "postgres-search" else "memory"

    def open(self, key: bytes) -> Gallery:
        """Return the gallery, opened once more."""
        vault = Vault(key)
        if self.kind == "sqlite":
            return Gallery(SqliteStore(Path(self.address), vault.chain), vault)
        from holdfast.voiceprint.gallery.postgres import PostgresStore

        return Gallery(PostgresStore(self.address, vault.chain), vault, self.search)

    def order(self, *orders: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """Do something to the tables from outside; return the rows of the last order."""
        with self._outside() as db:
            for order in orders:
                own = order if self.kind == "sqlite" else order.replace("?", "%s")
                found = db.execute(own, values)
            return found.fetchall() if found.description else []

    def stored(self) -> bytes:
        """Return every byte that is kept."""
        if self.kind == "sqlite":
            return b"".join(path.read_bytes() for path in Path(self.address).iterdir())
        tables = (*_TABLES, "centroids") if self.search == "database" else _TABLES
        rows = [row for table in tables for row in self.order(f"SELECT * FROM {table}")]
        cells = [cell for row in rows for cell in row]
        return b"\n".join(c if isinstance(c, bytes) else str(c).encode() for c in cells)

    @contextlib.contextmanager
    def _outside(self) -> Iterator[Any]:
        if self.kind == "sqlite":
            with contextlib.closing(sqlite3.connect(f"{self.address}/voiceprint.sqlite")) as db, db:
                yield db
        else:
            import psycopg

            with psycopg.connect(
                self.address, options="-csearch_path=holdfast_voiceprint,public"
            ) as db:
                yield db


def place_of(kind: str, folder: Path, server: Postgres | None) -> Place:
    """Return an empty place; a database is named after its folder."""
    if server is None:
        return Place(kind, str(folder))
    return Place(kind, server.database(f"{folder.parent.name}-{folder.name}"))


def voice(number: int, model: str = MODEL, seconds: float = 5.0) -> Utterance:
    """Return an utterance whose vector follows from its number."""
    vector = np.random.default_rng(number).normal(size=DIMENSION).astype(np.float32)
    return Utterance(vector=vector, model=model, speech_s=seconds, facts={"snr_db": 21.5})


def unit(vector: Any) -> Any:
    """Return the vector, of length 1."""
    return (vector / np.linalg.norm(vector)).astype(np.float32)
