"""What stands in PostgreSQL, as SQL. Rules only; nothing here does I/O.

Times are seconds since 1970 by the server's clock: those of its clients differ. Ids and names of
files compare byte by byte (``COLLATE "C"``), as in Python. What is JSON is kept as text: the types
for JSON refuse some of what Python's reads and writes.
"""

from __future__ import annotations

__all__ = ["EXISTS", "FORM", "MAKING", "NEXT", "NOW", "OVERDUE", "TABLES", "TURN", "WAITS"]

# Counted up when the tables change; those of a later form are refused.
FORM = 1
EXISTS = "SELECT 1 FROM pg_tables WHERE schemaname = 'holdfast_jobs' AND tablename = 'versions'"
MAKING = "SELECT pg_advisory_xact_lock(hashtext('holdfast_jobs'), 1)"
NOW = "extract(epoch FROM clock_timestamp())::float8"
# Whoever changes a job draws a version first. Its row stays locked until the end of the
# transaction, so versions become visible in their order, and nobody else takes a job, or counts
# those that there are, in between.
TURN = f"UPDATE versions SET last = last + 1 RETURNING last, {NOW}"  # noqa: S608 - ours

TABLES = """
CREATE SCHEMA IF NOT EXISTS holdfast_jobs;
CREATE TABLE jobs (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" UNIQUE NOT NULL, kind text NOT NULL, owner text NOT NULL,
    payload text NOT NULL, priority bigint NOT NULL, most_failures bigint NOT NULL,
    state text NOT NULL, created float8 NOT NULL, not_before float8 NOT NULL DEFAULT 0,
    started float8, finished float8, claims bigint NOT NULL DEFAULT 0,
    failures bigint NOT NULL DEFAULT 0, worker text, lease_until float8,
    cancelling boolean NOT NULL DEFAULT false, progress text NOT NULL DEFAULT '{}', error text,
    version bigint NOT NULL);
CREATE INDEX jobs_to_do ON jobs (priority DESC, number) WHERE state = 'pending';
CREATE INDEX jobs_of_owner ON jobs (owner, state);
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'started';
CREATE INDEX jobs_finished ON jobs (finished) WHERE finished IS NOT NULL;
CREATE INDEX jobs_changed ON jobs (version);
CREATE TABLE pieces (
    job text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, number bigint NOT NULL,
    written float8 NOT NULL, content bytea NOT NULL, PRIMARY KEY (job, name, number));
-- Documents are compressed already.
ALTER TABLE pieces ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE TABLE versions (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), form integer NOT NULL,
    last bigint NOT NULL);
"""

OVERDUE = "SELECT id FROM jobs WHERE state = 'started' AND lease_until < %(now)s"
NEXT = """
SELECT id, kind, owner, payload, claims, failures FROM jobs
WHERE state = 'pending' AND not_before <= %(now)s AND kind = ANY(%(kinds)s) AND owner NOT IN (
    SELECT owner FROM jobs WHERE state = 'started' GROUP BY owner HAVING count(*) >= %(running)s)
ORDER BY priority DESC, number LIMIT 1
"""
# Asked without a turn: idle workers look often, and keep nobody from changing anything.
WAITS = f"SELECT EXISTS ({OVERDUE}) OR EXISTS ({NEXT})".replace(
    "%(now)s", "extract(epoch FROM now())::float8"
)
