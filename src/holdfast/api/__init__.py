"""Routes, schemas and the error shape. Needs the ``server`` extra."""

from holdfast.api._access import KeyInvalid, RequireKey
from holdfast.api._errors import error_body, install_error_handlers
from holdfast.api._language import language_routes
from holdfast.api._observe import Metrics, Observe
from holdfast.api._service import model_routes, service_routes
from holdfast.api._speech import speech_routes
from holdfast.api._uploads import UnsupportedContent, UploadInvalid, UploadTooLarge

__all__ = [
    "KeyInvalid",
    "Metrics",
    "Observe",
    "RequireKey",
    "UnsupportedContent",
    "UploadInvalid",
    "UploadTooLarge",
    "error_body",
    "install_error_handlers",
    "language_routes",
    "model_routes",
    "service_routes",
    "speech_routes",
]
