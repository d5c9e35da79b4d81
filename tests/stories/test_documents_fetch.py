"""Documents by their address: fetched from where a stranger may send this server, only there."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from holdfast.documents import (
    ConvertOptions,
    DocumentAddressRefused,
    DocumentTooLarge,
    DocumentUnreachable,
    DocumentWorkers,
    Fetcher,
    Source,
    WorkersAsked,
    document_job,
    name_of,
    results,
)
from holdfast.jobs import FINISHED, SqliteJobs
from tests.support.webserver import HERE, Web


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.close()


def fetched(url: str, fetcher: Fetcher, **headers: str) -> tuple[str, bytes]:
    found = fetcher.fetch(Source(name_of(url), url, headers))
    return found.name, b"".join(found.pieces)


def test_a_document_is_fetched_with_a_name_that_says_what_it_is(web: Web) -> None:
    here = Fetcher(HERE)
    named = web.gives("/papers/a%20b.pdf", b"%PDF-1.7", Content_Type="application/pdf")
    assert fetched(named, here) == ("a b.pdf", b"%PDF-1.7")
    # As arxiv.org names them.
    bare = web.gives("/pdf/2501.17887", b"%PDF-1.7", Content_Type="application/pdf")
    assert fetched(bare + "?download=1#page=2", here) == ("2501.17887.pdf", b"%PDF-1.7")
    assert web.asked[-1][0] == "/pdf/2501.17887?download=1"
    page = web.gives("/", b"<html></html>", Content_Type="text/html; charset=utf-8")
    assert fetched(page, here) == ("document.html", b"<html></html>")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/a", "http://localhost:{port}/a", "http://[::1]:{port}/a",
        "http://[::ffff:127.0.0.1]:{port}/a", "http://0.0.0.0:{port}/a", "http://2130706433:{port}/a",
        "http://0x7f.1:{port}/a", "http://[64:ff9b::7f00:1]:{port}/a", "http://[2002:7f00:1::]/a",
        "http://169.254.169.254/latest/meta-data", "http://10.1.2.3/a", "http://192.168.1.1/a",
        "http://172.16.0.1/a", "http://100.64.0.1/a", "http://[fe80::1]/a", "http://[fd00::1]/a",
        "http://224.0.0.1/a", "http://[fec0::1]/a", "http://[::127.0.0.1]:{port}/a",
    ],
)  # fmt: skip
def test_what_is_not_public_is_not_asked_however_it_is_spelled(web: Web, url: str) -> None:
    web.gives("/a", b"secret")
    with pytest.raises(DocumentAddressRefused, match="not of the public network"):
        fetched(url.format(port=web.port), Fetcher())
    assert web.asked == []


def test_what_the_settings_allow_is_asked_and_nothing_beside_it(web: Web) -> None:
    url = web.gives("/a", b"x")
    assert fetched(url, Fetcher(("127.0.0.1",)))[1] == b"x"
    with pytest.raises(DocumentAddressRefused):
        fetched(url, Fetcher(("127.0.0.2", "10.0.0.0/8")))


def test_a_name_is_resolved_once_and_the_address_that_was_checked_is_asked(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another answer of the name server at the second question is how such checks are evaded.
    answers = ["127.0.0.1", "10.0.0.1"]
    resolve = socket.getaddrinfo

    def rebinding(host: Any, *rest: Any, **more: Any) -> Any:
        if host == "rebound.example":
            return resolve(answers.pop(0), *rest, **more)
        return resolve(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    web.gives("/a", b"x")
    assert fetched(f"http://rebound.example:{web.port}/a", Fetcher(HERE))[1] == b"x"
    assert answers == ["10.0.0.1"]
    assert web.asked[0][1]["Host"] == f"rebound.example:{web.port}"


def test_every_redirect_is_checked_and_headers_stay_with_their_server(web: Web) -> None:
    here = Fetcher(HERE)
    other = Web()
    try:
        other.gives("/b", b"there")
        url = web.leads("/same", "/elsewhere")
        web.leads("/elsewhere", f"{other.url}/b")
        assert fetched(url, here, Authorization="Bearer secret")[1] == b"there"
        assert [headers.get("Authorization") for _, headers in web.asked] == ["Bearer secret"] * 2
        assert "Authorization" not in other.asked[0][1]
    finally:
        other.close()
    for inside in ("http://169.254.169.254/latest", "http://[::1]/", "http://10.0.0.1/"):
        with pytest.raises(DocumentAddressRefused, match="not of the public network"):
            fetched(web.leads("/in", inside), here)
    with pytest.raises(DocumentAddressRefused, match="only http"):
        fetched(web.leads("/in", "file:///etc/passwd"), here)
    with pytest.raises(DocumentUnreachable, match="5 redirects led nowhere"):
        fetched(web.leads("/round", "/round"), here)


def test_what_is_no_document_is_said(web: Web) -> None:
    def missing(asked: BaseHTTPRequestHandler) -> None:
        asked.send_error(404)

    web.answers["/none"] = missing
    with pytest.raises(DocumentUnreachable, match="answers 404"):
        fetched(f"{web.url}/none?key=secret", Fetcher(HERE))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(DocumentUnreachable):
        fetched(f"http://127.0.0.1:{port}/a", Fetcher(HERE))
    with pytest.raises(DocumentUnreachable, match="has no address"):
        fetched(f"http://{'a' * 64}.example/a", Fetcher(HERE))  # no name server is asked for it


def test_a_secret_in_an_address_is_in_no_error(web: Web) -> None:
    def failing(asked: BaseHTTPRequestHandler) -> None:
        asked.send_error(403)

    web.answers["/a"] = failing
    with pytest.raises(DocumentUnreachable) as caught:
        fetched(f"{web.url}/a?X-Amz-Signature=secret", Fetcher(HERE))
    assert "secret" not in f"{caught.value.to_dict()}"


def test_a_document_without_an_end_ends(web: Web) -> None:
    def endless(asked: BaseHTTPRequestHandler) -> None:
        asked.send_response(200)
        asked.end_headers()
        try:
            while True:
                asked.wfile.write(b"x" * 65536)
        except OSError:
            return

    def trickle(asked: BaseHTTPRequestHandler) -> None:
        asked.send_response(200)
        asked.end_headers()
        try:
            while True:
                asked.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            return

    web.answers |= {"/endless": endless, "/trickle": trickle}
    with pytest.raises(DocumentTooLarge, match="at most 1000000 B"):
        fetched(f"{web.url}/endless", Fetcher(HERE, most_bytes=1_000_000))
    with pytest.raises(DocumentUnreachable, match="not all of it came within 1 s"):
        fetched(f"{web.url}/trickle", Fetcher(HERE, within_s=1))


def test_a_job_fetches_its_documents_and_tells_of_those_that_are_not_to_be_had(
    web: Web, tmp_path: Path
) -> None:
    good = web.gives("/note", b"pages 2\nx", Content_Type="text/plain")
    jobs = SqliteJobs(tmp_path / "jobs.sqlite")
    workers = DocumentWorkers(
        WorkersAsked(
            tmp_path / "jobs.sqlite", load="tests.support.document_engines:load_obedient",
            folder=tmp_path, allowed=HERE,
        )
    )  # fmt: skip
    try:
        urls = (good, f"{web.url.replace('127.0.0.1', '10.0.0.1')}/a")
        sources = [Source(name_of(url), url) for url in urls]
        jobs.submit("j1", document_job("ada", sources, ConvertOptions(outputs=("text",))))
        deadline = time.monotonic() + 30
        while jobs.status("j1").state not in FINISHED:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        first, second = results(jobs, "j1")
        assert (first["name"], first["status"]) == ("note.txt", "success")
        assert b"".join(jobs.blob("j1", "out/0/text")) == b"pages 2\nx"
        assert second["error"]["code"] == "document-address-refused"
    finally:
        workers.close()
        jobs.close()
