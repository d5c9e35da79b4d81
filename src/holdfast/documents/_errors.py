"""What can be wrong with a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.errors import HoldfastError

__all__ = [
    "DocumentAddressRefused",
    "DocumentBomb",
    "DocumentDamaged",
    "DocumentEmpty",
    "DocumentEncrypted",
    "DocumentError",
    "DocumentFailed",
    "DocumentKilled",
    "DocumentRequestInvalid",
    "DocumentSlow",
    "DocumentTooLarge",
    "DocumentTooLong",
    "DocumentUnreachable",
    "DocumentUnreadable",
    "DocumentUnsupported",
    "document_error",
]


class DocumentError(HoldfastError):
    """A document that cannot be converted."""

    code = "document-unusable"
    exit_code = 9
    http_status = 422


class DocumentRequestInvalid(DocumentError):
    """What is asked about a document cannot be done."""

    code = "document-request-invalid"
    exit_code = 2


class DocumentEmpty(DocumentError):
    """It has no bytes, or nothing in it can be read."""

    code = "document-empty"


class DocumentUnreadable(DocumentError):
    """The system does not let its file be read."""

    code = "document-unreadable"


class DocumentUnsupported(DocumentError):
    """It is in a form that is not read here, or that nobody asked for."""

    code = "document-unsupported"
    http_status = 415


class DocumentDamaged(DocumentError):
    """It is not what its name and its first bytes say, or is cut short."""

    code = "document-damaged"


class DocumentEncrypted(DocumentError):
    """It wants a password."""

    code = "document-encrypted"


class DocumentFailed(DocumentError):
    """Its reader failed in a way that nobody foresaw."""

    code = "document-failed"
    http_status = 500


class DocumentKilled(DocumentError):
    """Processes have died over it again and again."""

    code = "document-killed"


class DocumentSlow(DocumentError):
    """It takes longer than a document may."""

    code = "document-slow"
    http_status = 504


class DocumentTooLarge(DocumentError):
    """It has more bytes than are taken."""

    code = "document-too-large"
    http_status = 413


class DocumentUnreachable(DocumentError):
    """Its address gives no document."""

    code = "document-unreachable"
    http_status = 424


class DocumentAddressRefused(DocumentError):
    """Its address may not be asked from here."""

    code = "document-address-refused"
    http_status = 422


class DocumentTooLong(DocumentError):
    """It has more pages than are taken."""

    code = "document-too-long"
    http_status = 413


def document_error(told: Mapping[str, Any]) -> DocumentError:
    """Return the error that a job's report tells, in the shape of `HoldfastError.to_dict`."""
    kinds = {kind.code: kind for kind in DocumentError.__subclasses__()}
    kind = kinds.get(str(told.get("code")), DocumentError)
    return kind(
        str(told.get("message", "it was not converted")), why=str(told.get("why", "")),
        hint=str(told.get("hint", "")),
    )  # fmt: skip


class DocumentBomb(DocumentError):
    """What is packed in it would take more room than any document needs."""

    code = "document-bomb"
    http_status = 413
