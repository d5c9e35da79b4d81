"""The error's form as the API's description has it."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

__all__ = ["refusals"]


class ErrorDetail(BaseModel):
    """What went wrong, in OpenAI's form; ``request_id`` is in the service's log too."""

    message: str
    type: str
    param: str | None
    code: str
    request_id: str | None = None


class ErrorAnswer(BaseModel):
    """An answer that is an error."""

    error: ErrorDetail


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of error answers with these statuses, and with those all have.

    A 500 is described nowhere: it is a fault."""
    return {
        status: {"model": ErrorAnswer, "description": HTTPStatus(status).phrase}
        for status in sorted({401, 403, *statuses})
    }
