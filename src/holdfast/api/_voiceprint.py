"""Routes about voiceprints: speakers, enrolment, verification, identification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from holdfast.api._errors import request_id
from holdfast.api._observe import Metrics
from holdfast.api._recordings import CHANNEL, CHANNEL_FIELD, recordings_of
from holdfast.api._schemas import refusals
from holdfast.api._uploads import Upload, UploadInvalid, received_object, received_upload
from holdfast.api._waiting import carried_out
from holdfast.wiring import Services

__all__ = ["voiceprint_routes"]

_MOST_FILES = 50
_MOST_CANDIDATES = 100
_MOST_LISTED = 1000
_MOST_PROFILE_BYTES = 1_000_000
_ASKED = (404, 408, 413, 415, 422, 429, 503, 504)
SpeakerId = Annotated[str, Path(description="A speaker's id", examples=["ada"])]
Limit = Annotated[int, Query(ge=1, le=_MOST_LISTED, description="How many at most")]
_FILE = {"type": "string", "format": "binary"}


class SpeakerProfile(BaseModel):
    """What is known of a speaker besides the voice."""

    model_config = ConfigDict(extra="forbid")

    display_name: str = ""
    tags: list[str] = Field(default_factory=list)
    consent: str = ""


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the description of a body in JSON."""
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def _form(more: dict[str, Any] | None = None, *, several: bool = False) -> dict[str, Any]:
    """Return the description of a form with recordings."""
    file = {"type": "array", "items": _FILE, "minItems": 1} if several else _FILE
    schema = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": file, **CHANNEL_FIELD, **(more or {})},
    }
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


def voiceprint_routes(services: Services, upload_limit_bytes: int, metrics: Metrics) -> APIRouter:
    """Return the routes over ``services``; what is decided is counted."""
    router = APIRouter(prefix="/v1/voiceprint")

    def decided(question: str, outcome: str, times: int = 1) -> None:
        metrics.decisions.labels(question, outcome).inc(times)

    _speaker_routes(router, services, upload_limit_bytes)
    _speaker_route(router, services)
    _compared_routes(router, services, upload_limit_bytes, decided)
    _searched_routes(router, services, upload_limit_bytes, decided)
    return router


def _speaker_routes(router: APIRouter, services: Services, limit: int) -> None:
    app = services.voiceprint

    @router.get("/speakers", responses=refusals(400, 422, 503))
    def speakers(after: str = "", limit: Limit = _MOST_LISTED) -> dict[str, Any]:
        """List speakers by id; ``next`` is what to give as ``after`` for more, or null.

        ``damaged`` has the ids of those whose profiles do not open.
        """
        found = list(islice(app.gallery.listed(after), limit + 1))
        shown = found[:limit]
        return {
            "speakers": [asdict(profile) for _, profile in shown if profile is not None],
            "damaged": [speaker for speaker, profile in shown if profile is None],
            "next": shown[-1][0] if len(found) > limit else None,
        }

    @router.post(
        "/speakers",
        status_code=201,
        openapi_extra=_object({"type": "object"}),
        responses=refusals(400, 413, 422, 503),
    )
    async def take_in(request: Request) -> dict[str, Any]:
        """Add a speaker that was exported, with all that was enrolled."""
        _, content = await received_object(request, limit)
        profile = await run_in_threadpool(lambda: app.gallery.take_in(content, _by()))
        return asdict(profile)

    @router.get("/speakers/{speaker}/export", responses=refusals(404, 422, 503))
    def export(speaker: SpeakerId) -> dict[str, Any]:
        """Return all that is kept of a speaker, vectors too; it is noted in the audit log."""
        return app.gallery.export(speaker, _by())


def _speaker_route(router: APIRouter, services: Services) -> None:
    app = services.voiceprint

    @router.put(
        "/speakers/{speaker}",
        openapi_extra=_object(SpeakerProfile.model_json_schema()),
        responses=refusals(400, 413, 422, 503),
    )
    async def put(speaker: SpeakerId, request: Request) -> dict[str, Any]:
        """Create a speaker, or replace what is known besides the voice."""
        from holdfast.voiceprint.gallery import Profile

        # Received by hand: the framework would take a body of any length.
        _, content = await received_object(request, _MOST_PROFILE_BYTES)
        try:
            about = SpeakerProfile.model_validate(content)
        except ValidationError as error:
            found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
            raise RequestValidationError(found) from error
        profile = Profile(
            id=speaker,
            display_name=about.display_name,
            tags=tuple(about.tags),
            consent=about.consent,
        )
        return asdict(await run_in_threadpool(lambda: app.gallery.put(profile, _by())))

    @router.get("/speakers/{speaker}", responses=refusals(404, 422, 503))
    def one(speaker: SpeakerId) -> dict[str, Any]:
        """Return a speaker and what is enrolled; no vector leaves."""
        gallery = app.gallery
        enrolled = [
            {"id": each.id, "model": each.model, "speech_s": each.speech_s,
             "created": each.created, "quality": dict(each.facts)}
            for each in gallery.utterances(speaker)
        ]  # fmt: skip
        return {**asdict(gallery.profile(speaker)), "utterances": enrolled}

    @router.delete("/speakers/{speaker}", status_code=204, responses=refusals(404, 422, 503))
    def erase(speaker: SpeakerId) -> Response:
        """Destroy all that is kept of a speaker, the key first of all."""
        app.gallery.erase(speaker, _by())
        return Response(status_code=204)


def _expect(services: Services) -> None:
    """Say before anything is received that a model will not be there."""
    services.supervisor.expect(services.voice_activity.model)
    services.supervisor.expect(services.voiceprint.model)


def _expect_detector(services: Services) -> None:
    """Say the same of the detector of spoofing, where one is mounted."""
    if services.voiceprint.detector is not None:
        services.supervisor.expect(services.voice_activity.model)
        services.supervisor.expect(services.voiceprint.detector)


def _compared_routes(
    router: APIRouter, services: Services, limit: int, decided: Callable[..., None]
) -> None:
    app = services.voiceprint

    @router.post(
        "/speakers/{speaker}/enrollments",
        openapi_extra=_form(several=True),
        responses=refusals(*_ASKED),
    )
    async def enrol(speaker: SpeakerId, request: Request) -> dict[str, Any]:
        """Add recordings to a speaker: each accepted or refused, and how much more is needed."""
        _expect(services)
        _expect_detector(services)
        await run_in_threadpool(lambda: app.gallery.profile(speaker))
        async with received_upload(request, limit, _MOST_FILES) as upload:
            _only(upload, set())
            files = recordings_of(upload)
            done = await carried_out(request, app.enrol(speaker, files, _by()))
        decided("enroll", "enrolled", done.accepted)
        decided("enroll", "refused", len(done.utterances) - done.accepted)
        return done.to_dict()

    @router.post(
        "/verify",
        openapi_extra=_form({"speaker_id": {"type": "string"}}, several=True),
        responses=refusals(*_ASKED),
    )
    async def verify(request: Request) -> dict[str, Any]:
        """Decide whether a voice is a speaker's, or whether two recordings are of one voice."""
        _expect(services)
        _expect_detector(services)
        async with received_upload(request, limit, 2) as upload:
            _only(upload, {"speaker_id"})
            speaker = upload.fields.get("speaker_id")
            if (speaker is None) == (len(upload.files) == 1):
                raise UploadInvalid(
                    "it is not clear what the voice is to be compared with",
                    why="send one file and a speaker_id, or two files",
                    param="speaker_id",
                )
            files = recordings_of(upload)
            steps = (
                app.compare(*files) if speaker is None
                else app.verify(speaker, files[0], _by())
            )  # fmt: skip
            found = await carried_out(request, steps)
        decided("compare" if speaker is None else "verify", found.decision.outcome)
        return found.to_dict()


def _searched_routes(
    router: APIRouter, services: Services, limit: int, decided: Callable[..., None]
) -> None:
    app = services.voiceprint

    @router.post(
        "/identify",
        openapi_extra=_form({"top_k": {"type": "integer", "minimum": 1, "default": 5}}),
        responses=refusals(*_ASKED),
    )
    async def identify(request: Request) -> dict[str, Any]:
        """Say who a voice sounds like, among all that are enrolled; nobody where none is close."""
        _expect(services)
        _expect_detector(services)
        async with received_upload(request, limit) as upload:
            _only(upload, {"top_k"})
            most = _count(upload.fields.get("top_k", "5"))
            (file,) = recordings_of(upload)
            found = await carried_out(request, app.identify(file, most, _by()))
        decided("identify", "found" if found.candidates else "nobody")
        return found.to_dict()

    @router.post("/spoof", openapi_extra=_form(), responses=refusals(*_ASKED))
    async def spoof(request: Request) -> dict[str, Any]:
        """Say whether speech is a person's own; without a detector that it was not evaluated."""
        _expect_detector(services)
        async with received_upload(request, limit) as upload:
            _only(upload, set())
            (file,) = recordings_of(upload)
            found = await carried_out(request, app.detect(file))
        decided("spoof", found.decision)
        return found.to_dict()

    @router.post("/embeddings", openapi_extra=_form(), responses=refusals(*_ASKED))
    async def embeddings(request: Request) -> dict[str, Any]:
        """Return the vector of the speech in a recording; null where there is too little."""
        _expect(services)
        async with received_upload(request, limit) as upload:
            _only(upload, set())
            (file,) = recordings_of(upload)
            found = await carried_out(request, app.examine(file))
        vector = None if found.vector is None else [float(value) for value in found.vector]
        return {
            "embedding": vector,
            "quality": found.quality.to_dict(),
            "model": found.model,
            "revision": found.revision,
        }


def _only(upload: Upload, known: set[str]) -> None:
    known = known | {CHANNEL}
    unknown = sorted(set(upload.fields) - known)
    if unknown:
        raise UploadInvalid(
            f"there is no field {unknown[0][:40]!r}",
            why=f"besides 'file' there is {', '.join(sorted(known)) or 'none'}",
            param=unknown[0][:40],
        )
    if upload.repeated:
        name = min(upload.repeated)
        raise UploadInvalid(
            f"there is more than one field {name!r}", why="it is not clear which counts", param=name
        )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:6]) <= _MOST_CANDIDATES:
        raise UploadInvalid(
            "top_k must be a whole number", why=f"of 1 to {_MOST_CANDIDATES}", param="top_k"
        )
    return int(text)


def _by() -> str:
    """Return what the audit log says of who asked: the request, which the service's log has too."""
    return f"request {request_id.get()}"
