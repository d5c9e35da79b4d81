"""Routes about speech."""

import math
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from holdfast.api._schemas import refusals
from holdfast.api._uploads import received_upload
from holdfast.api._waiting import answered
from holdfast.runtime import UnknownModel
from holdfast.speech import OptionInvalid, VadOptions
from holdfast.wiring import Services

__all__ = ["speech_routes"]


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


_OPTIONS: dict[str, Callable[[str], Any]] = {
    "threshold": _finite,
    "neg_threshold": _finite,
    "min_speech_ms": int,
    "min_silence_ms": int,
    "speech_pad_ms": int,
    "max_speech_s": _finite,
}
# What clients of faster-whisper's servers call them.
_ALIASES = {
    "min_speech_duration_ms": "min_speech_ms",
    "min_silence_duration_ms": "min_silence_ms",
    "max_speech_duration_s": "max_speech_s",
}
_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "model": {"type": "string"},
                    **{
                        name: {"type": "integer" if read is int else "number"}
                        for name, read in _OPTIONS.items()
                    },
                },
            }
        }
    },
}


def speech_routes(services: Services, upload_limit_bytes: int) -> APIRouter:
    """Return the routes over ``services``."""
    router = APIRouter()

    @router.post(
        "/v1/audio/speech/timestamps",
        openapi_extra={"requestBody": _FORM},
        responses=refusals(404, 408, 413, 415, 422, 429, 503, 504),
    )
    async def timestamps(request: Request) -> list[dict[str, int]]:
        """Find where somebody speaks: ``[{"start", "end"}]`` in milliseconds."""
        # Before anything is received: a model that will not be there says so at once.
        services.supervisor.expect(services.voice_activity.model)
        async with received_upload(request, upload_limit_bytes) as upload:
            fields = upload.fields
            model = fields.pop("model", services.voice_activity.model)
            if model != services.voice_activity.model:
                raise UnknownModel(
                    f"{model!r} does not detect voice activity",
                    why=f"{services.voice_activity.model!r} does",
                    param="model",
                )
            options = _options(fields)
            submit = services.voice_activity.submit
            found = await answered(request, await run_in_threadpool(submit, upload.file, options))
        return [{"start": segment.start_ms, "end": segment.stop_ms} for segment in found]

    return router


def _options(fields: dict[str, str]) -> VadOptions:
    """Read the form's fields.

    Raises:
        OptionInvalid: one is unknown, not a number, or outside its limits.
    """
    values: dict[str, Any] = {}
    for field, text in fields.items():
        name = _ALIASES.get(field, field)
        read = _OPTIONS.get(name)
        if read is None:
            raise OptionInvalid(
                f"there is no option {field!r}",
                why=f"there are: {', '.join(_OPTIONS)}",
                param=field,
            )
        try:
            values[name] = read(text)
        except ValueError as error:
            kind = "a whole number" if read is int else "a number"
            raise OptionInvalid(
                f"{field} must be {kind}", why=f"it is {text[:40]!r}", param=field
            ) from error
    return VadOptions(**values)
