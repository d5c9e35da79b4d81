"""What is seen of every request: an id, a line in the log, numbers for Prometheus."""

import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from http import HTTPMethod, HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.api._errors import request_id, unexpected
from holdfast.runtime import ModelState, ModelStatus, Supervisor

__all__ = ["Metrics", "Observe"]

_log = logging.getLogger("holdfast.access")
_METHODS = frozenset({*HTTPMethod})
_SOUND_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class _Models(Collector):
    """The models' states, read when somebody asks for the metrics."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.others: Sequence[ModelStatus] = ()

    def collect(self) -> list[Metric]:
        """Return one family per number."""
        state = GaugeMetricFamily(
            "holdfast_model_state", "1 for the state that a model is in", labels=["model", "state"]
        )
        waiting = GaugeMetricFamily(
            "holdfast_model_requests_waiting", "Requests in a model's queue", labels=["model"]
        )
        running = GaugeMetricFamily(
            "holdfast_model_requests_running", "Requests a model is answering", labels=["model"]
        )
        memory = GaugeMetricFamily(
            "holdfast_model_memory_bytes", "What loading a model took", labels=["model"]
        )
        for status in (*self._supervisor.statuses(), *self.others):
            for name in ModelState:
                state.add_metric([status.id, str(name)], float(status.state is name))
            waiting.add_metric([status.id], status.waiting)
            running.add_metric([status.id], status.running)
            if status.memory_mb is not None:
                memory.add_metric([status.id], status.memory_mb * 1e6)
        return [state, waiting, running, memory]


class _Speakers(Collector):
    """How many are enrolled, where that can be told."""

    def __init__(self, count: Callable[[], int | None]) -> None:
        self._count = count

    def collect(self) -> list[Metric]:
        """Return the one family."""
        family = GaugeMetricFamily("holdfast_voiceprint_speakers", "Speakers who are enrolled")
        count = self._count()
        if count is not None:
            family.add_metric([], count)
        return [family]


class _Jobs(Collector):
    """How many jobs there are over documents, where that can be told."""

    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> list[Metric]:
        """Return the one family."""
        family = GaugeMetricFamily(
            "holdfast_documents_jobs", "Jobs over documents that are kept", labels=["state"]
        )
        for state, count in self._counts().items():
            family.add_metric([state], count)
        return [family]


class Metrics:
    """The numbers of one application.

    Args:
        supervisor: knows the models.
        speakers: returns how many are enrolled; None where that is not known.
        jobs: returns how many jobs there are by state; nothing where that is not known.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        speakers: Callable[[], int | None],
        jobs: Callable[[], Mapping[str, int]],
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Speakers(speakers))
        self._registry.register(_Jobs(jobs))
        self._models = _Models(supervisor)
        self._registry.register(self._models)
        self.requests = Counter(
            "holdfast_requests", "Requests by route and status", ["method", "route", "status"],
            registry=self._registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "holdfast_request_seconds", "Seconds from a request's head to its answer's end",
            ["method", "route"], registry=self._registry, buckets=_BUCKETS_S,
        )  # fmt: skip

        self.decisions = Counter(
            "holdfast_voiceprint_decisions", "What was decided about voices",
            ["question", "outcome"], registry=self._registry,
        )  # fmt: skip

    def text(self, others: Sequence[ModelStatus] = ()) -> bytes:
        """Return them in Prometheus' text form; ``others`` are models that others answer for."""
        self._models.others = others
        return generate_latest(self._registry)


class Observe:
    """Gives every request an id, logs it when it ends, and counts it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        own = _id_of(scope)
        status, started = 0, time.monotonic()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"].endswith("http.response.start"):
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = own
            elif message["type"] == "websocket.accept":
                status = HTTPStatus.SWITCHING_PROTOCOLS
            await send(message)

        token = request_id.set(own)
        try:
            await self._app(scope, receive, noted)
        except Exception:
            _log.exception("%s %s failed (%s)", _method(scope), scope["path"], own)
            if status:
                raise  # the answer has begun: only the connection can be ended
            await unexpected()(scope, receive, noted)
        finally:
            request_id.reset(token)
            self._note(scope, status, time.monotonic() - started, own)

    def _note(self, scope: Scope, status: int, seconds: float, own: str) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        # A method is whatever word a client sends: numbers are kept for those that there are.
        method = _method(scope) if _method(scope) in _METHODS else "OTHER"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        facts = {
            "method": _method(scope),
            "path": scope["path"],
            "status": status,
            "ms": round(1000 * seconds, 1),
            "request_id": own,
        }
        _log.info(
            "%(method)s %(path)s %(status)d in %(ms).1f ms (%(request_id)s)", facts,
            extra={"facts": facts},
        )  # fmt: skip


def _method(scope: Scope) -> str:
    return str(scope.get("method", "GET"))  # of a websocket, which begins as one


def _id_of(scope: Scope) -> str:
    """Return the id that the client or a proxy gave, if it can stand in a log, or a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given = value.decode("latin-1")
            if _SOUND_ID.fullmatch(given):
                return str(given)
    return uuid.uuid4().hex
