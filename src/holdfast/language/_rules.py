"""What is made of another server's answers.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, NamedTuple

__all__ = [
    "Trouble",
    "foreign_error",
    "is_openai_error",
    "models_in",
    "no_list",
    "passed_headers",
    "passed_status",
    "refused_list",
    "trouble_in",
]

_PASSED = re.compile(r"content-type|retry-after|cache-control|(?:openai|x-ratelimit)-[a-z0-9-]+")
_SOUND = re.compile(r"[\t\x20-\x7e]{1,1000}")
_AGAIN_S = 5
_ADDRESS = "is HOLDFAST_LANGUAGE_URL the address of an OpenAI-compatible server, with its /v1?"


class Trouble(NamedTuple):
    """Why a server cannot be used.

    Attributes:
        retry_after_s: when to ask again; None where it does not pass by itself.
        silent: there was no answer at all.
    """

    why: str
    hint: str = _ADDRESS
    retry_after_s: int | None = _AGAIN_S
    silent: bool = False


def trouble_in(status: int, kind: str) -> Trouble | None:
    """Return why an answer is not for the client, from its status and its content's kind.

    Errors in OpenAI's form are, but for those about what the service itself showed: a client that
    is told of a wrong key takes its own for wrong.
    """
    shown = _shown(status)
    if status in {401, 403}:
        hint = "set HOLDFAST_LANGUAGE_KEY to the key that it asks for"
        return Trouble(f"it answered {shown}: it wants a key, or another one", hint, None)
    if status == 407:
        hint = "a proxy on the way asks who is there: look at HTTP_PROXY, or set NO_PROXY"
        return Trouble(f"it answered {shown}", hint, None)
    if 300 <= status < 400:
        hint = "set HOLDFAST_LANGUAGE_URL to where it points; a redirect is not followed with a key"
        return Trouble(f"it points elsewhere: {shown}", hint, None)
    if not 200 <= status < 600:
        return Trouble(f"it answered {status}, and that is no answer")
    if status < 300 and "html" in kind:
        return Trouble(f"it answered a page for browsers ({kind})", retry_after_s=None)
    return None


def foreign_error(status: int) -> Trouble:
    """Return what to say of an error in no form of OpenAI's: a proxy's, or a web server's."""
    after = _AGAIN_S if status >= 500 else None
    return Trouble(f"it answered {_shown(status)}, and not in OpenAI's form", retry_after_s=after)


def refused_list(status: int) -> Trouble:
    """Return what to say of a server that does not tell its models."""
    return Trouble(f"it answered {_shown(status)} when asked for its models")


def no_list(error: ValueError) -> Trouble:
    """Return what to say of a list of models that is none."""
    return Trouble(f"its list of models cannot be read: {error}")


def passed_status(status: int) -> int:
    """Return the status to answer with: a 500 of ours would be a fault of ours."""
    return 502 if status >= 500 and status not in {503, 504} else status


def passed_headers(given: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return those of an answer's headers that are passed on; the first of each name."""
    passed: dict[str, str] = {}
    for raw_name, raw_value in given:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if _PASSED.fullmatch(name) and _SOUND.fullmatch(value):
            passed.setdefault(name, value)
    return passed


def is_openai_error(content: bytes) -> bool:
    """Return whether an answer's body is an error in OpenAI's form."""
    try:
        error = json.loads(content)["error"]
        return isinstance(error["message"], str)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def models_in(content: bytes) -> list[dict[str, Any]]:
    """Return the models that a list in OpenAI's form names.

    What is nested in them is left out: it is old, it is no model's name, and how deep it goes is
    not in our hands.

    Raises:
        ValueError: it is no such list, or holds what cannot be said in JSON.
    """
    try:
        listed = json.loads(content)["data"]
        models = [
            {name: value for name, value in item.items() if not isinstance(value, dict | list)}
            for item in listed
        ]
        if not all(isinstance(model["id"], str) for model in models):
            raise ValueError("a model has no name")
        # Half of a pair of surrogates and numbers without end are read, and cannot be written.
        json.dumps(models, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"it has not OpenAI's form: {type(error).__name__}: {error}") from error
    return models


def _shown(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
