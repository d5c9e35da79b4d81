"""The service's benchmarks at a small scale: every figure is there, and means what it says."""

from __future__ import annotations

import http.server
import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from benchmarks.figures import Row, Section
from benchmarks.measure import MeasurementError, Others
from benchmarks.report import as_page, as_text
from benchmarks.run import Run
from benchmarks.service import cases, health, start
from benchmarks.service.clients import Answers, for_seconds, question
from benchmarks.service.engines import WIDTH, load_matrices, multiply
from benchmarks.service.servers import program, served

if sys.platform != "linux":
    pytest.skip("the benchmarks take their figures from Linux", allow_module_level=True)

pytestmark = pytest.mark.linux


@pytest.fixture
def small(tmp_path: Path) -> Run:
    return Run(folder=tmp_path, rounds=1, scale=0.1, say=lambda _: None)


def check(sections: list[Section], names: list[str]) -> dict[str, dict[str, Row]]:
    """Return the rows by section and label; every one has a sound figure of the one round."""
    assert [section.name for section in sections] == names
    for section in sections:
        assert section.rows
        assert section.what in as_text(section)
        for row in section.rows:
            assert len(row.ours) == 1, row
            assert len(row.peer) <= 1, row
            assert all(math.isfinite(one) for one in (*row.ours, *row.peer)), row
            assert row.compare == "ours" or row.peer, row
    return {section.name: {row.label: row for row in section.rows} for section in sections}


def test_the_overhead_is_that_over_a_bare_application(small: Run) -> None:
    names = [f"service-overhead-{name}" for name in ("health", "model", "isolated")]
    found = check(cases.overhead(small), names)
    for rows in found.values():
        alone, added = rows["one client, p50"], rows["one client, p50: what is added"]
        assert added.ours[0] == pytest.approx(alone.ours[0] - alone.peer[0])
        crowd = rows["32 clients"]
        assert crowd.value == pytest.approx(crowd.ours[0] / crowd.peer[0])


def test_batching_is_compared_with_one_a_call(small: Run) -> None:
    found = check(cases.batching(small), ["service-batching", "service-batching-no-wait"])
    one, other = found.values()
    assert one["32 clients"].peer == other["32 clients"].peer


def test_a_batch_is_answered_as_its_rows_alone_are(tmp_path: Path) -> None:
    import numpy as np

    engine = load_matrices(tmp_path, "cpu")
    random = np.random.default_rng(1)
    rows = [random.standard_normal(WIDTH, dtype=np.float32).tobytes() for _ in range(5)]
    for row, answer in zip(rows, multiply(engine, rows), strict=True):
        alone, together = (
            np.frombuffer(each, np.float32) for each in (multiply(engine, [row])[0], answer)
        )
        assert 0.1 < np.abs(together).max() < 100
        assert np.allclose(alone, together, atol=1e-3)


def test_the_stages_of_a_start_follow_each_other(small: Run) -> None:
    found = check(start.start(small), ["service-start", "service-start-heavy"])
    stages = list(found["service-start"].values())[:4]
    for side in ("ours", "peer"):
        seconds = [getattr(row, side)[0] for row in stages]
        assert seconds == sorted(seconds)
        assert seconds[0] > 0
    for label in ("loaded in this process", "loaded in a process of its own"):
        row = found["service-start-heavy"][label]
        assert row.peer[0] > row.ours[0] + 0.5 * start.HEAVY_S * small.scale
        assert row.target == 10


def test_health_is_asked_for_as_long_as_a_model_loads(small: Run) -> None:
    names = [f"service-health-{name}" for name in ("up", "python", "imports", "holds")]
    found = check(health.health(small), names)
    for name in names[:-1]:
        by_label = found[name]
        for label, row in by_label.items():
            if label.endswith("p99"):
                median = by_label[label.replace("p99", "p50")]
                longest = by_label[label.replace("p99", "the longest")]
                assert median.ours <= row.ours <= longest.ours
    for label in ("in this process: the load", "isolated: the load"):
        assert found["service-health-python"][label].ours[0] > 0.9 * health.HEAVY_S * small.scale
    numpy = found["service-health-holds"]["import numpy"]
    assert 0 < numpy.ours[0] < numpy.peer[0]


class _Halting(http.server.BaseHTTPRequestHandler):
    """Answers at once, but for the third time."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # each answer in one piece
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        if self.asked == 3:
            time.sleep(0.4)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


def test_questions_that_a_halt_kept_away_have_waited_too() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Halting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        answers = for_seconds(url, question("/"), 1, 0.8, every_s=0.02)
        server.shutdown()
    # Twenty were due in these 0.4 s, each 0.02 s less late than the one before.
    assert sum(took_s > 0.1 for took_s in answers.took_s) >= 10


def test_a_refused_request_yields_no_figures() -> None:
    with served(program("echo")) as server:
        server.await_ready()
        with pytest.raises(MeasurementError, match="404"):
            for_seconds(server.url, question("/nothing"), 2, 0.2)


def test_a_server_that_does_not_start_says_why() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with pytest.raises(MeasurementError, match="no such thing"), served(command):
        pass


def test_a_share_of_the_answers_came_within_its_time() -> None:
    answers = Answers([0.001 * number for number in range(100, 0, -1)], wall_s=2.0)
    assert answers.rate == 50
    shares = [answers.ms(share) for share in (0.5, 0.99, 1.0)]
    assert shares == pytest.approx([51, 100, 100])


def test_a_gain_is_ours_over_the_other() -> None:
    row = Row("rate", "requests/s", ours=[900.0], peer=[300.0], target=2.5, compare="gain")
    assert (row.value, row.reached) == (3.0, True)
    page = as_page([Section("case", "what", [row], peer="there", ours="here")], {}, "# Title\n")
    assert page.startswith("# Title\n")
    assert "|  | here | there | ratio | target |" in page
    assert "| **3.00x** | at least 2.5x: reached |" in page


def test_others_are_those_that_were_not_started_here() -> None:
    spin = "import time\nwhile time.process_time() < 1: pass"
    others, started = Others(), time.monotonic()
    # Who started it has ended before it: nobody here waits for it.
    subprocess.run(
        ["sh", "-c", f"'{sys.executable}' -c '{spin}' &"], check=True, stdout=subprocess.PIPE
    )
    taken_s = others.share() * (time.monotonic() - started) * (os.cpu_count() or 1)
    assert taken_s > 0.8


def test_the_service_is_measured_without_a_hub(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "service-overhead", "--rounds", "1"]
    page, data = tmp_path / "page.md", tmp_path / "data.json"
    files = ["--write-docs", str(page), "--json", str(data)]
    done = subprocess.run(
        [*command, "--scale", "0.05", *files], capture_output=True, text=True, check=True
    )
    assert "repositories" not in done.stderr
    assert page.read_text().startswith("# Benchmarks of the service")
    found = json.loads(data.read_text())
    assert len(found["cases"]) == 3
    assert "other programs took" in found["machine"]["meanwhile"]
    assert "uvicorn" in found["machine"]
