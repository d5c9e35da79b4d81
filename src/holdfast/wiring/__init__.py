"""Where objects are put together from settings; nothing else knows how they are made."""

from holdfast.wiring._chosen import STT_MODEL, TTS_MODEL
from holdfast.wiring._document_models import chosen_document_models
from holdfast.wiring._documents import DOCUMENTS_MODEL, Documents
from holdfast.wiring._hearing import LOAD as LOAD_DOCUMENTS
from holdfast.wiring._hearing import told_settings
from holdfast.wiring._provide import (
    Provide,
    Verify,
    provide_from_hub,
    provide_starter,
    verify_stored,
)
from holdfast.wiring._services import (
    Services,
    configured_services,
    document_models,
    services_of,
)
from holdfast.wiring._speech import VAD_MODEL, VoiceActivity
from holdfast.wiring._spoof import SPOOF_MODEL
from holdfast.wiring._starter import starter_repositories
from holdfast.wiring._voiceprint import VOICE_MODEL, voiceprint_of
from holdfast.wiring._voices import KeptVoices

__all__ = [
    "DOCUMENTS_MODEL",
    "LOAD_DOCUMENTS",
    "SPOOF_MODEL",
    "STT_MODEL",
    "TTS_MODEL",
    "VAD_MODEL",
    "VOICE_MODEL",
    "Documents",
    "KeptVoices",
    "Provide",
    "Services",
    "Verify",
    "VoiceActivity",
    "chosen_document_models",
    "configured_services",
    "document_models",
    "provide_from_hub",
    "provide_starter",
    "services_of",
    "starter_repositories",
    "told_settings",
    "verify_stored",
    "voiceprint_of",
]
