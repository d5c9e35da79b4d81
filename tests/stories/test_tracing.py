"""Spans of requests arrive at a collector that the user named, and nowhere else."""

from __future__ import annotations

import gzip
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import urllib3

pytest.importorskip("opentelemetry.sdk", reason="the telemetry extra is not installed here")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from holdfast.server import ServerSettings, running_server
from holdfast.speech import sample_recording
from tests.stories.test_server_speech import TIMESTAMPS, services_in

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def collector() -> Iterator[tuple[str, queue.SimpleQueue[Any]]]:
    spans: queue.SimpleQueue[Any] = queue.SimpleQueue()

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            received = ExportTraceServiceRequest.FromString(body)
            for of_resource in received.resource_spans:
                about = {
                    item.key: item.value.string_value for item in of_resource.resource.attributes
                }
                for of_scope in of_resource.scope_spans:
                    for span in of_scope.spans:
                        spans.put((about, span))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", spans
        server.shutdown()
        thread.join()


def test_a_request_becomes_a_span_of_its_callers_trace(
    tmp_path: Path, collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, spans = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "our-speech")
    services = services_in(tmp_path)
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Request-Id": "asked-by-me"}
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(60)
        with urllib3.PoolManager(retries=False, timeout=30) as pool:
            pool.request("GET", f"{running.url}/health")  # a probe: no span
            form = {"file": ("a.flac", sample_recording().read_bytes())}
            answer = pool.request("POST", running.url + TIMESTAMPS, fields=form, headers=headers)
            assert answer.status == 200
    about, span = spans.get(timeout=10)
    assert about["service.name"] == "our-speech"
    assert span.name == f"POST {TIMESTAMPS}"
    assert span.trace_id.hex() == TRACE
    noted = {item.key: item.value.string_value for item in span.attributes}
    assert noted["holdfast.request_id"] == "asked-by-me"
    assert noted["http.route"] == TIMESTAMPS
    assert spans.empty()


def test_without_a_collector_there_is_no_tracing(tmp_path: Path) -> None:
    from holdfast.server import create_app

    app = create_app(services_in(tmp_path))
    assert not any("opentelemetry" in repr(layer.cls) for layer in app.user_middleware)
