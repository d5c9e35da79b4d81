"""States of models, and the work that moves them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import HubUnavailable, MissingExtra
from holdfast.events import Notice, Progress, Reporter
from holdfast.runtime import (
    Backoff,
    Machine,
    ModelFailed,
    ModelInUse,
    ModelNotReady,
    ModelSpec,
    ModelState,
    Needs,
    Provided,
    Supervisor,
    UnknownModel,
    retry_after_s,
)
from holdfast.runtime._states import check_move
from tests.support.engines import spec

WAIT_S = 10.0
QUICK = Backoff(first_s=0.01, most_s=0.02)
SLOW = Backoff(first_s=3600, most_s=3600)


class Engine:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def is_closed(engine: Engine) -> bool:
    return engine.closed


def hold(engine: Engine, begun: threading.Event, go_on: threading.Event) -> Engine:
    begun.set()
    assert go_on.wait(WAIT_S)
    return engine


@contextmanager
def running(*specs: ModelSpec, backoff: Backoff = QUICK) -> Iterator[Supervisor]:
    supervisor = Supervisor(specs, backoff=backoff)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.close()


def wait_for(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(WAIT_S / 0.005)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it did not come true in time")


def state_of(supervisor: Supervisor) -> ModelState:
    return supervisor.statuses()[0].state


def test_a_model_goes_through_every_step_to_ready() -> None:
    seen: list[ModelState] = []
    supervisor: Supervisor

    def note(*_: Any) -> None:
        seen.append(state_of(supervisor))

    def provide(report: Reporter) -> Provided:
        note()
        return Provided(Path("folder"), "c" * 40)

    def load(folder: Path, device: str) -> Engine:
        note()
        assert (folder, device) == (Path("converted"), "cpu")
        return Engine()

    def convert(folder: Path) -> Path:
        note()
        assert folder == Path("folder")
        return Path("converted")

    model = spec(provide=provide, verify=note, convert=convert, load=load)
    supervisor = Supervisor([model])
    assert state_of(supervisor) is ModelState.ABSENT
    supervisor.start()
    assert supervisor.wait_ready(WAIT_S)
    status = supervisor.statuses()[0]
    supervisor.close()

    assert seen == ["fetching", "verifying", "converting", "loading"]
    assert (status.state, status.revision, status.error) == (ModelState.READY, "c" * 40, None)
    assert status.load_s is not None


def test_progress_is_shown_while_fetching() -> None:
    reported, go_on = threading.Event(), threading.Event()

    def provide(report: Reporter) -> Provided:
        report(Notice("info", "about to begin"))
        report(Progress("a", 5, 10, 5, 40, 2.5, 14.04))
        reported.set()
        assert go_on.wait(WAIT_S)
        return Provided(Path(), "c")

    with running(spec(provide=provide)) as supervisor:
        assert reported.wait(WAIT_S)
        status = supervisor.statuses()[0]
        assert retry_after_s(supervisor.not_ready()) == 15
        go_on.set()
        assert supervisor.wait_ready(WAIT_S)
        assert supervisor.statuses()[0].progress is None
    assert status.to_dict()["progress"] == {"bytes": 5, "bytes_total": 40, "seconds_left": 14.0}


def test_a_failure_is_kept_with_its_reason_and_tried_again() -> None:
    tries = itertools.count(1)
    errors: list[Any] = []
    supervisor: Supervisor

    def provide(report: Reporter) -> Provided:
        errors.append(supervisor.statuses()[0].error)
        if next(tries) < 3:
            raise HubUnavailable("no answer", why="it is silent", hint="wait")
        return Provided(Path(), "c")

    supervisor = Supervisor([spec(provide=provide)], backoff=QUICK)
    supervisor.start()
    assert supervisor.wait_ready(WAIT_S)
    assert supervisor.failure() is None
    supervisor.close()

    assert errors[0] is None
    assert errors[1].to_dict() == {
        "code": "hub-unavailable",
        "message": "no answer: it is silent",
        "hint": "wait",
    }


def test_a_failed_model_says_when_it_is_tried_again() -> None:
    def provide(report: Reporter) -> Provided:
        raise HubUnavailable("no answer")

    with running(spec(provide=provide), backoff=SLOW) as supervisor:
        wait_for(lambda: state_of(supervisor) is ModelState.FAILED)
        (status,) = supervisor.not_ready()
        assert status.next_try_s is not None
        assert 3000 < status.next_try_s <= 4050
        assert isinstance(supervisor.failure(), HubUnavailable)
        with pytest.raises(ModelNotReady, match="no answer") as caught:
            supervisor.ask("model", is_closed)
        assert caught.value.facts["retry_after_s"] == 60


def test_what_cannot_pass_by_itself_is_not_tried_again_unless_asked_for() -> None:
    tries: list[int] = []

    def provide(report: Reporter) -> Provided:
        tries.append(1)
        raise MissingExtra("no", hint="pip install")

    with running(spec(provide=provide)) as supervisor:
        wait_for(lambda: state_of(supervisor) is ModelState.FAILED)
        assert not supervisor.wait_ready(0.1)
        assert len(tries) == 1
        assert supervisor.statuses()[0].next_try_s is None
        supervisor.load("model")
        wait_for(lambda: len(tries) == 2)


def test_an_unforeseen_error_is_the_models_failure_only() -> None:
    def load(folder: Path, device: str) -> Engine:
        raise RuntimeError("boom")

    good = spec("good")
    with running(spec(load=load), good, backoff=SLOW) as supervisor:
        wait_for(lambda: [s.state for s in supervisor.statuses()] == ["failed", "ready"])
        failure = supervisor.failure()
        assert isinstance(failure, ModelFailed)
        assert "RuntimeError: boom" in str(failure)
        assert supervisor.ask("good", is_closed) is False


def test_unloading_is_refused_while_in_use_and_changes_nothing() -> None:
    engine = Engine()
    with running(spec(load=lambda *_: engine)) as supervisor:
        assert supervisor.wait_ready(WAIT_S)
        begun, go_on = threading.Event(), threading.Event()
        job = supervisor.submit("model", hold, begun, go_on)
        assert begun.wait(WAIT_S)
        with pytest.raises(ModelInUse):
            supervisor.unload("model")
        assert not engine.closed
        assert state_of(supervisor) is ModelState.READY
        go_on.set()
        assert job.result() is engine
        wait_for(lambda: supervisor.statuses()[0].running == 0)
        assert supervisor.unload("model").state is ModelState.IDLE
        assert engine.closed
        with pytest.raises(ModelNotReady, match="it is idle") as caught:
            supervisor.ask("model", is_closed)
        assert caught.value.hint == "POST /models/model/load"


def test_an_idle_model_can_be_loaded_again() -> None:
    engines: list[Engine] = []

    def load(folder: Path, device: str) -> Engine:
        engines.append(Engine())
        return engines[-1]

    with running(spec(load=load)) as supervisor:
        assert supervisor.wait_ready(WAIT_S)
        supervisor.unload("model")
        supervisor.load("model")
        assert supervisor.wait_ready(WAIT_S)
    assert [engine.closed for engine in engines] == [True, True]


def test_unloading_calls_off_what_is_being_fetched() -> None:
    begun, ended = threading.Event(), threading.Event()

    def provide(report: Reporter) -> Provided:
        begun.set()
        try:
            while True:
                report(Progress("a", 0, 1, 0, 1, 0.0, None))
        finally:
            ended.set()

    with running(spec(provide=provide)) as supervisor:
        assert begun.wait(WAIT_S)
        supervisor.unload("model")
        assert ended.wait(WAIT_S)
        wait_for(lambda: state_of(supervisor) is ModelState.IDLE)


def test_closing_ends_the_work_and_closes_every_engine() -> None:
    class Stubborn(Engine):
        def close(self) -> None:
            super().close()
            raise RuntimeError("it does not want to")

    first, second = Engine(), Stubborn()
    others = set(threading.enumerate())  # of other stories: a model that hangs is left behind
    supervisor = Supervisor(
        [
            spec("first", load=lambda *_: first),
            spec("second", load=lambda *_: second),
        ]
    )
    supervisor.start()
    assert supervisor.wait_ready(WAIT_S)
    supervisor.close()

    assert first.closed
    assert second.closed
    mine = set(threading.enumerate()) - others
    assert [thread.name for thread in mine if thread.name.startswith("holdfast-model")] == []


def test_a_model_that_is_not_preloaded_waits_and_does_not_count() -> None:
    with running(spec(preload=False)) as supervisor:
        assert supervisor.not_ready() == []
        assert state_of(supervisor) is ModelState.ABSENT
        supervisor.load("model")
        wait_for(lambda: state_of(supervisor) is ModelState.READY)


def test_an_unknown_model_is_said_with_those_there_are() -> None:
    with running(spec("a"), spec("b")) as supervisor, pytest.raises(UnknownModel, match="a, b"):
        supervisor.load("c")


def test_what_the_hardware_lacks_is_said() -> None:
    needs = Needs(memory_mb=8000)
    met = {"memory_mb": 8000, "gpu_memory_mb": 0, "met": True, "why": ""}
    assert needs.on(Machine(16_000)) == met
    assert needs.on(Machine(None))["met"] is True
    assert needs.on(Machine(4000)) == {
        "memory_mb": 8000,
        "gpu_memory_mb": 0,
        "met": False,
        "why": "needs 8000 MB of memory, has 4000 MB",
    }


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_grow_to_a_limit(failures: int, chance: float) -> None:
    backoff = Backoff(first_s=1, most_s=60)
    assert 0.8 < backoff.after(failures, chance) <= 60 * 1.125
    assert backoff.after(1, 0.5) == 1.0
    assert backoff.after(4, 0.5) == 8.0


@given(st.sampled_from(ModelState), st.sampled_from(ModelState))
def test_only_loading_leads_to_ready_and_nothing_stays_where_it_is(
    before: ModelState, after: ModelState
) -> None:
    try:
        check_move(before, after)
    except ValueError:
        return
    assert before is not after
    assert after is not ModelState.ABSENT
    if after is ModelState.READY:
        assert before is ModelState.LOADING
