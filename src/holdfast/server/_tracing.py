"""Spans of requests for OpenTelemetry, where its own variables name a collector.

Nothing is sent anywhere unless the user says where to; the variables are the standard's
(https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from holdfast._version import __version__
from holdfast.api import request_id

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["add_tracing"]

_log = logging.getLogger(__name__)
_COLLECTORS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
# Probes and the page ask every second, and say nothing new.
_UNTRACED = "/health$,/ready$,/metrics$,/live$,/static/"


def add_tracing(app: FastAPI, env: Mapping[str, str]) -> Callable[[], None]:
    """Have every request of ``app`` traced, if a collector is named.

    Returns what is to be called at the end: it sends the spans that are left.
    """
    disabled = env.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or not any(env.get(name) for name in _COLLECTORS):
        return lambda: None
    try:
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.util.http import parse_excluded_urls

        provider = _provider()
    except ImportError as error:
        _log.warning(
            "a collector for traces is named, but %s is not installed: pip install "
            "'holdfast[telemetry]'", error.name,
        )  # fmt: skip
        return lambda: None
    app.add_middleware(_NameSpan)
    app.add_middleware(
        OpenTelemetryMiddleware,
        tracer_provider=provider,
        excluded_urls=parse_excluded_urls(_UNTRACED),
        default_span_details=lambda scope: (str(scope.get("method", "HTTP")), {}),
        exclude_spans=["receive", "send"],
    )
    shutdown: Callable[[], None] = provider.shutdown
    return shutdown


def _provider() -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    about = Resource.create({"service.name": "holdfast", "service.version": __version__})
    # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say wins.
    provider = TracerProvider(resource=about.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class _NameSpan:
    """Names a request's span after its route, which is known once it is being answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        from opentelemetry.trace import get_current_span

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                span = get_current_span()
                route = getattr(scope.get("route"), "path", None)
                if route is not None:
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attribute("http.route", route)
                if (current := request_id.get()) is not None:
                    span.set_attribute("holdfast.request_id", current)
            await send(message)

        await self._app(scope, receive, named)
