"""Documents over HTTP: by docling's own client and by hand, on a service as anybody runs it."""

from __future__ import annotations

import base64
import gc
import io
import json
import threading
import time
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3
from docling.datamodel.service.options import ConvertDocumentsOptions
from docling.service_client import (
    DoclingServiceClient,
    TaskExecutionError,
    TaskNotFoundError,
)
from docling.service_client.client import ChunkerKind, StatusWatcherKind
from docling_core.types.io import DocumentStream
from websockets.sync.client import connect

from holdfast.client import Client, ServiceError
from holdfast.speech import sample_recording
from tests.support.documents import MADE, many_pages
from tests.support.speaking import SpeechService, speech_service
from tests.support.voices import write_wav

ONLY = {
    "HOLDFAST_DOCUMENTS_PROCESSES": "1",
    "HOLDFAST_SPEECH_TRANSCRIPTION_MODEL": "none",
    "HOLDFAST_SPEECH_SYNTHESIS_MODEL": "none",
    "HOLDFAST_DOCUMENTS_CLIENT_JOBS": "30",
}
HTTP = urllib3.PoolManager(retries=False, timeout=60)
NOTE = b"# Title\n\nSome words.\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeechService]:
    with speech_service(tmp_path_factory.mktemp("home"), ONLY) as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    for name, make in MADE.items():
        (folder / name).write_bytes(make())
    return {name: folder / name for name in MADE}


def post(
    service: SpeechService, path: str, *files: tuple[str, bytes], **fields: Any
) -> urllib3.BaseHTTPResponse:
    parts: list[tuple[str, Any]] = [("files", (name, content)) for name, content in files]
    for name, value in fields.items():
        parts += [(name, str(each)) for each in (value if isinstance(value, list) else [value])]
    return HTTP.request("POST", service.url + path, fields=parts)


def get(service: SpeechService, path: str, method: str = "GET") -> tuple[int, Any]:
    answer = HTTP.request(method, service.url + path)
    return answer.status, answer.json()


def sent(service: SpeechService, content: bytes, name: str, **fields: Any) -> str:
    answer = post(service, "/v1/convert/file/async", (name, content), **fields)
    assert answer.status == 200, answer.data
    task: str = answer.json()["task_id"]
    return task


# --- docling's own client


@contextmanager
def asking(service: SpeechService, **how: Any) -> Iterator[DoclingServiceClient]:
    """Docling's client; it leaves the files that it has sent to Python to close."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with DoclingServiceClient(service.url, **how) as client:
            yield client
        gc.collect()


@pytest.mark.parametrize("watcher", list(StatusWatcherKind))
def test_doclings_client_converts(
    service: SpeechService, files: dict[str, Path], watcher: StatusWatcherKind
) -> None:
    how = {"status_watcher": watcher, "poll_server_wait": 1, "poll_client_interval": 0.1}
    with asking(service, **how) as client:
        assert client.health().status == "ok"
        assert "holdfast" in client.version()
        found = client.convert(files["paper.pdf"])
        assert found.status.value == "success"
        text = found.document.export_to_markdown()
        assert "On the Writing of Lighthouse Keepers" in text
        assert text.index("matter 1.") < text.index("matter 5.") < text.index("matter 9.")
        stream = DocumentStream(name="note.md", stream=io.BytesIO(NOTE))
        assert "Some words." in client.convert(stream).document.export_to_text()


def test_doclings_client_converts_many_at_a_time_in_order_and_tells_of_the_bad_one(
    service: SpeechService, files: dict[str, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.4 and nothing else")
    sources = [*files.values(), broken, *files.values()]
    with asking(service) as client:
        found = list(client.convert_all(sources, max_concurrency=4))
        assert [each.input.file.name for each in found] == [each.name for each in sources]
        assert [each.status.value for each in found].count("failure") == 1
        (error,) = found[len(files)].errors
        assert "broken.pdf cannot be read" in error.error_message
        with pytest.raises(TaskExecutionError, match=r"broken\.pdf cannot be read"):
            client.convert(broken)


def test_doclings_client_watches_a_long_document_page_by_page(service: SpeechService) -> None:
    stream = DocumentStream(name="long.pdf", stream=io.BytesIO(many_pages(60)))
    with asking(service) as client:
        job = client.submit(stream)
        seen = [update.task_status.value for update in job.watch(timeout=60)]
        assert seen[-1] == "success"
        assert set(seen) <= {"pending", "started", "success"}
        assert len(job.result().document.pages) == 60
        with pytest.raises(TaskNotFoundError):
            client._poll_task_status("no-such-task", 0)


def test_doclings_client_gets_chunks_and_archives(
    service: SpeechService, files: dict[str, Path]
) -> None:
    from docling.datamodel.service.targets import ZipTarget

    with asking(service) as client:
        hybrid = client.chunk(files["paper.pdf"], ChunkerKind.HYBRID)
        assert all((chunk.num_tokens or 0) <= 256 for chunk in hybrid.chunks)
        assert any(chunk.headings for chunk in hybrid.chunks)
        assert {page for chunk in hybrid.chunks for page in chunk.page_numbers or ()} >= {1, 2}
        every = " ".join(chunk.text for chunk in hybrid.chunks)
        assert all(f"matter {number}." in every for number in range(1, 13))
        by_structure = client.chunk(files["light.docx"], ChunkerKind.HIERARCHICAL)
        assert all(chunk.num_tokens is None for chunk in by_structure.chunks)
        packed = client.submit(files["light.docx"], target=ZipTarget()).result()
        assert packed.content_type == "application/zip"
        with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
            assert sorted(archive.namelist()) == ["light.md", "report.json"]


def test_options_reach_the_conversion(service: SpeechService) -> None:
    options = ConvertDocumentsOptions(page_range=(2, 3), md_page_break_placeholder="<<break>>")
    with asking(service) as client:
        stream = DocumentStream(name="long.pdf", stream=io.BytesIO(many_pages(6)))
        found = client.convert(stream, options=options)
        assert sorted(found.document.pages) == [2, 3]


# --- the published examples of docling-serve


def test_a_source_in_json_is_converted_with_the_options_of_the_published_example(
    service: SpeechService,
) -> None:
    body = {
        "options": {
            "from_formats": ["docx", "pptx", "html", "image", "pdf", "asciidoc", "md", "xlsx"],
            "to_formats": ["md", "json", "html", "text", "doctags"],
            "image_export_mode": "placeholder", "do_ocr": True, "force_ocr": False,
            "ocr_engine": "easyocr", "ocr_lang": ["en"], "pdf_backend": "dlparse_v2",
            "table_mode": "fast", "abort_on_error": False,
        },
        "sources": [{
            "kind": "file", "filename": "note.md", "base64_string": base64.b64encode(NOTE).decode(),
        }],
    }  # fmt: skip
    answer = HTTP.request("POST", f"{service.url}/v1/convert/source", json=body)
    assert answer.status == 200, answer.data
    found = answer.json()
    assert found["status"] == "success"
    document = found["document"]
    assert document["md_content"].startswith("# Title")
    assert document["json_content"]["schema_name"] == "DoclingDocument"
    assert all(document[f"{form}_content"] for form in ("html", "text", "doctags"))
    # What has no effect here is said, not swallowed.
    assert any(note.startswith("ocr_engine has no effect") for note in found["notes"])


def test_several_files_come_back_in_an_archive_with_a_report_of_each(
    service: SpeechService, files: dict[str, Path]
) -> None:
    answer = post(
        service, "/v1/convert/file", ("a/../note.md", NOTE), ("NOTE.md", NOTE), ("b.pdf", b"%PDF-"),
        to_formats=["md", "text"],
    )  # fmt: skip
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        names = archive.namelist()
        report = json.loads(archive.read("report.json"))
        assert archive.read("note.md").decode().startswith("# Title")
    assert sorted(names) == ["NOTE 2.md", "NOTE 2.txt", "note.md", "note.txt", "report.json"]
    assert [each["status"] for each in report] == ["success", "success", "failure"]
    assert report[2]["error"]["code"] == "document-damaged"


# --- the route of the mission, and what goes beyond docling-serve


def test_an_upload_is_a_task_or_with_patience_its_result(service: SpeechService) -> None:
    fields = [("file", ("note.md", NOTE)), ("to_formats", "md")]
    later = HTTP.request("POST", f"{service.url}/documents/upload", fields=fields)
    assert later.status == 202
    assert later.headers["location"] == f"/v1/status/poll/{later.json()['task_id']}"
    now = HTTP.request("POST", f"{service.url}/documents/upload?wait=30", fields=fields)
    assert now.status == 200
    assert now.json()["document"]["md_content"].startswith("# Title")
    status, task = get(service, f"{later.headers['location']}?wait=30")
    assert (status, task["task_status"]) == (200, "success")


def test_progress_is_told_page_by_page_over_the_websocket(service: SpeechService) -> None:
    task = sent(service, many_pages(600), "long.pdf")
    told = []
    with connect(f"{service.url.replace('http', 'ws')}/v1/status/ws/{task}") as socket:
        for text in socket:
            told.append(json.loads(text))
    assert told[0]["message"] == "connection"
    assert {each["message"] for each in told[1:]} == {"update"}
    pages = [each["task"]["progress"]["pages_done"] for each in told if each["task"]["progress"]]
    assert pages == sorted(pages)
    assert len(set(pages)) > 2
    assert told[-1]["task"]["task_meta"]["num_succeeded"] == 1
    with connect(f"{service.url.replace('http', 'ws')}/v1/status/ws/nobodys") as socket:
        assert json.loads(socket.recv()) == {"message": "error", "error": "Task not found."}


def test_a_task_is_cancelled_and_one_that_ended_is_forgotten(service: SpeechService) -> None:
    task = sent(service, many_pages(400), "long.pdf")
    assert get(service, f"/v1/result/{task}")[1]["detail"].startswith("Task result not found")
    begun = time.monotonic()
    status, told = get(service, f"/v1/tasks/{task}", "DELETE")
    assert status == 200
    assert told["cancelling"] or told["task_status"] == "failure"
    status, told = get(service, f"/v1/status/poll/{task}?wait=10")
    assert (told["task_status"], told["failure"]["details"]["code"]) == ("failure", "job-cancelled")
    assert time.monotonic() - begun < 5
    assert get(service, f"/v1/result/{task}")[1]["kind"] == "TaskFailureResult"
    assert get(service, f"/v1/tasks/{task}", "DELETE")[0] == 200
    status, told = get(service, f"/v1/status/poll/{task}")
    assert (status, told["detail"]) == (404, "Task not found.")


@pytest.mark.parametrize("path", ["/v1/convert/file", "/documents/upload?wait=30"])
def test_who_leaves_while_waiting_ends_the_work(service: SpeechService, path: str) -> None:
    assert service.services.documents is not None
    store = service.services.documents.store
    before = set(store.changed(0)[1])
    with pytest.raises(urllib3.exceptions.HTTPError):
        HTTP.request(
            "POST", service.url + path, timeout=1.0,
            fields=[("files", ("long.pdf", many_pages(400)))],
        )  # fmt: skip
    (job,) = set(store.changed(0)[1]) - before
    deadline = time.monotonic() + 20
    while (status := store.status(job)).state != "cancelled":
        assert time.monotonic() < deadline, status
        time.sleep(0.05)


def test_the_position_in_the_queue_is_told_and_one_client_cannot_fill_it(
    service: SpeechService,
) -> None:
    first = sent(service, many_pages(300), "long.pdf")
    waiting = [sent(service, NOTE, "note.md") for _ in range(3)]
    places = [get(service, f"/v1/status/poll/{each}")[1]["task_position"] for each in waiting]
    assert places == sorted(places)
    assert places[-1] >= 3
    more = []
    while (answer := post(service, "/v1/convert/file/async", ("note.md", NOTE))).status == 200:
        more.append(answer.json()["task_id"])
        assert len(more) < 40
    assert answer.status == 429
    assert answer.json()["error"]["code"] == "too-many-jobs"
    assert int(answer.headers["retry-after"]) > 0
    for task in (first, *waiting, *more):
        get(service, f"/v1/tasks/{task}", "DELETE")
    for task in (first, *waiting, *more):
        status, told = get(service, f"/v1/status/poll/{task}?wait=20")
        assert status == 404 or told["task_status"] in ("success", "failure")


def test_who_is_in_a_hurry_goes_first_and_the_numbers_tell_of_the_queue(
    service: SpeechService,
) -> None:
    first = sent(service, many_pages(300), "long.pdf")
    while get(service, f"/v1/status/poll/{first}")[1]["task_status"] == "pending":
        time.sleep(0.02)
    usual = sent(service, NOTE, "usual.md")
    answer = post(service, "/v1/convert/file/async?priority=5", ("hurried.md", NOTE))
    hurried = answer.json()["task_id"]
    places = [
        get(service, f"/v1/status/poll/{each}")[1]["task_position"] for each in (hurried, usual)
    ]
    numbers = HTTP.request("GET", f"{service.url}/metrics").data.decode()
    assert 'holdfast_documents_jobs{state="pending"} ' in numbers
    assert post(service, "/v1/convert/file/async?priority=500", ("a.md", NOTE)).status == 422
    get(service, f"/v1/tasks/{first}", "DELETE")
    for task in (first, usual, hurried):
        get(service, f"/v1/status/poll/{task}?wait=30")
    assert places == [1, 2]


def test_figures_and_pages_are_pictures_on_request(service: SpeechService) -> None:
    content = MADE["report.pdf"]()
    plain = post(service, "/v1/convert/file", ("r.pdf", content), to_formats="json").json()
    assert all(
        not page.get("image") for page in plain["document"]["json_content"]["pages"].values()
    )
    shown = post(
        service, "/v1/convert/file", ("r.pdf", content), to_formats="json",
        include_page_images="true", images_scale="0.5",
    ).json()  # fmt: skip
    pages = shown["document"]["json_content"]["pages"]
    assert pages
    for page in pages.values():
        assert page["image"]["uri"].startswith("data:image/png;base64,")
        assert page["image"]["size"]["width"] == pytest.approx(page["size"]["width"] / 2, abs=1)


# --- what is wrong is said


@pytest.mark.parametrize(
    ("content", "name", "status", "code"),
    [
        (b"", "empty.pdf", 422, "document-empty"),
        (b"\x7fELF and so on", "program.exe", 415, "document-unsupported"),
        (b"PK\x03\x04 torn", "torn.docx", 422, "document-damaged"),
    ],
)
def test_a_bad_document_is_a_clear_error(
    service: SpeechService, content: bytes, name: str, status: int, code: str
) -> None:
    answer = post(service, "/v1/convert/file", (name, content))
    found = answer.json()
    assert (answer.status, found["error"]["code"]) == (status, code)
    assert found["error"]["message"].startswith(name)
    assert found["detail"] == found["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"to_formats": "yaml"}, "'yaml' is not made here; there are md, json"),
        ({"page_range": ["3", "1"]}, "there are no pages from 3 to 1"),
        ({"images_scale": "nan"}, "is no number from 0.1 to 4"),
        ({"do_ocr": "perhaps"}, "neither true nor false"),
        ({"do_formula_enrichment": "true"}, "this service has no model for it"),
        ({"pipeline": "vlm"}, "there is the standard pipeline only"),
        ({"invented": "1"}, "there is no such option"),
        ({"target_type": "presigned_url"}, "artifact storage to be configured"),
        ({"target_type": "s3"}, "none of inbody, zip"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_anything_is_done(
    service: SpeechService, fields: dict[str, Any], says: str
) -> None:
    answer = post(service, "/v1/convert/file/async", ("note.md", NOTE), **fields)
    assert answer.status == 422, answer.data
    found = answer.json()
    assert says in found["detail"]
    assert found["error"]["code"] == "document-request-invalid"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "no list of 1 to 200 documents"),
        ({"sources": [{"kind": "s3"}]}, "neither file nor http"),
        ({"sources": [{"kind": "http", "url": "file:///etc/passwd"}]}, "only http"),
        ({"sources": [{"kind": "http", "url": "http://u:p@example.org/a"}]}, "headers"),
        ({"sources": [{"kind": "file", "filename": "a", "base64_string": "?"}]}, "base64"),
        ({"sources": [{"kind": "http", "url": "http://a.example"}], "more": 1}, "no field 'more'"),
        (
            {
                "sources": [{"kind": "http", "url": "http://a.example"}],
                "callbacks": [{"url": "http://x.example"}],
            },
            "no key to sign them with",
        ),
    ],
)
def test_a_source_that_cannot_be_is_refused(
    service: SpeechService, body: dict[str, Any], says: str
) -> None:
    answer = HTTP.request("POST", f"{service.url}/v1/convert/source/async", json=body)
    assert answer.status == 422
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    "options",
    [
        '{"document_timeout": 1' + "0" * 400 + "}", '{"\\ud800": 1}',
        '{"md_page_break_placeholder": "\\ud800"}', '{"page_range": {}}', '{"to_formats": 7}',
        '{"images_scale": null, "page_range": [1e400, 2]}', '[]', '7',
    ],
)  # fmt: skip
def test_whatever_json_can_hold_is_answered(service: SpeechService, options: str) -> None:
    source = '{"kind": "file", "filename": "a\\ud800.md", "base64_string": "Iw=="}'
    body = f'{{"sources": [{source}], "options": {options}}}'
    answer = HTTP.request(
        "POST", f"{service.url}/v1/convert/source", body=body.encode(),
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert answer.status == 422, answer.data
    assert answer.json()["detail"]


def test_an_address_of_this_network_is_not_asked(service: SpeechService) -> None:
    for url in ("http://127.0.0.1:1/a.pdf", "http://169.254.169.254/latest", "http://[::1]/a"):
        body = {"sources": [{"kind": "http", "url": url}]}
        answer = HTTP.request("POST", f"{service.url}/v1/convert/source", json=body)
        assert answer.status == 422, answer.data
        assert answer.json()["error"]["code"] == "document-address-refused"


def test_what_is_said_in_a_recording_is_a_document_with_times(tmp_path: Path) -> None:
    reader = ONLY | {"HOLDFAST_SPEECH_TRANSCRIPTION_MODEL": ""}
    with speech_service(tmp_path, reader) as service, Client(service.url) as client:
        (about,) = (model.raw["about"] for model in client.models() if model.id == "documents")
        assert "audio" in about["forms"]
        found = client.convert(sample_recording(), ("md", "json"))
        assert "go forward ten meters" in found.outputs["md"]
        first = found.outputs["json"]["texts"][0]
        (source,) = first["source"]
        assert source["kind"] == "track"
        assert 0.3 < source["start_time"] < 0.7
        for content, says in ((b"RIFF and so on", "bad.wav"), (b"", "is empty")):
            with pytest.raises(ServiceError, match=says):
                client.convert(content, name="bad.wav")
        silence = write_wav(tmp_path / "silence.wav", np.zeros(16_000, np.float32))
        with pytest.raises(ServiceError, match="nobody speaks in it"):
            client.convert(silence)


def test_our_own_client_says_the_same(service: SpeechService, files: dict[str, Path]) -> None:
    with Client(service.url) as client:
        found = client.convert(files["ships.xlsx"], ("md", "json"))
        assert found.status == "success"
        assert found.outputs["json"]["tables"]
        task = client.submit(NOTE, name="note.md")
        assert client.task(task.id, wait_s=30).ended
        assert client.task_result(task.id).outputs["md"].startswith("# Title")
        with pytest.raises(ServiceError) as caught:
            client.convert(b"%PDF-", name="bad.pdf")
        assert (caught.value.status, caught.value.service_code) == (422, "document-damaged")
        bad = client.task(client.submit(b"%PDF-", name="bad.pdf").id, wait_s=30)
        assert (bad.status, bad.ended) == ("failure", True)
        with pytest.raises(ServiceError, match=r"bad\.pdf cannot be read"):
            client.task_result(bad.id)


def test_while_the_processes_are_not_there_it_says_so_and_when_to_ask_again(
    tmp_path: Path,
) -> None:
    more = ONLY | {"HOLDFAST_DOCUMENTS_PROCESSES": "1"}
    with speech_service(tmp_path, more) as service:
        service.services.supervisor.unload("documents")
        deadline = time.monotonic() + 20
        while (answer := post(service, "/v1/convert/file", ("note.md", NOTE))).status == 200:
            assert time.monotonic() < deadline
        assert answer.status == 503
        assert answer.json()["error"]["code"] == "model-not-ready"
        service.services.supervisor.load("documents")
        answers: list[urllib3.BaseHTTPResponse] = []
        while not answers or answers[-1].status != 200:
            answers.append(post(service, "/v1/convert/file", ("note.md", NOTE)))
            assert time.monotonic() < deadline + 20
            time.sleep(0.05)
        assert {each.status for each in answers} <= {200, 503}
        assert any("retry-after" in each.headers for each in answers if each.status == 503)


def test_where_nothing_can_be_kept_documents_are_converted_all_the_same(tmp_path: Path) -> None:
    nowhere = {"HOLDFAST_DATA": "", "HOME": "/proc/nowhere", "XDG_DATA_HOME": "/proc/nowhere"}
    with speech_service(tmp_path, ONLY | nowhere) as service, Client(service.url) as client:
        (about,) = (model.raw["about"] for model in client.models() if model.id == "documents")
        assert about["durable"] is False
        assert client.convert(NOTE, name="note.md").outputs["md"].startswith("# Title")


def test_where_no_documents_are_converted_that_is_said(tmp_path: Path) -> None:
    with speech_service(tmp_path, ONLY | {"HOLDFAST_DOCUMENTS_PROCESSES": "0"}) as service:
        answer = post(service, "/v1/convert/file", ("note.md", NOTE))
        assert (answer.status, answer.json()["error"]["code"]) == (404, "unknown-model")
        assert get(service, "/v1/status/poll/x")[0] == 404


def test_many_clients_at_once_get_each_their_own(service: SpeechService) -> None:
    found: dict[int, str] = {}

    def ask(number: int) -> None:
        answer = post(service, "/v1/convert/file", (f"{number}.md", f"# No {number}".encode()))
        found[number] = answer.json()["document"]["md_content"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: f"# No {number}" for number in range(20)}
