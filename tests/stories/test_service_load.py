"""Many clients at once, for a while: what they are told, what is left in memory and on disk."""

from __future__ import annotations

import asyncio
import collections
import os
import signal
import sys
import time
from pathlib import Path

import httpx2
import pytest

from holdfast.runtime import Provided
from holdfast.server import RunningServer, ServerSettings, serve
from holdfast.speech import sample_recording
from holdfast.wiring import services_of
from tests.stories.test_apps import bare, get, started, wait_for

CLIENTS = 200
SECONDS = 60.0
TIMESTAMPS = "/v1/audio/speech/timestamps"


def memory_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def crowd(url: str, seconds: float) -> collections.Counter[tuple[str, int]]:
    """Let clients come and go; return what they asked and which status they got."""
    seen: collections.Counter[tuple[str, int]] = collections.Counter()
    speech = sample_recording().read_bytes()
    until = time.monotonic() + seconds
    limits = httpx2.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)

    async def one(client: httpx2.AsyncClient, number: int) -> None:
        turn = number
        while time.monotonic() < until:
            turn += 1
            if turn % 20 == 0:
                # One that does not wait for its answer.
                try:
                    await client.post(TIMESTAMPS, files={"file": ("a", speech)}, timeout=0.05)
                except httpx2.TimeoutException:
                    seen["left", 0] += 1
                continue
            if turn % 7 == 0:
                answer = await client.get("/models")
                seen["models", answer.status_code] += 1
            elif turn % 5 == 0:
                answer = await client.post(TIMESTAMPS, files={"file": ("a", b"no sound" * 999)})
                seen["rubbish", answer.status_code] += 1
            else:
                answer = await client.post(TIMESTAMPS, files={"file": ("a.flac", speech)})
                seen["speech", answer.status_code] += 1
                if answer.status_code == 429:
                    assert int(answer.headers["retry-after"]) >= 1
                    await asyncio.sleep(0.2)

    async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        await asyncio.gather(*(one(client, number) for number in range(CLIENTS)))
    return seen


@pytest.mark.linux
@pytest.mark.slow
@pytest.mark.timeout(280)
def test_two_hundred_clients_for_a_minute(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    env = bare(tmp_path, TMPDIR=str(scratch), HOLDFAST_UPLOAD_LIMIT_MB="50")
    with started("-q", "up", "--port", "0", env=env) as (url, process):
        wait_for(lambda: get(f"{url}/ready").status == 200)
        asyncio.run(crowd(url, 10))
        before = memory_mb(process.pid)
        seen = asyncio.run(crowd(url, SECONDS))
        after = memory_mb(process.pid)
        assert get(f"{url}/ready").status == 200
        assert list(scratch.iterdir()) == []
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    print(f"{sum(seen.values())} requests: {dict(seen)}; memory {before:.0f} -> {after:.0f} MB")

    assert process.returncode == 0
    assert {status for kind, status in seen if kind == "models"} == {200}
    assert {status for kind, status in seen if kind == "speech"} <= {200, 429, 503}
    assert {status for kind, status in seen if kind == "rubbish"} <= {415, 429, 503}
    assert seen["speech", 200] > 100
    assert after < 1.1 * before + 20
    assert "Traceback" not in said, said[-3000:]


def test_the_server_has_its_turn_soon_in_a_process_of_its_own() -> None:
    services = services_of(lambda *_: Provided(Path(), ""), only=())
    before = sys.getswitchinterval()
    seen = []

    def started(server: RunningServer) -> None:
        seen.append((get(f"{server.url}/health").status, sys.getswitchinterval()))
        os.kill(os.getpid(), signal.SIGTERM)

    assert serve(services, ServerSettings(port=0), started) is None
    assert seen == [(200, pytest.approx(0.0005))]
    assert sys.getswitchinterval() == before
