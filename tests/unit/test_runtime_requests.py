"""Requests to a model: queued, batched, called off, and answered or refused in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HubUnavailable
from holdfast.events import Progress, Reporter
from holdfast.runtime import (
    Backoff,
    Batch,
    Budget,
    CalledOff,
    DeadlineExceeded,
    EngineAnswerInvalid,
    EngineFailed,
    EngineHung,
    HardwareMissing,
    Limits,
    MemoryBudgetExceeded,
    ModelBusy,
    ModelNotReady,
    ModelSpec,
    ModelState,
    Needs,
    Provided,
    ShuttingDown,
    Supervisor,
)
from holdfast.runtime import _keeper as keeper
from tests.support import engines
from tests.support.engines import WAIT_S, spec

QUICK = Backoff(first_s=0.02, most_s=0.05)
SLOW = Backoff(first_s=3600, most_s=3600)


@contextmanager
def running(
    *specs: ModelSpec, backoff: Backoff = QUICK, budget: Budget | None = None, wait: bool = True
) -> Iterator[Supervisor]:
    supervisor = Supervisor(specs, backoff=backoff, budget=budget)
    supervisor.start()
    try:
        if wait:
            assert supervisor.wait_ready(WAIT_S)
        yield supervisor
    finally:
        supervisor.close()


def wait_for(condition: Any) -> None:
    until = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.005)


def hold(engine: Any, begun: threading.Event, go_on: threading.Event) -> str:
    begun.set()
    assert go_on.wait(WAIT_S)
    return "held"


def state_of(supervisor: Supervisor, number: int = 0) -> ModelState:
    return supervisor.statuses()[number].state


# -- the queue


def test_requests_that_come_while_it_loads_are_answered_once_it_is_there() -> None:
    go_on = threading.Event()

    def provide(report: Reporter) -> Provided:
        report(Progress("a", 5, 10, 5, 10, 2.5, 2.0))
        assert go_on.wait(WAIT_S)
        return Provided(Path("folder"), "c")

    with running(spec(provide=provide), wait=False) as supervisor:
        jobs = [supervisor.submit("model", engines.echo, number) for number in range(5)]
        assert supervisor.statuses()[0].waiting == 5
        go_on.set()
        assert [job.result() for job in jobs] == [0, 1, 2, 3, 4]


def test_waiting_for_a_model_has_a_limit_and_says_how_far_it_is() -> None:
    go_on = threading.Event()

    def provide(report: Reporter) -> Provided:
        report(Progress("a", 5, 10, 5, 10, 2.5, 2.0))
        assert go_on.wait(WAIT_S)
        return Provided(Path("folder"), "c")

    limits = Limits(wait_s=0.2, run_s=WAIT_S)
    with running(spec(provide=provide, limits=limits), wait=False) as supervisor:
        wait_for(lambda: supervisor.statuses()[0].progress)
        with pytest.raises(ModelNotReady, match="fetching, 5 of 10 bytes are here") as caught:
            supervisor.ask("model", engines.echo, 1)
        assert caught.value.facts["retry_after_s"] == 2
        assert caught.value.facts["progress"]["bytes"] == 5
        assert supervisor.statuses()[0].waiting == 0
        go_on.set()


def test_who_waits_for_a_model_that_fails_is_told_at_once() -> None:
    go_on = threading.Event()

    def provide(report: Reporter) -> Provided:
        assert go_on.wait(WAIT_S)
        raise HubUnavailable("no answer", why="it is silent", hint="wait")

    with running(spec(provide=provide), backoff=SLOW, wait=False) as supervisor:
        job = supervisor.submit("model", engines.echo, 1)
        go_on.set()
        with pytest.raises(ModelNotReady, match="it is silent"):
            job.result()
        with pytest.raises(ModelNotReady, match="failed"):
            supervisor.submit("model", engines.echo, 1)


def test_more_than_may_wait_are_refused_with_a_time() -> None:
    begun, go_on = threading.Event(), threading.Event()
    with running(spec(queue_limit=2)) as supervisor:
        held = supervisor.submit("model", hold, begun, go_on)
        assert begun.wait(WAIT_S)
        waiting = [supervisor.submit("model", engines.echo, n) for n in range(2)]
        with pytest.raises(ModelBusy) as caught:
            supervisor.submit("model", engines.echo, 3)
        assert caught.value.facts["retry_after_s"] >= 1
        status = supervisor.statuses()[0]
        assert (status.waiting, status.running) == (2, 1)
        waiting[0].call_off()  # its client left: there is room again
        again = supervisor.submit("model", engines.echo, 4)
        go_on.set()
        assert [held.result(), waiting[1].result(), again.result()] == ["held", 1, 4]


def test_a_place_in_the_queue_is_not_for_ever() -> None:
    begun, go_on = threading.Event(), threading.Event()
    with running(spec(limits=Limits(wait_s=0.2, run_s=WAIT_S))) as supervisor:
        held = supervisor.submit("model", hold, begun, go_on)
        with pytest.raises(ModelBusy, match="behind others"):
            supervisor.ask("model", engines.echo, 1)
        go_on.set()
        held.result()


def test_several_threads_answer_side_by_side() -> None:
    go_on, begun = threading.Event(), [threading.Event() for _ in range(3)]
    with running(spec(threads=3)) as supervisor:
        jobs = [supervisor.submit("model", hold, one, go_on) for one in begun]
        assert all(one.wait(WAIT_S) for one in begun)
        go_on.set()
        assert [job.result() for job in jobs] == ["held"] * 3


# -- batches


def test_requests_of_a_kind_are_answered_together() -> None:
    begun, go_on = threading.Event(), threading.Event()
    kind = Batch(engines.doubled)
    with running(spec(max_batch=4)) as supervisor:
        held = supervisor.submit("model", hold, begun, go_on)
        assert begun.wait(WAIT_S)
        jobs = [supervisor.submit("model", kind, number) for number in range(6)]
        between = supervisor.submit("model", engines.echo, "other")
        late = supervisor.submit("model", kind, 6)
        go_on.set()
        assert [job.result() for job in (*jobs, late)] == [0, 2, 4, 6, 8, 10, 12]
        assert (held.result(), between.result()) == ("held", "other")
        assert supervisor.ask("model", engines.batches) == [4, 2, 1]


def test_one_bad_item_spoils_nothing_for_the_others() -> None:
    begun, go_on = threading.Event(), threading.Event()
    kind = Batch(engines.doubled)
    with running(spec(max_batch=8)) as supervisor:
        supervisor.submit("model", hold, begun, go_on)
        assert begun.wait(WAIT_S)
        jobs = [supervisor.submit("model", kind, item) for item in (1, "poison", 3)]
        go_on.set()
        assert (jobs[0].result(), jobs[2].result()) == (2, 6)
        with pytest.raises(EngineFailed, match="one of them is bad"):
            jobs[1].result()


def test_rubbish_is_not_handed_out() -> None:
    with running(spec(max_batch=8), backoff=SLOW) as supervisor:
        for _ in range(3):
            with pytest.raises(EngineAnswerInvalid, match="1 answers were due, and there are 0"):
                supervisor.ask("model", Batch(engines.too_few), 1)
        wait_for(lambda: state_of(supervisor) is ModelState.FAILED)
        error = supervisor.statuses()[0].error
        assert error is not None
        assert error.code == "engine-answer-invalid"


# -- failures


def test_an_engine_that_raises_answers_the_next_request() -> None:
    with running(spec()) as supervisor:
        with pytest.raises(EngineFailed, match="ZeroDivisionError: deep in a library"):
            supervisor.ask("model", engines.fail)
        with pytest.raises(engines.Refused) as caught:
            supervisor.ask("model", engines.refuse)
        assert caught.value.facts == {"param": "x"}
        assert supervisor.ask("model", engines.count) == 1
        assert state_of(supervisor) is ModelState.READY


def test_an_engine_that_always_raises_is_loaded_anew() -> None:
    loaded: list[engines.Echo] = []

    def load(folder: Path, device: str) -> engines.Echo:
        loaded.append(engines.Echo(folder, device))
        return loaded[-1]

    with running(spec(load=load)) as supervisor:
        for _ in range(3):
            with pytest.raises(EngineFailed):
                supervisor.ask("model", engines.fail)
        wait_for(lambda: len(loaded) == 2 and state_of(supervisor) is ModelState.READY)
        assert supervisor.ask("model", engines.count) == 1


def test_a_request_has_a_deadline_and_polite_work_ends_at_it() -> None:
    with running(spec(limits=Limits(wait_s=WAIT_S, run_s=0.2))) as supervisor:
        with pytest.raises(DeadlineExceeded, match=r"0\.2 s had passed"):
            supervisor.ask("model", engines.politely, 10_000)
        wait_for(lambda: supervisor.statuses()[0].running == 0)
        assert supervisor.ask("model", engines.echo, 1) == 1


def test_a_client_that_leaves_ends_the_work() -> None:
    with running(spec()) as supervisor:
        job = supervisor.submit("model", engines.politely, 10_000)
        wait_for(lambda: supervisor.statuses()[0].running == 1)
        job.call_off()
        wait_for(lambda: supervisor.statuses()[0].running == 0)
        waiting = supervisor.submit("model", engines.echo, 1)
        waiting.call_off()
        with pytest.raises((CalledOff, DeadlineExceeded)):
            job.result()
        assert supervisor.ask("model", engines.echo, 2) == 2


def test_what_fails_after_its_client_left_is_not_held_against_the_engine(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running(spec()) as supervisor:
        for _ in range(4):
            job = supervisor.submit("model", engines.stumble)
            wait_for(lambda: supervisor.statuses()[0].running == 1)
            job.call_off()
            wait_for(lambda: supervisor.statuses()[0].running == 0)
        assert state_of(supervisor) is ModelState.READY
        assert supervisor.ask("model", engines.count) == 1
    assert "raised over a request" not in caplog.text


def test_an_engine_that_hangs_is_given_up_and_another_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper, "_HUNG_AFTER_S", 0.2)
    monkeypatch.setattr(keeper, "_WATCH_S", 0.05)
    with running(spec(limits=Limits(wait_s=WAIT_S, run_s=0.2))) as supervisor:
        with pytest.raises(DeadlineExceeded):
            supervisor.ask("model", engines.hang, 5.0)
        wait_for(lambda: isinstance(supervisor.failure(), EngineHung) or _loaded_anew(supervisor))
        wait_for(lambda: state_of(supervisor) is ModelState.READY)
        assert supervisor.ask("model", engines.count) == 1
        assert supervisor.statuses()[0].running == 0


def _loaded_anew(supervisor: Supervisor) -> bool:
    return supervisor._slots["model"].failures > 0


# -- rest, room and hardware


def test_an_unused_model_rests_and_a_request_brings_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper, "_WATCH_S", 0.02)
    with running(spec(idle_unload_s=0.1)) as supervisor:
        wait_for(lambda: state_of(supervisor) is ModelState.IDLE)
        assert supervisor.not_ready() == []
        assert supervisor.ask("model", engines.count) == 1
        assert state_of(supervisor) in {ModelState.READY, ModelState.IDLE}


def test_a_model_that_is_not_preloaded_comes_with_its_first_request() -> None:
    with running(spec(preload=False)) as supervisor:
        assert state_of(supervisor) is ModelState.ABSENT
        assert supervisor.ask("model", engines.count) == 1


def test_what_does_not_fit_is_refused() -> None:
    first, second = (spec(name, needs=Needs(memory_mb=600)) for name in ("first", "second"))
    budget = Budget(memory_mb=1000)
    with running(first, second, backoff=SLOW, budget=budget, wait=False) as supervisor:
        wait_for(lambda: {s.state for s in supervisor.statuses()} == {"ready", "failed"})
        failure = supervisor.failure()
        assert isinstance(failure, MemoryBudgetExceeded)
        assert "takes 600 of 1000 MB" in failure.why


def test_what_was_unused_for_longest_makes_room() -> None:
    names = ("first", "second", "third")
    specs = [spec(name, needs=Needs(memory_mb=400), preload=False) for name in names]
    with running(*specs, budget=Budget(1000, "evict")) as supervisor:
        for name in ("first", "second", "first", "third"):
            supervisor.ask(name, engines.count)
        assert [str(s.state) for s in supervisor.statuses()] == ["ready", "idle", "ready"]
        assert supervisor.ask("second", engines.count) == 1


def test_hardware_is_looked_at_before_anything_is_fetched() -> None:
    def provide(report: Reporter) -> Provided:
        raise AssertionError("it was fetched")

    needs = Needs(gpu_memory_mb=8_000_000)
    with running(spec(provide=provide, needs=needs), wait=False) as supervisor:
        wait_for(lambda: state_of(supervisor) is ModelState.FAILED)
        failure = supervisor.failure()
        assert isinstance(failure, HardwareMissing)
        assert "needs a GPU with 8000000 MB" in failure.why
        assert supervisor.statuses()[0].next_try_s is None


# -- the end


def test_draining_answers_what_is_here_and_refuses_the_rest() -> None:
    begun, go_on = threading.Event(), threading.Event()
    with running(spec()) as supervisor:
        held = supervisor.submit("model", hold, begun, go_on)
        assert begun.wait(WAIT_S)
        waiting = supervisor.submit("model", engines.echo, 1)
        assert not supervisor.drain(0.1)
        with pytest.raises(ShuttingDown):
            supervisor.submit("model", engines.echo, 2)
        go_on.set()
        assert supervisor.drain(WAIT_S)
        assert (held.result(), waiting.result()) == ("held", 1)


def test_closing_ends_what_waits_with_an_error() -> None:
    begun, go_on = threading.Event(), threading.Event()
    with running(spec()) as supervisor:
        supervisor.submit("model", hold, begun, go_on)
        assert begun.wait(WAIT_S)
        waiting = supervisor.submit("model", engines.echo, 1)
        threading.Timer(0.2, go_on.set).start()
    with pytest.raises(ShuttingDown):
        waiting.result()
