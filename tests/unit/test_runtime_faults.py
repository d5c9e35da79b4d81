"""What a model's code can do to its threads, and what is left of the others' requests."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.events import Reporter
from holdfast.runtime import (
    Budget,
    DeadlineExceeded,
    EngineFailed,
    Limits,
    MemoryBudgetExceeded,
    MemoryBudgetTooSmall,
    ModelFailed,
    ModelNotReady,
    ModelState,
    Needs,
    Provided,
)
from holdfast.runtime import _keeper as keeper
from tests.support import engines
from tests.support.engines import WAIT_S, spec
from tests.unit.test_runtime_requests import QUICK, SLOW, running, state_of, wait_for


class Panic(BaseException):
    """What a panic in Rust becomes in Python, where the library is one of Rust's."""


def panic(engine: Any) -> None:
    raise Panic("index out of bounds")


def leave(engine: Any) -> None:
    raise SystemExit(3)


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("work", [panic, leave])
def test_an_engine_that_panics_fails_over_one_request(
    work: Callable[[Any], None], isolate: bool
) -> None:
    with running(spec(isolate=isolate)) as supervisor:
        with pytest.raises(EngineFailed):
            supervisor.ask("model", work)
        assert supervisor.ask("model", engines.count) == 1
        assert supervisor.statuses()[0].running == 0


def test_an_engine_that_panics_while_it_loads_has_failed_and_is_tried_again() -> None:
    attempts: list[int] = []

    def load(folder: Path, device: str) -> engines.Echo:
        attempts.append(1)
        if len(attempts) == 1:
            raise Panic("not this time")
        return engines.Echo(folder, device)

    with running(spec(load=load), backoff=SLOW, wait=False) as supervisor:
        wait_for(lambda: state_of(supervisor) is ModelState.FAILED)
        assert isinstance(supervisor.failure(), ModelFailed)
        assert "Panic: not this time" in str(supervisor.failure())
        supervisor.load("model")
        assert supervisor.wait_ready(WAIT_S)


@pytest.mark.skipif(os.name == "nt", reason="the tool is a shell script")
def test_a_tool_that_prints_rubbish_about_gpus_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '\\377\\376 GPU, 80000\\nnonsense\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with running(spec()) as supervisor:
        assert supervisor.ask("model", engines.count) == 1


def test_a_machine_that_cannot_be_looked_at_is_a_failure_that_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from holdfast.runtime import _supervisor as module

    looks: list[int] = []

    def look() -> Any:
        looks.append(1)
        if len(looks) < 3:
            raise RuntimeError("the driver is being changed")
        return module.Machine(8000, ())

    monkeypatch.setattr(module, "this_machine", look)
    with running(spec(), backoff=QUICK) as supervisor:
        assert supervisor.ask("model", engines.count) == 1
    assert len(looks) == 3


def test_a_request_beside_one_that_hangs_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_HUNG_AFTER_S", 0.1)
    monkeypatch.setattr(keeper, "_WATCH_S", 0.02)
    limits = Limits(wait_s=WAIT_S, run_s=1.0)
    with running(spec(threads=2, limits=limits)) as supervisor:
        hung = supervisor.submit("model", engines.hang, 3.0)
        time.sleep(0.6)
        beside = supervisor.submit("model", engines.echo, "done", 0.8)
        with pytest.raises(DeadlineExceeded):
            hung.result()
        wait_for(lambda: supervisor._slots["model"].failures > 0)  # it is being loaded anew
        assert beside.result() == "done"


def test_a_budget_that_can_never_suffice_is_said_before_anything_is_fetched() -> None:
    def provide(report: Reporter) -> Provided:
        raise AssertionError("it was fetched")

    model = spec(provide=provide, needs=Needs(memory_mb=600))
    with running(model, budget=Budget(100, "evict"), wait=False) as supervisor:
        wait_for(lambda: state_of(supervisor) is ModelState.FAILED)
        failure = supervisor.failure()
        assert isinstance(failure, MemoryBudgetTooSmall)
        assert failure.hint == "memory_budget_mb = 600"
        assert supervisor.statuses()[0].next_try_s is None
        with pytest.raises(ModelNotReady) as refused:
            supervisor.ask("model", engines.count)
        assert "retry_after_s" not in refused.value.facts  # it would not help


def test_what_does_not_fit_now_is_not_hashed_again_and_again() -> None:
    provided: list[str] = []

    def provider(name: str) -> Callable[[Reporter], Provided]:
        def provide(report: Reporter) -> Provided:
            provided.append(name)
            return Provided(Path("folder"), "c" * 40)

        return provide

    first = spec("first", needs=Needs(memory_mb=600), provide=provider("first"))
    second = spec("second", needs=Needs(memory_mb=600), provide=provider("second"), preload=False)
    with running(first, second, backoff=QUICK, budget=Budget(1000)) as supervisor:
        supervisor.load("second")
        wait_for(lambda: supervisor._slots["second"].failures > 3)
        assert isinstance(supervisor._slots["second"].failure, MemoryBudgetExceeded)
        assert provided == ["first"]
        supervisor.unload("first")
        wait_for(lambda: state_of(supervisor, 1) is ModelState.READY)


def test_a_model_that_a_person_unloaded_says_no_time_to_ask_again() -> None:
    with running(spec()) as supervisor:
        supervisor.unload("model")
        with pytest.raises(ModelNotReady) as refused:
            supervisor.ask("model", engines.count)
        assert "retry_after_s" not in refused.value.facts
        assert refused.value.hint == "POST /models/model/load"


def test_no_request_is_lost_while_models_are_evicted_and_unloaded() -> None:
    names = ("first", "second")
    specs = [spec(name, needs=Needs(memory_mb=600), preload=False) for name in names]
    answers: list[int] = []

    def ask(name: str) -> None:
        for _ in range(30):
            answers.append(supervisor.ask(name, engines.echo, 1))

    with running(*specs, budget=Budget(1000, "evict"), backoff=QUICK) as supervisor:
        threads = [threading.Thread(target=ask, args=(name,)) for name in names[:1] * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        ask("second")
        ask("first")
    assert len(answers) == 150


@pytest.mark.linux
def test_what_ends_the_service_lets_its_processes_finish(tmp_path: Path) -> None:
    with running(spec(isolate=True)) as supervisor:
        pid = supervisor.ask("model", engines.where)[0]
        assert os.getpgid(pid) != os.getpgid(0)  # a signal to the service's group passes it by
        job = supervisor.submit("model", engines.echo, "finished", 0.5)
        wait_for(lambda: supervisor.statuses()[0].running == 1)
        os.kill(pid, signal.SIGINT)
        assert job.result() == "finished"
