"""Callers are told how their documents get on: signed, once, and again until it is taken."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import urllib3
from docling.datamodel.service.callbacks import ProgressCallbackRequest

from holdfast.documents import signed
from tests.support.documents import many_pages
from tests.support.speaking import SpeechService, speech_service
from tests.support.webserver import Web

KEY = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, about").decode()
ONLY = {
    "HOLDFAST_DOCUMENTS_PROCESSES": "1",
    "HOLDFAST_SPEECH_TRANSCRIPTION_MODEL": "none",
    "HOLDFAST_SPEECH_SYNTHESIS_MODEL": "none",
    "HOLDFAST_DOCUMENTS_CALLBACK_KEY": KEY,
    "HOLDFAST_DOCUMENTS_ALLOW_ADDRESSES": "127.0.0.0/8",
}
HTTP = urllib3.PoolManager(retries=False, timeout=60)


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeechService]:
    with speech_service(tmp_path_factory.mktemp("home"), ONLY) as running:
        yield running


def sent(service: SpeechService, web: Web, path: str, *contents: bytes) -> Any:
    sources = [
        {"kind": "file", "filename": f"{at}.pdf", "base64_string": base64.b64encode(each).decode()}
        for at, each in enumerate(contents)
    ]
    callbacks = [{"url": web.url + path, "headers": {"Authorization": "Bearer mine"}}]
    body = {"sources": sources, "callbacks": callbacks}
    return HTTP.request("POST", f"{service.url}/v1/convert/source/async", json=body)


def told(web: Web, count: int, within_s: float = 30) -> list[tuple[str, dict[str, str], bytes]]:
    deadline = time.monotonic() + within_s
    while len(web.told) < count:
        assert time.monotonic() < deadline, web.told
        time.sleep(0.05)
    return list(web.told)


def test_the_signature_is_that_of_the_standards_own_example() -> None:
    headers = signed(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
        b'{"test": 2432232314}',
    )  # fmt: skip
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_caller_is_told_of_each_document_and_of_the_end(service: SpeechService, web: Web) -> None:
    web.gives("/told", b"")
    task = sent(service, web, "/told", many_pages(2), b"%PDF-").json()["task_id"]
    found = told(web, 5)
    kinds = []
    for _, headers, body in found:
        assert headers["Authorization"] == "Bearer mine"
        mac = hmac.digest(
            b"a key of thirty-two bytes, about",
            f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body,
            hashlib.sha256,
        )
        assert headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
        request = ProgressCallbackRequest.model_validate_json(body)
        assert request.task_id == task
        kinds.append(request.progress.kind.value)
    assert sorted(kinds) == [
        "document_completed", "document_completed", "set_num_docs", "task_completed",
        "update_processed",
    ]  # fmt: skip
    by_kind = {json.loads(body)["progress"]["kind"]: json.loads(body) for _, _, body in found}
    assert by_kind["task_completed"]["progress"]["task_status"] == "success"
    assert by_kind["update_processed"]["progress"]["num_failed"] == 1
    time.sleep(1.5)
    assert len(web.told) == 5  # each once


def test_what_is_not_taken_is_sent_again_by_the_same_name(service: SpeechService, web: Web) -> None:
    def moody(asked: BaseHTTPRequestHandler) -> None:
        asked.send_response(500 if len(web.told) <= 2 else 204)
        asked.end_headers()

    web.answers["/moody"] = moody
    sent(service, web, "/moody", many_pages(1))
    found = told(web, 6)
    names = [headers["webhook-id"] for _, headers, _ in found]
    assert len(set(names)) == 4
    assert len(names) == 6


def test_a_failed_task_says_why(service: SpeechService, web: Web) -> None:
    web.gives("/told", b"")
    sent(service, web, "/told", b"%PDF-")
    ended = [json.loads(body)["progress"] for _, _, body in told(web, 4)]
    (last,) = [each for each in ended if each["kind"] == "task_completed"]
    assert last["task_status"] == "failure"
    assert last["failure"]["details"]["code"] == "document-damaged"


@pytest.mark.parametrize(
    ("callback", "says"),
    [
        ({"url": "ftp://a.example/x"}, "only http"),
        ({"url": "http://u:p@a.example"}, "headers"),
        ({"url": "http://a.example", "ca_cert": "x"}, "no ca_cert"),
        ({"url": "http://a.example", "headers": {"Host": "b"}}, "not the caller's to say"),
    ],
)
def test_a_callback_that_cannot_be_is_refused(
    service: SpeechService, callback: dict[str, Any], says: str
) -> None:
    source = {"kind": "file", "filename": "a.md", "base64_string": "Iw=="}
    body = {"sources": [source], "callbacks": [callback]}
    answer = HTTP.request("POST", f"{service.url}/v1/convert/source/async", json=body)
    assert answer.status == 422
    assert says in answer.json()["detail"]


def test_an_inner_address_is_not_called(service: SpeechService) -> None:
    source = {"kind": "file", "filename": "a.md", "base64_string": "Iw=="}
    body = {"sources": [source], "callbacks": [{"url": "http://169.254.169.254/hook"}]}
    answer = HTTP.request("POST", f"{service.url}/v1/convert/source/async", json=body)
    assert answer.status == 200  # as any other address: whether it may be asked is found out then
    assert service.services.documents is not None
    store, name = service.services.documents.store, f"{answer.json()['task_id']}-begun-0"
    deadline = time.monotonic() + 20
    while True:
        found = [store.status(job) for job in store.changed(0)[1] if job == name]
        if found and found[0].is_finished:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert found[0].error is not None
    assert found[0].error["code"] == "document-address-refused"
    assert found[0].failures == 0


def test_a_message_is_no_task_and_counts_for_nobody(service: SpeechService, web: Web) -> None:
    def never(asked: BaseHTTPRequestHandler) -> None:
        asked.send_error(503)

    web.answers["/dead"] = never
    task = sent(service, web, "/dead", many_pages(1)).json()["task_id"]
    message = told(web, 1)[0][1]["webhook-id"]
    assert message.startswith(task)
    for method, path in (("GET", "status/poll"), ("GET", "result"), ("DELETE", "tasks")):
        answer = HTTP.request(method, f"{service.url}/v1/{path}/{message}")
        assert (answer.status, answer.json()["detail"]) == (404, "Task not found.")
    numbers = HTTP.request("GET", f"{service.url}/metrics").data.decode()
    assert 'holdfast_documents_jobs{state="pending"} 0.0' in numbers
