"""The protocol on the wire: ranges, the second origin, errors, faults."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message

from holdfast.errors import ConfigInvalid
from holdfast.mirror import (
    Access,
    HubSettings,
    Repositories,
    RequestRecord,
    Signer,
    create_app,
    running_hub,
)  # fmt: skip
from holdfast.refs import RepoRef
from tests.support.hub import FaultyHub, faulty_hub, hub_process

MODEL = RepoRef("owner/model")
CONTENT = os.urandom(300_000)
PLAIN = b'{"a": 1}'


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(url: str, path: str, method: str = "GET", **headers: str) -> Answer:
    """Send one request over a connection of its own; header names with ``_`` for ``-``."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=named)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, answer.read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyHub]:
    repositories = Repositories(tmp_path_factory.mktemp("hub"), durable=False)
    repositories.commit(MODEL, {"model.safetensors": CONTENT, "config.json": PLAIN, "empty": b""})
    with faulty_hub(repositories) as hub:
        yield hub


@pytest.fixture(autouse=True)
def no_faults_left(hub: FaultyHub) -> Iterator[None]:
    yield
    hub.faults.clear()


def storage_path(hub: FaultyHub) -> str:
    answer = ask(hub.url, "/owner/model/resolve/main/model.safetensors", "HEAD")
    assert answer.status == 302
    target = urlsplit(answer.headers["location"])
    assert f"http://{target.netloc}" == hub.storage_url
    return f"{target.path}?{target.query}"


def test_a_small_file_is_answered_with_its_names(hub: FaultyHub) -> None:
    commit = hub.repositories.at(MODEL, "main").id
    head, get = (
        ask(hub.url, "/owner/model/resolve/main/config.json", method) for method in ("HEAD", "GET")
    )
    digest = hashlib.sha1(b"blob %d\0" % len(PLAIN) + PLAIN).hexdigest()

    assert (head.status, head.body, get.body) == (200, b"", PLAIN)
    for answer in (head, get):
        assert answer.headers["x-repo-commit"] == commit
        assert answer.headers["etag"] == f'"{digest}"'
        assert answer.headers["content-length"] == str(len(PLAIN))
        assert answer.headers["accept-ranges"] == "bytes"


def test_a_large_file_is_elsewhere_and_says_what_it_is(hub: FaultyHub) -> None:
    answer = ask(hub.url, "/owner/model/resolve/main/model.safetensors", "HEAD")
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert answer.headers["x-linked-etag"] == f'"{digest}"'
    assert answer.headers["x-linked-size"] == str(len(CONTENT))
    assert ask(hub.storage_url, storage_path(hub)).body == CONTENT


def test_the_second_origin_refuses_tokens_and_links_that_are_not_its_own(hub: FaultyHub) -> None:
    path = storage_path(hub)
    assert ask(hub.storage_url, path, Authorization="Bearer hf_x").status == 400
    assert ask(hub.storage_url, path.partition("?")[0]).status == 403
    assert ask(hub.storage_url, path[:-1] + ("0" if path[-1] != "0" else "1")).status == 403
    assert ask(hub.storage_url, path.replace("expires=", "expires=9")).status == 403
    assert ask(hub.storage_url, "/nothing").status == 404


def test_a_link_expires(tmp_path: Path) -> None:
    repositories = Repositories(tmp_path, durable=False)
    repositories.commit(MODEL, {"model.safetensors": CONTENT})
    now = time.time()
    clock = [now]
    signer = Signer(lifetime_s=60, now=lambda: clock[0])
    with faulty_hub(repositories, signer=signer) as hub:
        path = storage_path(hub)
        clock[0] = now + 59
        assert ask(hub.storage_url, path).status == 200
        clock[0] = now + 62
        assert ask(hub.storage_url, path).status == 403


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(start=st.integers(0, len(CONTENT) + 10), length=st.integers(1, len(CONTENT)))
def test_any_range_is_that_part_of_the_content(hub: FaultyHub, start: int, length: int) -> None:
    stop = start + length
    answer = ask(hub.storage_url, storage_path(hub), Range=f"bytes={start}-{stop - 1}")
    if start >= len(CONTENT):
        assert answer.status == 416
        assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"
    else:
        last = min(stop, len(CONTENT)) - 1
        assert answer.status == 206
        assert answer.headers["content-range"] == f"bytes {start}-{last}/{len(CONTENT)}"
        assert answer.body == CONTENT[start:stop]


@pytest.mark.parametrize(
    ("path", "asked", "status", "body"),
    [
        ("config.json", "bytes=2-3", 206, PLAIN[2:4]),
        ("config.json", "bytes=-1", 206, PLAIN[-1:]),
        ("config.json", "bytes=0-0,2-2", 200, PLAIN),
        ("config.json", "bytes=100-", 416, b""),
        ("empty", "bytes=0-", 416, b""),
        ("empty", "lines=0-", 200, b""),
    ],
)
def test_ranges_of_small_files(
    hub: FaultyHub, path: str, asked: str, status: int, body: bytes
) -> None:
    answer = ask(hub.url, f"/owner/model/resolve/main/{path}", Range=asked)
    assert (answer.status, answer.body) == (status, body)


def test_a_range_of_what_has_changed_is_answered_whole(hub: FaultyHub) -> None:
    path = "/owner/model/resolve/main/config.json"
    etag = ask(hub.url, path, "HEAD").headers["etag"]
    same = ask(hub.url, path, Range="bytes=1-1", If_Range=etag)
    other = ask(hub.url, path, Range="bytes=1-1", If_Range='"other"')
    cached = ask(hub.url, path, If_None_Match=etag)
    assert (same.status, other.status, other.body) == (206, 200, PLAIN)
    assert (cached.status, cached.body) == (304, b"")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/models/owner/nothing", 404, "RepoNotFound"),
        ("/api/models/owner/model/tree/nothing", 404, "RevisionNotFound"),
        ("/api/models/owner/model/tree/main/nothing", 404, "EntryNotFound"),
        ("/owner/model/resolve/main/nothing", 404, "EntryNotFound"),
        ("/owner/model/resolve/..%2F..%2Fetc/passwd", 404, "RevisionNotFound"),
        ("/owner/model/resolve/main/..%2F..%2F..%2Fetc%2Fpasswd", 404, "EntryNotFound"),
        ("/no/such/route", 404, None),
    ],
)
def test_errors_carry_the_hubs_codes(
    hub: FaultyHub, path: str, status: int, code: str | None
) -> None:
    answer = ask(hub.url, path)
    assert (answer.status, answer.headers.get("x-error-code")) == (status, code)
    assert ("x-repo-commit" in answer.headers) is (code == "EntryNotFound")


def test_other_methods_are_refused(hub: FaultyHub) -> None:
    refused = ask(hub.url, "/api/models/owner/model", "DELETE")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    assert ask(hub.url, "/api/models/owner/model/paths-info/main").status == 405
    assert ask(hub.storage_url, storage_path(hub), "PUT").status == 405


def test_the_log_names_what_was_asked_and_keeps_no_token(hub: FaultyHub) -> None:
    ask(hub.url, "/owner/model/resolve/main/config.json?x=1", Authorization="Bearer hf_secret")

    def noted() -> list[RequestRecord]:
        return [record for record in hub.log.records if record.query == "x=1"]

    # A request is noted when its answer has gone out, a moment after the client has it.
    deadline = time.monotonic() + 10
    while not noted() and time.monotonic() < deadline:
        time.sleep(0.01)
    (record,) = noted()
    assert (record.origin, record.method, record.status) == ("hub", "GET", 200)
    assert (record.path, record.query) == ("/owner/model/resolve/main/config.json", "x=1")
    assert record.headers["authorization"] == "present"
    assert record.bytes_sent == len(PLAIN)
    assert "hf_secret" not in repr(record)


def test_large_files_can_be_answered_from_another_server_or_directly(tmp_path: Path) -> None:
    repositories = Repositories(tmp_path, durable=False)
    repositories.commit(MODEL, {"model.safetensors": CONTENT})

    def answer(hub_settings: HubSettings) -> tuple[int, dict[str, str], bytes]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        path = "/owner/model/resolve/main/model.safetensors"
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode()}
        scope |= {"query_string": b"", "headers": [], "scheme": "http", "server": ("x", 80)}

        async def run() -> None:
            await create_app(repositories, hub_settings)(scope, receive, send)

        asyncio.run(run())
        headers = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], headers, b"".join(m.get("body", b"") for m in sent[1:])

    digest = hashlib.sha256(CONTENT).hexdigest()
    direct = answer(HubSettings())
    elsewhere = answer(HubSettings(storage_url="http://files.example/lfs/"))
    assert (direct[0], direct[2]) == (200, CONTENT)
    assert direct[1]["x-linked-etag"] == f'"{digest}"'
    assert elsewhere[0] == 302
    assert elsewhere[1]["location"] == f"http://files.example/lfs/{digest}"
    assert (repositories.lfs_folder / digest).read_bytes() == CONTENT


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigInvalid, match=str(port)), running_hub(tmp_path, port=port):
            pass


def test_stopping_leaves_no_thread_and_no_port(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with running_hub(tmp_path) as hub:
        assert ask(hub.url, "/").status == 200
    with pytest.raises(ConnectionRefusedError):
        ask(hub.url, "/")
    assert set(threading.enumerate()) <= before


SMALL = "/owner/model/resolve/main/config.json"


def test_fault_silence(hub: FaultyHub) -> None:
    hub.faults.set("silence:where=resolve,times=1")
    target = urlsplit(hub.url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=0.3)
    connection.request("GET", SMALL)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    assert ask(hub.url, SMALL).body == PLAIN


def test_fault_stall(hub: FaultyHub) -> None:
    hub.faults.set("stall:at=1000,where=storage")
    path = storage_path(hub)
    target = urlsplit(hub.storage_url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=0.3)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.read(1000) == CONTENT[:1000]
    with pytest.raises(TimeoutError):
        answer.read(1)
    connection.close()


def test_fault_cut_every_so_many_bytes(hub: FaultyHub) -> None:
    hub.faults.set("cut:at=100k,where=storage")
    path = storage_path(hub)
    received = b""
    for _ in range(2):
        with pytest.raises(http.client.IncompleteRead) as cut:
            ask(hub.storage_url, path, Range=f"bytes={len(received)}-")
        received += cut.value.partial
    received += ask(hub.storage_url, path, Range=f"bytes={len(received)}-").body
    assert received == CONTENT


def test_fault_wrong_bytes_once(hub: FaultyHub) -> None:
    hub.faults.set("corrupt:at=7,where=storage,times=1")
    path = storage_path(hub)
    wrong, right = (ask(hub.storage_url, path).body for _ in range(2))
    assert len(wrong) == len(CONTENT)
    assert [i for i, (a, b) in enumerate(zip(wrong, CONTENT, strict=True)) if a != b] == [7]
    assert right == CONTENT


def test_fault_too_many_and_too_few_bytes(hub: FaultyHub) -> None:
    path = storage_path(hub)
    hub.faults.set("excess:at=5,where=storage")
    assert ask(hub.storage_url, path).body == CONTENT + bytes(5)
    hub.faults.set("short:at=5,where=storage")
    assert ask(hub.storage_url, path).body == CONTENT[:-5]


def test_fault_status_so_many_times(hub: FaultyHub) -> None:
    hub.faults.set("status:code=429,retry_after=2,times=2,skip=1")
    answers = [ask(hub.url, SMALL) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 429, 429, 200]
    assert answers[1].headers["retry-after"] == "2"


def test_fault_slow_line(hub: FaultyHub) -> None:
    hub.faults.set("slow:rate=500k,where=storage")
    path = storage_path(hub)
    started = time.monotonic()
    assert ask(hub.storage_url, path).body == CONTENT
    assert time.monotonic() - started > len(CONTENT) / 512_000 * 0.8


def test_fault_redirect_loop_and_expired_links(hub: FaultyHub) -> None:
    path = storage_path(hub)
    hub.faults.set("loop:where=resolve", "expired:where=storage")
    looped = ask(hub.url, SMALL)
    assert (looped.status, looped.headers["location"]) == (307, SMALL)
    assert ask(hub.storage_url, path).status == 403


def test_fault_no_ranges(hub: FaultyHub) -> None:
    hub.faults.set("norange")
    answer = ask(hub.storage_url, storage_path(hub), Range="bytes=5-")
    assert (answer.status, answer.body) == (200, CONTENT)


def test_fault_compressed_answers(hub: FaultyHub) -> None:
    hub.faults.set("gzip:where=resolve")
    packed = ask(hub.url, SMALL, Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-length" not in packed.headers
    assert gzip.decompress(packed.body) == PLAIN
    assert ask(hub.url, SMALL, Accept_Encoding="identity").body == PLAIN


def test_fault_a_listing_with_a_path_that_leaves_the_folder(hub: FaultyHub) -> None:
    hub.faults.set("listing:path=../../evil")
    answer = ask(hub.url, "/api/models/owner/model/tree/main?recursive=1")
    assert [item["path"] for item in json.loads(answer.body)][-1] == "../../evil"


def test_fault_a_branch_moves_between_two_calls(tmp_path: Path) -> None:
    repositories = Repositories(tmp_path, durable=False)
    first = repositories.commit(MODEL, {"a": b"1"})
    second = repositories.commit(MODEL, {"a": b"2"})
    repositories.branch(MODEL, "main", first)
    move = f"move:where=api,times=1,repo=owner/model,to={second}"
    with faulty_hub(repositories, move) as hub:
        found = [json.loads(ask(hub.url, "/api/models/owner/model").body)["sha"] for _ in range(2)]
    assert found == [first, second]


def test_a_hub_process_is_switched_and_read_from_outside(tmp_path: Path) -> None:
    repositories = Repositories(tmp_path, durable=False)
    first = repositories.commit(MODEL, {"config.json": PLAIN})
    repositories.commit(MODEL, {"config.json": b"{}"})
    with hub_process(tmp_path, "status:code=503,times=1") as hub:
        statuses = [ask(hub.url, SMALL).status for _ in range(2)]
        hub.move_branch("owner/model", first)
        hub.set_faults("corrupt:at=0")
        body = ask(hub.url, SMALL).body
        records = hub.records()
        hub.clear_records()
        assert hub.records() == []
    assert statuses == [503, 200]
    assert body[1:] == PLAIN[1:]
    assert body[0] != PLAIN[0]
    assert [record["status"] for record in records] == [503, 200, 200]
    with pytest.raises(ConnectionRefusedError):
        ask(hub.url, SMALL)


def test_a_private_repository_is_not_listed(tmp_path: Path) -> None:
    repositories = Repositories(tmp_path, durable=False)
    for name in ("a/open", "a/hidden"):
        repositories.commit(RepoRef(name), {"x": b""})
    repositories.set_access(RepoRef("a/hidden"), Access(private=True))
    with running_hub(repositories) as hub:
        assert json.loads(ask(hub.url, "/").body)["repositories"] == ["a/open"]


def test_small_answers_do_not_wait_for_acknowledgements(hub: FaultyHub) -> None:
    target = urlsplit(hub.url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=10)

    def seconds_for(requests: int) -> float:
        started = time.monotonic()
        for _ in range(requests):
            connection.request("GET", SMALL)
            assert connection.getresponse().read() == PLAIN
        return time.monotonic() - started

    # With Nagle's algorithm each takes 40 ms: 1 s for all, however fast the machine is.
    assert min(seconds_for(25) for _ in range(3)) < 0.9
    connection.close()
