"""What a program's log tells of: every known failure is found in a log that a library wrote.

The logs in ``tests/data/logs`` were captured from current libraries under the real conditions, or
come from public reports where the system is Windows; paths are shortened. Each file's name begins
with the code of the one failure that it tells of.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.doctor import KNOWN, explain, read_log

LOGS = sorted((Path(__file__).parents[1] / "data" / "logs").glob("*.log"))


def codes(text: bytes) -> list[str]:
    return [told.known.code for told in explain(read_log(io.BytesIO(text)))]


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.stem)
def test_a_captured_log_tells_of_exactly_its_failure(log: Path) -> None:
    assert codes(log.read_bytes()) == [log.stem.partition("--")[0]]


def test_every_known_failure_has_a_captured_log_and_a_cure() -> None:
    assert {known.code for known in KNOWN} == {log.stem.partition("--")[0] for log in LOGS}
    assert all(known.why and known.cure for known in KNOWN)


def test_ordinary_lines_are_no_failure() -> None:
    quiet = b"INFO: started\nDownloading model.safetensors: 100%\nINFO 200 OK /health\nno error\n"
    assert codes(quiet) == []
    assert codes(b"") == []


def test_what_powershell_writes_and_colours_are_read_too() -> None:
    line = "\x1b[31mOSError: [WinError 1314] A required privilege is not held\x1b[0m\r\nnext\r\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (told,) = explain(read_log(io.BytesIO(line.encode(encoding))))
        assert told.known.code == "link-refused"
        assert told.line == 1
        assert told.excerpt == "OSError: [WinError 1314] A required privilege is not held"


def test_a_log_of_bytes_without_lines_is_read_in_bounded_memory() -> None:
    assert codes(b"\xff\x00" * 300_000 + b"\n[Errno 28] No space left on device\n") == ["no-space"]


def test_a_repeated_failure_is_told_once_with_its_count_and_first_line() -> None:
    text = b"ok\n" + b"OSError: [Errno 28] No space left on device\n" * 3
    (told,) = explain(read_log(io.BytesIO(text)))
    assert (told.line, told.count) == (2, 3)


def test_what_opens_doors_is_not_repeated() -> None:
    line = (
        b"OSError: [Errno 28] No space left on device https://me:pw@hub/x?Signature=abc "
        b"Bearer hf_abcdefghijkl token=secret\n"
    )
    (told,) = explain(read_log(io.BytesIO(line)))
    assert not {"pw", "abc ", "abcdefghijkl", "secret"} & set(
        told.excerpt.replace("=", " ").split()
    )
    assert "hf_abc" not in told.excerpt


def test_a_line_counts_once_however_long_it_is() -> None:
    long = b"x" * 300_000 + b"\nsecond\n[Errno 28] No space left on device"
    for text in (long, b"\xff\xfe" + long.decode().encode("utf-16-le")):
        (told,) = explain(read_log(io.BytesIO(text)))
        assert told.line == 3


def test_errors_come_before_warnings() -> None:
    warning = (LOGS[0].parent / "links-missing--hub.log").read_bytes()
    assert codes(warning + b"OSError: [Errno 28] No space left on device\n") == [
        "no-space",
        "links-missing",
    ]


def test_doctor_reads_a_log_from_a_file_and_from_a_pipe(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "holdfast", "doctor", "--log"]
    log = LOGS[0].parent / "link-refused--windows-pyannote.log"
    told = subprocess.run([*command, str(log)], capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "link-refused  (line 3)" in told.stdout
    assert "try: holdfast run -- YOUR COMMAND" in told.stdout
    piped = subprocess.run(
        [*command, "-", "--json"], input=log.read_bytes(), capture_output=True, check=False
    )
    assert piped.returncode == 1
    (finding,) = json.loads(piped.stdout)["findings"]
    assert (finding["check"], finding["line"], finding["count"]) == ("link-refused", 3, 1)
    (tmp_path / "quiet.log").write_text("all is well\n")
    quiet = subprocess.run(
        [*command, str(tmp_path / "quiet.log")], capture_output=True, text=True, check=False
    )
    assert (quiet.returncode, quiet.stdout) == (0, "")
    assert "no failure that is known here" in quiet.stderr
    missing = subprocess.run(
        [*command, str(tmp_path / "none")], capture_output=True, text=True, check=False
    )
    assert missing.returncode == 2
    assert "error[config-invalid]" in missing.stderr
    assert "No such file or directory" in missing.stderr
