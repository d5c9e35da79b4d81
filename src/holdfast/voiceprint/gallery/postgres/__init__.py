"""Enrolled voices in PostgreSQL, for several servers at once. Needs the ``postgres`` extra."""

from holdfast.voiceprint.gallery.postgres._kept import shown
from holdfast.voiceprint.gallery.postgres._store import PostgresStore

__all__ = ["PostgresStore", "shown"]
