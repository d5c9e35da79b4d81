"""Enrolled voices in a PostgreSQL that several servers share, and that fails in its ways."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3

import holdfast.postgres
from holdfast.config import Secret, ServiceSettings
from holdfast.errors import ConfigInvalid
from holdfast.voiceprint import Scale
from holdfast.voiceprint.gallery import (
    Found,
    GalleryUnusable,
    Profile,
    SearchUnready,
    VaultKeyMissing,
    VaultKeyWrong,
    new_key,
    read_key,
)
from holdfast.voiceprint.gallery.postgres import _store, _tables
from holdfast.wiring import KeptVoices
from tests.stories.test_apps import bare, started, wait_for
from tests.support.galleries import MODEL, Place, place_of, unit, voice
from tests.support.postgres import PASSWORD, Postgres
from tests.support.voices import SENTENCES, speak

TEXT_KEY = new_key()
KEY = read_key(TEXT_KEY)


@pytest.fixture
def place(postgres: Postgres, tmp_path: Path) -> Place:
    return place_of("postgres", tmp_path, postgres)


@pytest.fixture
def searched(place: Place) -> Place:
    return place._replace(kind="postgres-search")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less long than in earnest."""
    monkeypatch.setattr(holdfast.postgres, "_ANSWER_S", 1.0)
    monkeypatch.setattr(holdfast.postgres, "_TURN_S", 1.0)


# -- faults


def test_a_restart_of_the_database_is_survived(place: Place, postgres: Postgres) -> None:
    gallery = place.open(KEY)
    gallery.put(Profile(id="ada"))
    gallery.enrol("ada", [voice(1)])
    with ThreadPoolExecutor(4) as threads:  # several connections are idle then
        list(threads.map(gallery.profile, ["ada"] * 8))
    postgres.stop()
    begun = time.monotonic()
    with pytest.raises(GalleryUnusable) as caught:
        gallery.search(MODEL, unit(voice(1).vector), 1, 0.9)
    assert time.monotonic() - begun < 3
    assert "refused" in str(caught.value) or "closed" in str(caught.value)
    postgres.start()
    assert gallery.search(MODEL, unit(voice(1).vector), 1, 0.9) == [Found("ada", pytest.approx(1))]
    gallery.enrol("ada", [voice(2)])
    assert len(list(gallery.audit())) == 3
    gallery.close()


@pytest.mark.usefixtures("impatient")
def test_a_database_that_stands_still_keeps_nobody_waiting(
    place: Place, postgres: Postgres
) -> None:
    gallery = place.open(KEY)
    gallery.put(Profile(id="ada"))
    gallery.enrol("ada", [voice(1)])

    def ask(number: int) -> float:
        begun = time.monotonic()
        asked = gallery.count if number % 2 else lambda: gallery.note("verify", "ada")
        with pytest.raises(GalleryUnusable, match=r"no answer within|timeout|in use"):
            asked()
        return time.monotonic() - begun

    with postgres.frozen(), ThreadPoolExecutor(20) as threads:
        assert max(threads.map(ask, range(20))) < 9
    gallery.note("verify", "ada")
    assert gallery.search(MODEL, unit(voice(1).vector), 1, 0.9) == [Found("ada", pytest.approx(1))]
    gallery.close()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("postgresql://ada:open-sesame@127.0.0.1:1/g", "refused"),
        ("postgresql://ada:open-sesame@127.0.0.1:port/g", "not of the form"),
        ("postgresql://ada:open-sesame@[::1/g", "not of the form"),
        ("postgresql://ada:open-sesame/@127.0.0.1/g", "not of the form"),
        ("postgresql://ada:open-sesame-not@127.0.0.1:{port}/postgres", "password authentication"),
        ("postgresql://ada:open-sesame@127.0.0.1:{port}/none", "does not exist"),
    ],
)
def test_a_database_that_cannot_be_had_is_said_without_its_password(
    postgres: Postgres, address: str, says: str
) -> None:
    with pytest.raises(GalleryUnusable) as caught:
        Place("postgres", address.replace("{port}", str(postgres.port))).open(KEY)
    told = repr(caught.value.to_dict())
    assert says in told
    assert PASSWORD not in told


def test_what_a_later_version_made_is_left_alone(place: Place) -> None:
    place.open(KEY).close()
    place.order("UPDATE facts SET value = '7' WHERE name = 'form'")
    with pytest.raises(GalleryUnusable, match="it is 7, and this version knows 1"):
        place.open(KEY)


def _open_and_enrol(place: Place, key: bytes, name: str) -> None:
    gallery = place.open(key)
    gallery.put(Profile(id=name))
    gallery.enrol(name, [voice(ord(name))])
    gallery.close()


@pytest.mark.parametrize("kind", ["postgres", "postgres-search"])
def test_servers_that_start_at_once_make_the_tables_once(place: Place, kind: str) -> None:
    place = place._replace(kind=kind)
    start = multiprocessing.get_context("spawn")
    workers = [start.Process(target=_open_and_enrol, args=(place, KEY, name)) for name in "abcd"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    gallery = place.open(KEY)
    assert [profile.id for profile in gallery.profiles()] == list("abcd")
    assert len(list(gallery.audit())) == 8
    gallery.close()


# -- search in the database


def test_search_moves_into_the_database_and_back(
    place: Place, searched: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory = place.open(KEY)
    for number in range(20):
        in_memory.put(Profile(id=f"s{number:02}"))
        in_memory.enrol(f"s{number:02}", [voice(number), voice(100 + number)])
    # Little by little, where there are many.
    monkeypatch.setattr(_store, "_FILL_S", 0.0)
    monkeypatch.setattr(_store, "_FILL_BATCH", 8)
    in_database = searched.open(KEY)
    probe = unit(voice(7).vector)
    for left in (12, 4):
        with pytest.raises(SearchUnready, match=f"{left} speakers"):
            in_database.search(MODEL, probe, 3, -1.0)
    # A server that searches in memory still keeps the others' table right.
    in_memory.enrol("s03", [voice(500)])
    in_memory.put(Profile(id="new"))
    in_memory.enrol("new", [voice(600)])
    in_memory.erase("s04")
    for number in (7, 3, 104, 500, 600):
        probe = unit(voice(number).vector)
        for least in (-1.0, 0.3, 0.9):
            expected = in_memory.search(MODEL, probe, 5, least)
            found = in_database.search(MODEL, probe, 5, least)
            assert [each.speaker for each in found] == [each.speaker for each in expected]
            assert [each.score for each in found] == pytest.approx(
                [each.score for each in expected], abs=1e-6
            )
    in_memory.close()
    # Whoever takes the table away is obeyed; who needs it makes it again.
    place.order("DROP TABLE centroids")
    with pytest.raises(GalleryUnusable, match="centroids"):
        in_database.search(MODEL, probe, 1, 0.9)
    monkeypatch.undo()
    assert [each.speaker for each in in_database.search(MODEL, probe, 1, 0.9)] == ["new"]
    in_database.close()


@contextlib.contextmanager
def another_at_work(place: Place) -> Iterator[tuple[Any, Callable[[], None]]]:
    """Have the turn; yield its connection, and what returns when somebody waits for the turn."""
    import psycopg

    blocked = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    schema = "-csearch_path=holdfast_voiceprint,public"
    with psycopg.connect(place.address, options=schema) as other:
        other.execute(_tables.TURN)
        yield (
            other,
            lambda: wait_for(lambda: other.execute(blocked).fetchone() is not None),
        )


def test_who_waits_while_tables_are_made_finds_them(place: Place) -> None:
    with ThreadPoolExecutor() as threads:
        with another_at_work(place) as (other, somebody_waits):
            opened = threads.submit(place.open, KEY)
            somebody_waits()
            other.execute(_tables.TABLES)
        gallery = opened.result(20)
        gallery.put(Profile(id="ada"))
        gallery.enrol("ada", [voice(1)])
        with another_at_work(place) as (other, somebody_waits):
            enrolled = threads.submit(gallery.enrol, "ada", [voice(2)])
            somebody_waits()
            other.execute(_tables.CENTROIDS)
        enrolled.result(20)
    assert place.order("SELECT speaker FROM centroids") == [("ada",)]
    gallery.close()


def test_nobody_is_recognised_by_a_vector_that_was_put_there_from_outside(searched: Place) -> None:
    gallery = searched.open(KEY)
    for number, name in enumerate(("ada", "eve")):
        gallery.put(Profile(id=name))
        gallery.enrol(name, [voice(number)])
    probe = unit(voice(1).vector)  # Eve's
    assert [found.speaker for found in gallery.search(MODEL, probe, 5, 0.9)] == ["eve"]
    searched.order(
        "UPDATE centroids SET centroid = (SELECT centroid FROM centroids WHERE speaker = 'eve')"
    )
    assert [found.speaker for found in gallery.search(MODEL, probe, 5, 0.9)] == ["eve"]
    gallery.close()


def test_an_index_of_the_administrators_does_not_make_search_inexact(searched: Place) -> None:
    gallery = searched.open(KEY)
    for number in range(40):
        gallery.put(Profile(id=f"s{number:02}"))
        gallery.enrol(f"s{number:02}", [voice(number)])
    probe = unit(voice(0).vector)
    before = gallery.search(MODEL, probe, 20, -1.0)
    assert len(before) == 20
    searched.order(
        "ALTER TABLE centroids ALTER COLUMN centroid TYPE vector(8)",
        "CREATE INDEX ON centroids USING ivfflat (centroid vector_ip_ops) WITH (lists = 20)",
    )
    again = searched.open(KEY)
    assert again.search(MODEL, probe, 20, -1.0) == before
    again.close()
    gallery.close()


# -- settings


def kept(tmp_path: Path, address: str, **settings: Any) -> KeptVoices:
    service = ServiceSettings(
        documents_processes=0,
        data=tmp_path / "data",
        voiceprint_database=Secret(address),
        **settings,
    )
    return KeptVoices(service, {})


def test_several_servers_must_be_given_one_key(place: Place, tmp_path: Path) -> None:
    with pytest.raises(VaultKeyMissing, match="no key was given"):
        kept(tmp_path, place.address).open()
    with pytest.raises(VaultKeyMissing, match="none in"):
        kept(tmp_path, place.address, voiceprint_key_file=tmp_path / "none").open()
    assert not (tmp_path / "none").exists()
    (tmp_path / "key").write_text(TEXT_KEY)
    by_file = kept(tmp_path, place.address, voiceprint_key_file=tmp_path / "key")
    by_file.open().put(Profile(id="ada"))
    by_variable = kept(tmp_path, place.address, voiceprint_key=Secret(TEXT_KEY))
    assert by_variable.open().profile("ada").id == "ada"
    with pytest.raises(VaultKeyWrong):
        kept(tmp_path, place.address, voiceprint_key=Secret(new_key())).open()
    # One scale for all of them.
    scale = Scale(model=MODEL, data="May", accept_at=0.5, reject_below=0.4)
    assert by_file.scale() is None
    where = by_file.keep_scale(scale)
    assert where.startswith("postgresql://ada@127.0.0.1:")
    assert by_variable.scale() == scale
    by_file.close()
    by_variable.close()
    assert not (tmp_path / "data/voiceprint").exists()


def test_files_cannot_be_searched_as_a_database(tmp_path: Path) -> None:
    service = ServiceSettings(documents_processes=0, data=tmp_path, voiceprint_search="database")
    with pytest.raises(ConfigInvalid, match="which cannot be searched"):
        KeptVoices(service, {}).open()


def test_who_waits_for_an_unreachable_database_waits_once(tmp_path: Path) -> None:
    # A port that takes connections and never says a word.
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        address = f"postgresql://ada@127.0.0.1:{port}/g?connect_timeout=2"
        voices = kept(tmp_path, address, voiceprint_key=Secret(TEXT_KEY))

        def ask(_: int) -> float:
            begun = time.monotonic()
            with pytest.raises(GalleryUnusable, match="timeout"):
                voices.open()
            return time.monotonic() - begun

        with ThreadPoolExecutor(10) as threads:
            assert max(threads.map(ask, range(10))) < 6


# -- two real servers


@pytest.fixture(params=["memory", "database"])
def servers(
    request: pytest.FixtureRequest, tmp_path: Path, place: Place
) -> Iterator[tuple[str, str]]:
    def env(name: str) -> dict[str, str]:
        return bare(
            tmp_path / name,
            HOLDFAST_VOICEPRINT_DATABASE=place.address,
            HOLDFAST_VOICEPRINT_KEY=TEXT_KEY,
            HOLDFAST_VOICEPRINT_SEARCH=request.param,
            HOLDFAST_DATA=str(tmp_path / name / "data"),
        )

    for name in "ab":
        (tmp_path / name).mkdir()
    with (
        started("up", "--port", "0", env=env("a")) as (first, _),
        started("up", "--port", "0", env=env("b")) as (second, _),
    ):
        for url in (first, second):
            wait_for(lambda url=url: _get(f"{url}/ready") == 200)
        yield f"{first}/v1/voiceprint", f"{second}/v1/voiceprint"


def _get(url: str) -> int:
    return urllib3.request("GET", url, timeout=30, retries=False).status


def _send(url: str, *recordings: Path, **fields: str) -> tuple[int, Any]:
    parts: list[tuple[str, Any]] = [("file", (r.name, r.read_bytes())) for r in recordings]
    answer = urllib3.request(
        "POST", url, fields=[*parts, *fields.items()], timeout=60, retries=False
    )
    return answer.status, answer.json()


def test_two_servers_on_one_database_are_one_service(
    servers: tuple[str, str], postgres: Postgres, tmp_path: Path
) -> None:
    first, second = servers
    recordings = [speak(tmp_path, "flite:slt", text) for text in SENTENCES[:4]]
    probe = speak(tmp_path, "flite:slt", SENTENCES[4])
    assert urllib3.request("PUT", f"{first}/speakers/her", json={}).status == 200
    status, body = _send(f"{first}/speakers/her/enrollments", *recordings)
    assert (status, body["accepted"]) == (200, 4)
    for url in servers:
        assert _send(f"{url}/verify", probe, speaker_id="her")[1]["decision"] == "accept"
        found = _send(f"{url}/identify", probe)[1]["candidates"]
        assert [each["speaker_id"] for each in found] == ["her"]
    postgres.stop()
    for url in servers:
        begun = time.monotonic()
        status, body = _send(f"{url}/identify", probe)
        assert (status, body["error"]["code"]) == (503, "gallery-unusable"), body
        assert PASSWORD not in str(body)
        assert time.monotonic() - begun < 15
        assert _get(url.removesuffix("/v1/voiceprint") + "/health") == 200
    postgres.start()
    assert urllib3.request("DELETE", f"{second}/speakers/her", retries=False).status == 204
    for url in servers:
        assert _send(f"{url}/identify", probe)[1]["candidates"] == []
        assert _send(f"{url}/verify", probe, speaker_id="her")[0] == 404
