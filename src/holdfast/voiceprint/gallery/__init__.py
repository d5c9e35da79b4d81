"""Enrolled voices: sealed, erasable, searched in memory. Needs the ``voiceprint`` extra."""

from holdfast.voiceprint.gallery._errors import (
    AuditBroken,
    GalleryUnusable,
    KeyringUnusable,
    SearchUnready,
    SpeakerInvalid,
    TemplateTampered,
    UnknownSpeaker,
    VaultKeyMissing,
    VaultKeyWrong,
)
from holdfast.voiceprint.gallery._gallery import Gallery
from holdfast.voiceprint.gallery._index import Found, VoiceIndex
from holdfast.voiceprint.gallery._records import Profile, Template, Utterance, check_profile
from holdfast.voiceprint.gallery._sqlite import SqliteStore
from holdfast.voiceprint.gallery._store import (
    AuditRow,
    EnrolledRow,
    GalleryStore,
    SearchingStore,
    SpeakerRow,
    UtteranceRow,
)
from holdfast.voiceprint.gallery._vault import Vault, new_key, read_key

__all__ = [
    "AuditBroken",
    "AuditRow",
    "EnrolledRow",
    "Found",
    "Gallery",
    "GalleryStore",
    "GalleryUnusable",
    "KeyringUnusable",
    "Profile",
    "SearchUnready",
    "SearchingStore",
    "SpeakerInvalid",
    "SpeakerRow",
    "SqliteStore",
    "Template",
    "TemplateTampered",
    "UnknownSpeaker",
    "Utterance",
    "UtteranceRow",
    "Vault",
    "VaultKeyMissing",
    "VaultKeyWrong",
    "VoiceIndex",
    "check_profile",
    "new_key",
    "read_key",
]
