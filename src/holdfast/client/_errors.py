"""What can be wrong with asking a service."""

from __future__ import annotations

from typing import Any

from holdfast.errors import HoldfastError

__all__ = ["ServiceBusy", "ServiceError", "ServiceUnreachable", "error_of"]


class ServiceError(HoldfastError):
    """An answer that is an error.

    Attributes of every instance, in ``facts``: ``status`` (HTTP), ``service_code`` (the service's
    own code), ``param`` and ``request_id``, which stands in the service's log too.
    """

    code = "service-error"
    exit_code = 11

    @property
    def status(self) -> int:
        """The answer's HTTP status."""
        return int(self.facts.get("status", 0))

    @property
    def service_code(self) -> str:
        """What the service calls the error."""
        return str(self.facts.get("service_code", ""))

    @property
    def retry_after_s(self) -> float | None:
        """The seconds after which asking again makes sense, if the service said so."""
        after = self.facts.get("retry_after_s")
        return None if after is None else float(after)


class ServiceBusy(ServiceError):
    """A service that cannot answer now (429, 503), and still could not when patience ran out."""

    code = "service-busy"
    exit_code = 11


class ServiceUnreachable(HoldfastError):
    """A service that does not answer at all."""

    code = "service-unreachable"
    exit_code = 11


def error_of(status: int, content: Any, retry_after: str | None, url: str) -> ServiceError:
    """Return the error that an answer stands for, whatever its content is."""
    told = content.get("error") if isinstance(content, dict) else None
    told = told if isinstance(told, dict) else {}
    kind = ServiceBusy if status in {429, 503} else ServiceError
    after = None
    if retry_after is not None and retry_after.strip().isdecimal():
        after = float(retry_after)
    return kind(
        f"{url} answered {status}",
        why=str(told.get("message") or "without saying why"),
        hint="export HOLDFAST_API_KEY=KEY, or Client(url, key=KEY)"
        if status == 401
        else "holdfast status shows what the service is doing",
        status=status,
        service_code=told.get("code") or "",
        param=told.get("param"),
        request_id=told.get("request_id"),
        retry_after_s=after,
    )
