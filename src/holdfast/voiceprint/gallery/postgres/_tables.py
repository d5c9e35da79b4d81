"""What stands in PostgreSQL, as SQL. Rules only; nothing here does I/O.

The schema comes first in every connection's ``search_path``; the type of vectors may be in any.

Ids compare byte by byte (``COLLATE "C"``), in SQL as in Python, so that "sorted" means one thing.
"""

from __future__ import annotations

__all__ = ["CENTROIDS", "FORM", "FORMAT", "LAST_AUDIT", "TABLES", "TURN"]

# Counted up when the tables change; a gallery of a later form is refused.
FORM = 1
# One change at a time in the whole deployment: the audit log is a chain, and who follows the
# numbers of changes must not see 8 before 7, as numbers out of a sequence would let happen.
TURN = "SELECT pg_advisory_xact_lock(hashtext('holdfast_voiceprint'), 1)"
FORMAT = "SELECT value FROM facts WHERE name = 'form'"
LAST_AUDIT = "SELECT number, seal FROM audit ORDER BY number DESC LIMIT 1"

TABLES = """
CREATE SCHEMA IF NOT EXISTS holdfast_voiceprint;
CREATE TABLE facts (name text PRIMARY KEY, value bytea NOT NULL);
CREATE TABLE changes (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    speaker text COLLATE "C" UNIQUE NOT NULL);
CREATE TABLE keys (id text COLLATE "C" PRIMARY KEY, key bytea NOT NULL);
CREATE TABLE speakers (id text COLLATE "C" PRIMARY KEY, profile bytea NOT NULL);
CREATE TABLE utterances (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text UNIQUE NOT NULL,
    speaker text COLLATE "C" NOT NULL REFERENCES speakers (id) ON DELETE CASCADE,
    model text NOT NULL, sealed bytea NOT NULL);
CREATE INDEX utterances_by_speaker ON utterances (speaker, number);
CREATE TABLE audio (
    utterance text PRIMARY KEY REFERENCES utterances (id) ON DELETE CASCADE,
    sealed bytea NOT NULL);
CREATE TABLE audit (number bigint PRIMARY KEY, line text NOT NULL, seal bytea NOT NULL);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit log is only added to'; END $$;
CREATE TRIGGER audit_is_fixed BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER audit_is_kept BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse();
INSERT INTO facts VALUES ('form', '1');
"""

# Models have dimensions of their own, so the column has none. PLAIN keeps vectors in the row, where
# one pass over the table finds them; without it those of more than 500 numbers would lie elsewhere.
CENTROIDS = """
CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;
CREATE TABLE IF NOT EXISTS centroids (
    model text NOT NULL,
    speaker text COLLATE "C" NOT NULL REFERENCES speakers (id) ON DELETE CASCADE,
    centroid vector NOT NULL,
    PRIMARY KEY (speaker, model));
ALTER TABLE centroids ALTER COLUMN centroid SET STORAGE PLAIN;
"""
