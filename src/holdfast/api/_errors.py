"""Every error in one shape: ``{"error": {"message", "type", "param", "code"}}``."""

import logging
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from holdfast.errors import HoldfastError

__all__ = [
    "error_body",
    "error_response",
    "in_words",
    "install_error_handlers",
    "request_id",
    "unexpected",
]

_log = logging.getLogger(__name__)
# Of the request that is being answered.
request_id: ContextVar[str | None] = ContextVar("holdfast_request_id", default=None)
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
# What a validator's own words are here.
_WORDS = (
    ("Value error, ", ""),
    ("Extra inputs are not permitted", "there is no such field"),
    ("Field required", "it is missing"),
    ("Input should be", "it must be"),
)
_GONE = 499  # what proxies log for a client that left; nobody receives it


def error_body(status: int, message: str, code: str, param: str | None = None) -> dict[str, Any]:
    """Return the body of an answer with this status.

    The form is OpenAI's; ``request_id`` is ours, and stands in the log too.
    """
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    # What somebody sent may be in it, halves of characters too, which no answer can hold.
    error = {
        name: None if text is None else text.encode(errors="backslashreplace").decode()
        for name, text in {"message": message, "type": kind, "param": param, "code": code}.items()
    }
    current = request_id.get()
    return {"error": error | ({"request_id": current} if current else {})}


def error_response(error: HoldfastError, *, detail: str | None = None) -> JSONResponse:
    """Return the answer to a request that ended with ``error``; ``detail`` is told besides."""
    status = error.http_status
    headers = {}
    if "retry_after_s" in error.facts:
        headers["Retry-After"] = str(error.facts["retry_after_s"])
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    # What an engine raised is for the log: it may hold paths and what somebody sent.
    message = error.http_message or (error.what if status == 500 else str(error))
    body = error_body(status, message, error.code, error.facts.get("param"))
    if detail is not None:
        body["detail"] = detail.encode(errors="backslashreplace").decode()
    return JSONResponse(body, status, headers)


def install_error_handlers(app: FastAPI) -> None:
    """Make ``app`` answer every error in the one shape."""
    app.add_exception_handler(HoldfastError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(ClientDisconnect, _gone)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, HoldfastError)
    # Not being ready is said to every client that polls; it is no news in the log.
    only_here = error.http_status == 500 or error.http_message
    level = logging.WARNING if only_here else logging.INFO
    _log.log(level, "%s %s: %s", request.method, request.url.path, error)
    return error_response(error)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    try:
        phrase = HTTPStatus(error.status_code).phrase
    except ValueError:
        phrase = "error"
    code = phrase.lower().replace(" ", "-")
    message = f"{request.method} {request.url.path}: {error.detail or phrase}"
    body = error_body(error.status_code, message, code)
    return JSONResponse(body, error.status_code, error.headers)


async def _validation(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    # Where a value stood: ("body", "options", "threshold") is options.threshold of the body.
    places = [".".join(map(str, problem["loc"][1:])) for problem in problems]
    message = "; ".join(
        f"{place or 'the request'}: {in_words(problem['msg'])}"
        for place, problem in zip(places, problems, strict=True)
    )
    param = places[0] if len(places) == 1 and places[0] else None
    return JSONResponse(error_body(422, message, "request-invalid", param), 422)


def in_words(told: str) -> str:
    """Return what a validator says of a value, in the words of this interface."""
    for theirs, ours in _WORDS:
        told = told.replace(theirs, ours)
    return told


async def _gone(request: Request, error: Exception) -> Response:
    del error
    _log.info("%s %s: the client left", request.method, request.url.path)
    return Response(status_code=_GONE)


def unexpected() -> Response:
    """Return the answer to a request that ended with an error nobody foresaw.

    The log has the traceback; what it says is not for strangers.
    """
    body = error_body(500, "the server failed; its log says where", "internal-error")
    return JSONResponse(body, 500)
