"""The API's description, held against what the service does, by schemathesis."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.speaking import speech_service

# A 500 is described nowhere, so it counts as undocumented; 503 is what an unloaded model says.
CHECKS = "status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.slow
def test_no_request_gets_a_500_or_a_status_that_is_not_documented(tmp_path: Path) -> None:
    with speech_service(tmp_path, {"HOLDFAST_DOCUMENTS_PROCESSES": "1"}) as running:
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"{running.url}/openapi.json",
            "--checks", CHECKS, "--max-examples", "40", "--seed", "1", "--no-color",
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=250, check=False, cwd=tmp_path
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Selected: 37/37" in done.stdout
    assert "Tested: 37" in done.stdout
