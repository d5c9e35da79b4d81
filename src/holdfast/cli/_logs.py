"""The service's log on standard error: lines for people, or JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from holdfast.cli._context import shown

__all__ = ["log_service"]


class _Plain(logging.Formatter):
    """Lines for people: what somebody sent is shown, and does nothing to a terminal or a line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line without its traceback."""
        record.message = shown(record.message).replace("\n", "\\n")
        return super().formatMessage(record)


class _Json(logging.Formatter):
    """One JSON object a line; what a message was made of is kept apart."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        values = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json.dumps(values, ensure_ascii=False, default=str)


def _is_meant(record: logging.LogRecord) -> bool:
    # uvicorn says so, as an error, of every websocket that was refused with a status of its own.
    return record.msg != "ASGI callable returned without completing handshake."


def log_service(form: str, *, quiet: bool, verbose: bool) -> None:
    """Send the service's log to standard error, in the form ``text`` or ``json``.

    Requests are logged when ``verbose``, and always as JSON; ``quiet`` leaves warnings and errors.
    """
    handler = logging.StreamHandler(sys.stderr)
    plain = _Plain("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
    handler.setFormatter(_Json() if form == "json" else plain)
    ours = logging.getLogger("holdfast")
    ours.handlers = [handler]
    ours.propagate = False
    ours.setLevel(logging.WARNING if quiet else logging.INFO)
    if form == "text" and not verbose:
        logging.getLogger("holdfast.access").setLevel(logging.WARNING)
    for name in ("uvicorn.error", "asyncio"):
        others = logging.getLogger(name)
        others.handlers = [handler]
        others.propagate = False
    logging.getLogger("uvicorn.error").addFilter(_is_meant)
