"""Routes, schemas and the error shape. Needs the ``server`` extra."""

from holdfast.api._access import (
    SESSION_COOKIE,
    KeyInvalid,
    OriginRefused,
    OwnPages,
    RequireKey,
    Session,
)
from holdfast.api._documents import documents_routes
from holdfast.api._doors import Doors, PassDoors
from holdfast.api._errors import error_body, install_error_handlers, request_id
from holdfast.api._language import language_routes
from holdfast.api._observe import Metrics, Observe
from holdfast.api._realtime import realtime_routes
from holdfast.api._service import model_routes, service_routes
from holdfast.api._speech import speech_routes
from holdfast.api._synthesis import synthesis_routes
from holdfast.api._transcription import transcription_routes
from holdfast.api._uploads import UnsupportedContent, UploadInvalid, UploadStalled, UploadTooLarge
from holdfast.api._voiceprint import voiceprint_routes

__all__ = [
    "SESSION_COOKIE",
    "Doors",
    "KeyInvalid",
    "Metrics",
    "Observe",
    "OriginRefused",
    "OwnPages",
    "PassDoors",
    "RequireKey",
    "Session",
    "UnsupportedContent",
    "UploadInvalid",
    "UploadStalled",
    "UploadTooLarge",
    "documents_routes",
    "error_body",
    "install_error_handlers",
    "language_routes",
    "model_routes",
    "realtime_routes",
    "request_id",
    "service_routes",
    "speech_routes",
    "synthesis_routes",
    "transcription_routes",
    "voiceprint_routes",
]
