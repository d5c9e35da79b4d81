"""Routes about the service itself: health, readiness, models."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from holdfast._version import __version__
from holdfast.api._doors import Doors
from holdfast.api._errors import error_body
from holdfast.api._observe import Metrics
from holdfast.api._schemas import refusals
from holdfast.runtime import ModelStatus, UnknownModel, retry_after_s
from holdfast.wiring import STT_MODEL, TTS_MODEL, VAD_MODEL, Services

# The example lets those who try the description out meet a model that there is.
ModelId = Annotated[
    str, Path(description="A model's id, as /models lists it", examples=[VAD_MODEL])
]

__all__ = ["model_routes", "service_routes"]


def service_routes(services: Services, metrics: Metrics, doors: Doors) -> APIRouter:
    """Return the routes over ``services``; ``doors`` know whether it is ending."""
    router = APIRouter()
    started = time.monotonic()
    supervisor = services.supervisor

    @router.head("/health", include_in_schema=False)
    @router.get("/health", responses=refusals())
    async def health() -> dict[str, Any]:
        """Say that the process serves."""
        uptime = round(time.monotonic() - started, 3)
        return {"status": "ok", "version": __version__, "uptime_s": uptime}

    @router.head("/ready", include_in_schema=False)
    @router.get("/ready", response_model=None, responses=refusals(503))
    async def ready() -> JSONResponse:
        """Say whether every preloaded model is present, verified and loaded."""
        if doors.closing or supervisor.refusing:
            ending = error_body(503, "the service is ending", "shutting-down")
            return JSONResponse({"status": "ending", **ending}, 503, {"Retry-After": "5"})
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

    @router.get("/metrics", response_class=PlainTextResponse, responses=refusals())
    async def numbers() -> Response:
        """Return the service's numbers in Prometheus' text form."""
        slot = await services.language.status(supervisor.machine)
        return Response(metrics.text([slot]), media_type=CONTENT_TYPE_LATEST)

    return router


def model_routes(services: Services) -> APIRouter:
    """Return the routes about models."""
    router = APIRouter()
    supervisor, created = services.supervisor, int(time.time())

    @router.get("/models", responses=refusals())
    async def models() -> dict[str, Any]:
        """List every configured model and what it is doing."""
        slot = await services.language.status(supervisor.machine)
        return {"models": [status.to_dict() for status in (*supervisor.statuses(), slot)]}

    def listed(status: ModelStatus) -> dict[str, Any]:
        owner = status.repository.partition("/")[0]
        return {"id": status.id, "object": "model", "created": created, "owned_by": owner}

    @router.get("/v1/models", responses=refusals())
    async def openai_models() -> dict[str, Any]:
        """List the models in OpenAI's form."""
        own = [listed(status) for status in supervisor.statuses()]
        return {"object": "list", "data": [*own, *await services.language.models()]}

    @router.get("/v1/models/{model:path}", responses=refusals(404, 422))
    async def openai_model(model: ModelId) -> dict[str, Any]:
        """Tell of one model in OpenAI's form, by any name that requests may call it by."""
        aliases = {
            STT_MODEL: services.service.speech_transcription_aliases,
            TTS_MODEL: services.service.speech_synthesis_aliases,
        }
        for status in supervisor.statuses():
            if model in (status.id, status.repository, *aliases.get(status.id, ())):
                return listed(status) | {"id": model}
        for other in await services.language.models():
            if other["id"] == model:
                return dict(other)
        raise UnknownModel(
            f"there is no model {model[:60]!r} here", why="/v1/models lists those that there are",
            param="model",
        )  # fmt: skip

    def ours(model: str) -> str:
        """Return the name, unless another server answers for the model."""
        if model == services.language.id:
            raise services.language.not_ours()
        return model

    @router.post("/models/{model}/load", status_code=202, responses=refusals(404, 409, 422))
    def load(model: ModelId) -> dict[str, Any]:
        """Have a model loaded in the background."""
        return supervisor.load(ours(model)).to_dict()

    @router.post("/models/{model}/unload", status_code=202, responses=refusals(404, 409, 422))
    def unload(model: ModelId) -> dict[str, Any]:
        """Take a model out of memory, unless it is answering."""
        return supervisor.unload(ours(model)).to_dict()

    return router
