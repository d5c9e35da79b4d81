"""Routes about the service itself: health, readiness, models."""

import time
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from holdfast._version import __version__
from holdfast.api._errors import error_body
from holdfast.runtime import retry_after_s
from holdfast.wiring import Services

__all__ = ["service_routes"]


def service_routes(services: Services) -> APIRouter:
    """Return the routes over ``services``."""
    router = APIRouter()
    started = time.monotonic()
    supervisor = services.supervisor

    @router.get("/health")
    def health() -> dict[str, Any]:
        """Say that the process serves."""
        uptime = round(time.monotonic() - started, 3)
        return {"status": "ok", "version": __version__, "uptime_s": uptime}

    @router.get("/ready", response_model=None)
    def ready() -> JSONResponse:
        """Say whether every preloaded model is present, verified and loaded."""
        waiting = supervisor.not_ready()
        models = [status.to_dict() for status in waiting]
        if not waiting:
            return JSONResponse({"status": "ready", "models": models})
        named = ", ".join(f"{status.id} is {status.state}" for status in waiting)
        body = {
            "status": "not ready",
            **error_body(503, f"not every model is ready: {named}", "not-ready"),
            "models": models,
        }
        return JSONResponse(body, 503, {"Retry-After": str(retry_after_s(waiting))})

    @router.get("/models")
    def models() -> dict[str, Any]:
        """List every configured model and what it is doing."""
        return {"models": [status.to_dict() for status in supervisor.statuses()]}

    @router.post("/models/{model}/load", status_code=202)
    def load(model: str) -> dict[str, Any]:
        """Have a model loaded in the background."""
        return supervisor.load(model).to_dict()

    @router.post("/models/{model}/unload", status_code=202)
    def unload(model: str) -> dict[str, Any]:
        """Take a model out of memory, unless it is answering."""
        return supervisor.unload(model).to_dict()

    return router
