"""What can be wrong with enrolled voices."""

from __future__ import annotations

from holdfast.errors import HoldfastError

__all__ = [
    "AuditBroken",
    "GalleryUnusable",
    "KeyringUnusable",
    "SearchUnready",
    "SpeakerInvalid",
    "TemplateTampered",
    "UnknownSpeaker",
    "VaultKeyMissing",
    "VaultKeyWrong",
]


class UnknownSpeaker(HoldfastError):
    """An id that no speaker has."""

    code = "unknown-speaker"
    exit_code = 2
    http_status = 404


class SpeakerInvalid(HoldfastError):
    """An id, a name, a tag or exported data that cannot be taken."""

    code = "speaker-invalid"
    exit_code = 2
    http_status = 422


class VaultKeyMissing(HoldfastError):
    """There are templates, and no key to open them with."""

    code = "vault-key-missing"
    exit_code = 2
    http_status = 503
    http_message = "the enrolled voices have no key; the service's log has the reason"


class VaultKeyWrong(HoldfastError):
    """The key is not the one that the templates were sealed with."""

    code = "vault-key-wrong"
    exit_code = 2
    http_status = 503


class KeyringUnusable(HoldfastError):
    """The system's keyring was to hold the voiceprints' key, and there is none that can."""

    code = "keyring-unusable"
    exit_code = 2
    http_status = 503


class TemplateTampered(HoldfastError):
    """A stored template that was changed, or moved to another speaker."""

    code = "template-tampered"
    exit_code = 6
    http_status = 503


class AuditBroken(HoldfastError):
    """Lines of the audit log that were changed, removed or added from outside."""

    code = "audit-broken"
    exit_code = 6
    http_status = 503


class GalleryUnusable(HoldfastError):
    """The place that templates are kept in cannot be read or written."""

    code = "gallery-unusable"
    exit_code = 7
    http_status = 503
    http_message = "the enrolled voices cannot be read or written; the service's log has the reason"


class SearchUnready(HoldfastError):
    """Voices that the database is to be searched for, and that are not all in its table yet."""

    code = "search-unready"
    exit_code = 7
    http_status = 503
