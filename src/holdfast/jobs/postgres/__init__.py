"""Jobs in PostgreSQL, for several servers on several machines. Needs the ``postgres`` extra."""

from holdfast.jobs.postgres._store import PostgresJobs

__all__ = ["PostgresJobs"]
