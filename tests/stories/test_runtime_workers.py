"""Models in processes of their own: what happens there stays there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from holdfast.config import ServiceSettings, Settings, configuration
from holdfast.runtime import (
    Batch,
    DeadlineExceeded,
    EngineFailed,
    Limits,
    ModelFailed,
    ModelSpec,
    ModelState,
    Supervisor,
    WorkerDied,
    done_apart,
)
from holdfast.runtime import _keeper as keeper
from holdfast.speech import sample_recording
from holdfast.wiring import VAD_MODEL, provide_starter, services_of, verify_stored
from tests.support import engines
from tests.support.engines import WAIT_S, spec
from tests.unit.test_runtime_requests import QUICK, SLOW, running, state_of, wait_for


def apart(**changes: Any) -> ModelSpec:
    return spec(isolate=True, **changes)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_engine_answers_from_a_process_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    with running(apart(max_batch=4)) as supervisor:
        pid, folder, device = supervisor.ask("model", engines.where)
        assert pid != os.getpid()
        assert (folder, device) == ("folder", "cpu")
        assert [supervisor.ask("model", engines.count) for _ in range(3)] == [1, 2, 3]
        assert supervisor.ask("model", Batch(engines.doubled), 4) == 8
        assert len(supervisor.ask("model", engines.echo, b"x" * 50_000_000)) == 50_000_000
        supervisor.ask("model", engines.say, "said in passing")
        status = supervisor.statuses()[0]
        assert status.isolated
        assert status.memory_mb is not None
    assert not alive(pid)
    assert capfd.readouterr().out == ""  # what a library prints is for the log


def test_errors_cross_over_with_all_that_they_say() -> None:
    with running(apart()) as supervisor:
        with pytest.raises(engines.Refused) as caught:
            supervisor.ask("model", engines.refuse)
        assert (caught.value.why, caught.value.hint) == ("it is bad", "something better")
        assert caught.value.facts == {"param": "x"}
        with pytest.raises(EngineFailed, match="ZeroDivisionError: deep in a library"):
            supervisor.ask("model", engines.fail)
        with pytest.raises(EngineFailed, match="pickle"):
            supervisor.ask("model", engines.unsendable)
        assert supervisor.ask("model", engines.count) == 1


@pytest.mark.parametrize(
    ("end", "told"),
    [((engines.kill_self,), "SIGKILL"), ((engines.exit_hard, 3), "exit code was 3")],
)
def test_a_process_that_dies_in_mid_request_is_started_again(
    end: tuple[Any, ...], told: str
) -> None:
    with running(apart()) as supervisor:
        first = supervisor.ask("model", engines.where)[0]
        with pytest.raises(WorkerDied, match=told) as caught:
            supervisor.ask("model", *end)
        assert caught.value.facts["retry_after_s"] == 1
        assert caught.value.http_status == 503
        wait_for(lambda: state_of(supervisor) is ModelState.READY)
        assert supervisor.ask("model", engines.where)[0] != first
        assert supervisor.statuses()[0].error is None


def test_a_process_that_is_killed_between_requests_is_noticed() -> None:
    with running(apart(), backoff=SLOW) as supervisor:
        pid = supervisor.ask("model", engines.where)[0]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: state_of(supervisor) is ModelState.FAILED)
        status = supervisor.statuses()[0]
        assert status.error is not None
        assert status.error.code == "worker-died"
        assert [s.id for s in supervisor.not_ready()] == ["model"]
        supervisor.load("model")
        wait_for(lambda: state_of(supervisor) is ModelState.READY)


def test_a_process_that_hangs_is_ended_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_HUNG_AFTER_S", 0.3)
    monkeypatch.setattr(keeper, "_WATCH_S", 0.05)
    with running(apart(limits=Limits(wait_s=WAIT_S, run_s=0.3))) as supervisor:
        pid = supervisor.ask("model", engines.where)[0]
        with pytest.raises(DeadlineExceeded):
            supervisor.ask("model", engines.hang, 60.0)
        wait_for(lambda: not alive(pid))
        wait_for(lambda: state_of(supervisor) is ModelState.READY)
        assert supervisor.ask("model", engines.where)[0] != pid


def test_polite_work_over_there_ends_when_its_client_leaves() -> None:
    with running(apart()) as supervisor:
        pid = supervisor.ask("model", engines.where)[0]
        job = supervisor.submit("model", engines.politely, 100_000)
        wait_for(lambda: supervisor.statuses()[0].running == 1)
        job.call_off()
        wait_for(lambda: supervisor.statuses()[0].running == 0)
        assert supervisor.ask("model", engines.where)[0] == pid


@pytest.mark.parametrize(
    ("load", "kind", "told"),
    [
        (engines.load_refused, engines.Refused, "this folder is no model"),
        (engines.load_broken, ModelFailed, "RuntimeError: a broken library"),
        (engines.load_dead, WorkerDied, "exit code was 7"),
    ],
)
def test_what_goes_wrong_while_loading_is_said(load: Any, kind: type, told: str) -> None:
    with running(apart(load=load), backoff=SLOW, wait=False) as supervisor:
        wait_for(lambda: state_of(supervisor) is ModelState.FAILED)
        failure = supervisor.failure()
        assert isinstance(failure, kind)
        assert told in str(failure)


def test_what_cannot_be_named_over_there_is_a_mistake_in_the_configuration() -> None:
    def nameless_load(folder: Path, device: str) -> engines.Echo:
        return engines.Echo(folder, device)

    nameless = apart(load=nameless_load)
    with running(nameless, wait=False) as supervisor:
        wait_for(lambda: state_of(supervisor) is ModelState.FAILED)
        assert "isolate = false" in getattr(supervisor.failure(), "hint", "")
        assert supervisor.statuses()[0].next_try_s is None


def test_no_process_outlives_the_one_that_started_it(tmp_path: Path) -> None:
    program = """
import sys, time
from tests.support import engines
from tests.support.engines import WAIT_S, spec
from tests.support.engines import spec
from holdfast.runtime import Supervisor
supervisor = Supervisor([spec(isolate=True)])
supervisor.start()
supervisor.wait_ready(30)
print(supervisor.ask("model", engines.where)[0], flush=True)
supervisor.submit("model", engines.hang, 60.0)
time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
    wait_for(lambda: not alive(pid))


def test_the_starter_model_works_in_a_process_of_its_own(tmp_path: Path) -> None:
    env = {"HOLDFAST_HOME": str(tmp_path), "HOME": str(tmp_path)}
    settings = Settings.from_env(env)
    found = []
    for isolate in ("0", "1"):
        file = tmp_path / "holdfast.toml"
        file.write_text(f"[models.silero-vad]\nisolate = {'true' if isolate == '1' else 'false'}\n")
        service: ServiceSettings = configuration(env, file=file).service
        services = services_of(
            provide_starter(settings, env), verify_stored(settings, env), service=service,
            env=env, only=[VAD_MODEL], backoff=QUICK,
        )  # fmt: skip
        services.supervisor.start()
        try:
            found.append(services.voice_activity.detect(sample_recording()))
            assert services.supervisor.statuses()[0].isolated == (isolate == "1")
        finally:
            services.supervisor.close()
    assert found[0] == found[1] != []


def test_closing_while_over_there_something_runs_takes_no_longer_than_it_must() -> None:
    supervisor = Supervisor([apart()], backoff=QUICK)
    supervisor.start()
    assert supervisor.wait_ready(WAIT_S)
    pid = supervisor.ask("model", engines.where)[0]
    job = supervisor.submit("model", engines.hang, 60.0)
    wait_for(lambda: supervisor.statuses()[0].running == 1)
    started = time.monotonic()
    supervisor.close()
    assert time.monotonic() - started < 15
    assert not alive(pid)
    with pytest.raises((WorkerDied, DeadlineExceeded)):
        job.result()


def where_and_what(text: str) -> tuple[int, str]:
    return os.getpid(), text


def refuse_apart(text: str) -> None:
    raise engines.Refused("that is no good", why=text)


def test_work_that_is_done_once_leaves_nothing_behind() -> None:
    pid, text = done_apart("a test", where_and_what, "sent")
    assert (pid != os.getpid(), text) == (True, "sent")
    assert not alive(pid)
    with pytest.raises(engines.Refused, match="bad input"):
        done_apart("a test", refuse_apart, "bad input")
    with pytest.raises(WorkerDied, match="SIGKILL"):
        done_apart("a test", end_hard)


def end_hard() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
