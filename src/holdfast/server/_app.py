"""The application factory."""

import contextlib
import os
import threading
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from holdfast._version import __version__
from holdfast.api import (
    Doors,
    Metrics,
    Observe,
    OwnPages,
    PassDoors,
    RequireKey,
    Session,
    documents_routes,
    install_error_handlers,
    language_routes,
    model_routes,
    realtime_routes,
    service_routes,
    speech_routes,
    synthesis_routes,
    transcription_routes,
    voiceprint_routes,
)
from holdfast.server._pages import Pages
from holdfast.server._recent import RecentErrors
from holdfast.server._settings import ServerSettings
from holdfast.server._tracing import add_tracing
from holdfast.wiring import Services

__all__ = ["create_app"]

_END_WITHIN_S = 5.0


def create_app(services: Services, settings: ServerSettings | None = None) -> FastAPI:
    """Return the application over ``services``.

    It owns their supervisor: loading begins, in the background, when the application starts, and
    the engines are closed when it ends.
    """
    settings = settings or ServerSettings()
    recent = RecentErrors()
    session = Session(str(settings.key)) if settings.key is not None else None
    pages = Pages(services, recent, session)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        with recent.listening():
            services.supervisor.start()
            voices = threading.Thread(target=services.voices.prepare, daemon=True)
            voices.start()
            try:
                yield
            finally:
                await run_in_threadpool(services.supervisor.close)
                if services.documents is not None:
                    await run_in_threadpool(services.documents.close)
                await services.language.close()
                await run_in_threadpool(services.voices.close)
                # What was still being read ends by that; it may have been opened once more.
                await run_in_threadpool(voices.join, _END_WITHIN_S)
                await run_in_threadpool(services.voices.close)
                await run_in_threadpool(send_spans)

    app = FastAPI(
        title="Holdfast",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from another machine
        redoc_url=None,
    )
    install_error_handlers(app)
    if session is not None:
        app.add_middleware(RequireKey, session=session, sign_in=pages.sign_in)
    app.add_middleware(OwnPages, here_only=session is None)
    doors = app.state.doors = Doors()
    app.add_middleware(PassDoors, doors=doors)
    documents = services.documents
    metrics = Metrics(
        services.supervisor,
        services.voices.count,
        documents.counts if documents is not None else lambda: {},
    )
    send_spans = add_tracing(app, os.environ)
    app.add_middleware(Observe, metrics=metrics)  # the outermost: it sees refusals too
    _include_routes(app, services, settings, metrics)
    pages.mount(app)
    return app


def _include_routes(
    app: FastAPI, services: Services, settings: ServerSettings, metrics: Metrics
) -> None:
    doors, limit = app.state.doors, settings.upload_limit_bytes
    app.include_router(service_routes(services, metrics, doors))
    app.include_router(model_routes(services))
    app.include_router(language_routes(services))
    app.include_router(speech_routes(services, limit))
    app.include_router(transcription_routes(services, limit))
    app.include_router(synthesis_routes(services))
    app.include_router(realtime_routes(services, doors))
    app.include_router(voiceprint_routes(services, limit, metrics))
    app.include_router(documents_routes(services, limit, doors))
