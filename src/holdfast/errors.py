"""Every error a person can meet: a code, what happened, why, and a hint that can be pasted.

This module imports nothing of Holdfast. Branch on the class or on ``code``, never on the text.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "AccessDenied",
    "CommandNotFound",
    "CommandNotRunnable",
    "ConfigInvalid",
    "CorruptFiles",
    "DigestMismatch",
    "EntryNotFound",
    "GatedRepo",
    "HoldfastError",
    "HubProtocolError",
    "HubUnavailable",
    "LockStale",
    "ManifestInvalid",
    "MissingExtra",
    "NamesImpossible",
    "NoDataFolder",
    "NoUsableHome",
    "NotEnoughSpace",
    "NotHere",
    "RateLimited",
    "ReferenceInvalid",
    "RepoNotFound",
    "RevisionNotFound",
    "StorageFailed",
    "TooLate",
]


class HoldfastError(Exception):
    """The root. ``str()`` is for people: what happened, then why.

    Attributes:
        code: kebab-case name, stable between releases.
        exit_code: what the command line exits with.
        http_status: what the server answers with.
        http_message: what strangers are told instead, where the text names places of this machine.
        facts: machine-readable details (repository, file, expected, actual ...).
    """

    code: ClassVar[str] = "holdfast-error"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    http_message: ClassVar[str] = ""

    def __init__(self, what: str, *, why: str = "", hint: str = "", **facts: Any) -> None:
        self.what = what
        self.why = why
        self.hint = hint
        self.facts = facts
        super().__init__(what)

    def __str__(self) -> str:
        return f"{self.what}: {self.why}" if self.why else self.what

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.what, self.why, self.hint, self.facts)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as JSON-ready data."""
        return {
            "code": self.code,
            "message": self.what,
            "why": self.why,
            "hint": self.hint,
            **({"facts": self.facts} if self.facts else {}),
        }


def _made_again(
    kind: type[HoldfastError], what: str, why: str, hint: str, facts: dict[str, Any]
) -> HoldfastError:
    return kind(what, why=why, hint=hint, **facts)


class ReferenceInvalid(HoldfastError):
    """A repository, revision, path or digest that is not well formed."""

    code = "reference-invalid"
    exit_code = 2
    http_status = 422


class ConfigInvalid(HoldfastError):
    """A setting whose value cannot be used."""

    code = "config-invalid"
    exit_code = 2


class ManifestInvalid(HoldfastError):
    """``models.toml`` or ``models.lock`` cannot be read as such."""

    code = "manifest-invalid"
    exit_code = 2


class MissingExtra(HoldfastError):
    """A feature whose libraries are not installed."""

    code = "missing-extra"
    exit_code = 2
    http_status = 503


class NoUsableHome(HoldfastError):
    """No candidate can hold models; every one is listed with the reason."""

    code = "no-usable-home"
    exit_code = 3


class NoDataFolder(HoldfastError):
    """No folder can keep what must not be lost; every one that was tried is listed."""

    code = "no-data-folder"
    exit_code = 3
    http_status = 503
    http_message = "there is no folder to keep data in; the service's log has the reasons"


class RepoNotFound(HoldfastError):
    """The Hub knows no such repository, or hides it from this token."""

    code = "repo-not-found"
    exit_code = 4
    http_status = 404


class RevisionNotFound(HoldfastError):
    """The repository has no such branch, tag or commit."""

    code = "revision-not-found"
    exit_code = 4
    http_status = 404


class EntryNotFound(HoldfastError):
    """The revision has no such file, or the patterns match none."""

    code = "entry-not-found"
    exit_code = 4
    http_status = 404


class GatedRepo(HoldfastError):
    """The repository asks for its conditions to be accepted first."""

    code = "gated-repo"
    exit_code = 4
    http_status = 403


class AccessDenied(HoldfastError):
    """The Hub refused the token, or wants one."""

    code = "access-denied"
    exit_code = 4
    http_status = 401


class HubUnavailable(HoldfastError):
    """No usable answer within the limits: refused, silent, cut off, or 5xx to the end."""

    code = "hub-unavailable"
    exit_code = 5
    http_status = 503


class RateLimited(HubUnavailable):
    """The Hub asked to wait longer than we are willing to."""

    code = "rate-limited"


class HubProtocolError(HubUnavailable):
    """Something answered, but it does not speak the Hub's protocol."""

    code = "hub-protocol-error"


class NotHere(HoldfastError):
    """Only local files may be used, and what was asked for is not complete here."""

    code = "not-here"
    exit_code = 5
    http_status = 503


class DigestMismatch(HoldfastError):
    """The bytes received are not the bytes promised, twice."""

    code = "digest-mismatch"
    exit_code = 6


class CorruptFiles(HoldfastError):
    """Stored files whose content is not what their digest says."""

    code = "corrupt-files"
    exit_code = 6


class NotEnoughSpace(HoldfastError):
    """The plan does not fit on the disk; nothing was downloaded."""

    code = "not-enough-space"
    exit_code = 7


class NamesImpossible(HoldfastError):
    """Names in the repository that cannot exist, or cannot coexist, in this folder."""

    code = "names-impossible"
    exit_code = 7


class StorageFailed(HoldfastError):
    """The file system refused an operation that its probe had allowed."""

    code = "storage-failed"
    exit_code = 7


class LockStale(HoldfastError):
    """``models.lock`` does not say what ``models.toml`` asks for."""

    code = "lock-stale"
    exit_code = 8


class CommandNotFound(HoldfastError):
    """The command that `holdfast run` was given does not exist."""

    code = "command-not-found"
    exit_code = 127


class CommandNotRunnable(HoldfastError):
    """The command that `holdfast run` was given exists, and the system will not start it."""

    code = "command-not-runnable"
    exit_code = 126


class TooLate(HoldfastError):
    """A library has read its variable before `holdfast.activate`, and cannot be told again."""

    code = "too-late"
    exit_code = 2
