"""Settings of the service: where it listens, what it takes on, and how each model is run.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from holdfast.config._applications import APPLICATION_READINGS
from holdfast.config._reading import (
    Reading,
    Secret,
    flag,
    folder,
    name,
    names,
    one_of,
    seconds,
    secret,
    whole,
)

__all__ = ["MODEL_READINGS", "SERVICE_READINGS", "ModelSettings", "Profile", "ServiceSettings"]

Profile = Literal["starter", "standard", "gpu"]


def _milliseconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 10_000 or math.isnan(value):
        raise ValueError("must be between 0 and 10000 milliseconds")
    return value


_IDLE = (
    "Unload a model after so long without a request; the next one loads it again. Never when unset."
)
_WAIT = "How long a request waits for its model to load, or for others before it, until 503 or 429."
_DEADLINE = "How long a model may work on one request, until 504."
_QUEUE = "How many requests may wait for one model, until 429."

# One per model, in its table [models.ID]; for all of them in [runtime], where it is there too.
MODEL_READINGS: Mapping[str, Reading] = {
    "device": Reading(name, (), "`auto`, `cpu`, `cuda` or `cuda:N`."),
    "preload": Reading(
        flag, (), "Load it at start, and count it for readiness; else at its first request."
    ),
    "isolate": Reading(
        flag, (), "Run it in a process of its own, which a crash or hang is kept in."
    ),
    "threads": Reading(whole(1, 64), (), "How many requests it answers at a time."),
    "queue_limit": Reading(whole(1, 100_000), (), _QUEUE),
    "max_batch": Reading(whole(1, 1024), (), "How many requests one call of the engine may take."),
    "batch_wait_ms": Reading(
        _milliseconds, (), "How long a first request waits for others to join it.", "ms"
    ),
    "wait_s": Reading(seconds, (), _WAIT, "s"),
    "deadline_s": Reading(seconds, (), _DEADLINE, "s"),
    "idle_unload_s": Reading(seconds, (), _IDLE, "s"),
}


class ModelSettings(NamedTuple):
    """How one model is run; None leaves it as the model's description or ``[runtime]`` says."""

    device: str | None = None
    preload: bool | None = None
    isolate: bool | None = None
    threads: int | None = None
    queue_limit: int | None = None
    max_batch: int | None = None
    batch_wait_ms: float | None = None
    wait_s: float | None = None
    deadline_s: float | None = None
    idle_unload_s: float | None = None


# By table of holdfast.toml; "" is what stands above all tables.
SERVICE_READINGS: Mapping[str, Mapping[str, Reading]] = {
    "": {
        "profile": Reading(
            one_of("starter", "standard", "gpu"),
            ("HOLDFAST_PROFILE",),
            "`starter` needs no download, `standard` has the real models on a processor, `gpu` on "
            "a GPU.",
        ),
    },
    "server": {
        "host": Reading(name, ("HOLDFAST_HOST",), "Address to listen on."),
        "port": Reading(whole(0, 65_535), ("HOLDFAST_PORT",), "Port to listen on, 0 for any."),
        "api_key": Reading(
            secret,
            ("HOLDFAST_API_KEY",),
            "Key that clients of `holdfast up` must send; needed to listen beyond loopback.",
        ),
        "upload_limit_mb": Reading(
            whole(1, 1_000_000), ("HOLDFAST_UPLOAD_LIMIT_MB",), "The largest request taken.", "MB"
        ),
        "shutdown_s": Reading(
            seconds,
            ("HOLDFAST_SHUTDOWN_S",),
            "How long requests that are here may go on after the service was told to end.",
            "s",
        ),
        "data": Reading(
            folder,
            ("HOLDFAST_DATA",),
            "Folder for what must not be lost, such as enrolled voices; else on a persistent "
            "volume (`/data`), else among the user's data.",
        ),
        "log_format": Reading(
            one_of("text", "json"), ("HOLDFAST_LOG_FORMAT",), "`text` for people, or `json`."
        ),
    },
    "runtime": {
        "memory_budget_mb": Reading(
            whole(1, 100_000_000),
            ("HOLDFAST_MEMORY_BUDGET_MB",),
            "How much memory models may take together. No limit when unset.",
            "MB",
        ),
        "when_full": Reading(
            one_of("refuse", "evict"),
            ("HOLDFAST_WHEN_FULL",),
            "When a model does not fit any more: `refuse` it, or `evict` the one unused for "
            "longest.",
        ),
        "queue_limit": Reading(whole(1, 100_000), ("HOLDFAST_QUEUE_LIMIT",), _QUEUE),
        "wait_s": Reading(seconds, ("HOLDFAST_WAIT_S",), _WAIT, "s"),
        "deadline_s": Reading(seconds, ("HOLDFAST_DEADLINE_S",), _DEADLINE, "s"),
        "idle_unload_s": Reading(seconds, ("HOLDFAST_IDLE_UNLOAD_S",), _IDLE, "s"),
        "allow_licences": Reading(
            names,
            ("HOLDFAST_ALLOW_LICENCES",),
            "Licences that models may have, separated by commas, `*` for any letters: "
            "`apache-2.0,mit,cc-by-4.0`. Others are not loaded. All may be when unset.",
        ),
    },
    **APPLICATION_READINGS,
}


class ServiceSettings(NamedTuple):
    """What the service was told; the tables of ``holdfast.toml`` but ``[hub]``, joined."""

    profile: Profile = "starter"
    host: str = "127.0.0.1"
    port: int = 8000
    api_key: Secret | None = None
    upload_limit_mb: int = 200
    shutdown_s: float = 20.0
    data: Path | None = None
    log_format: Literal["text", "json"] = "text"
    memory_budget_mb: int | None = None
    when_full: Literal["refuse", "evict"] = "refuse"
    queue_limit: int = 64
    wait_s: float = 10.0
    deadline_s: float = 300.0
    idle_unload_s: float | None = None
    speech_transcription_model: str | None = None
    speech_synthesis_model: str | None = None
    speech_transcription_aliases: tuple[str, ...] = (
        "whisper-1",
        "gpt-transcribe",
        "gpt-live-transcribe",
        "gpt-realtime-whisper",
        "gpt-4o-transcribe",
        "gpt-4o-mini-transcribe",
        "gpt-4o-transcribe-diarize",
    )
    speech_synthesis_aliases: tuple[str, ...] = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
    speech_longest_s: float = 14_400.0
    allow_licences: tuple[str, ...] = ()
    voiceprint_key: Secret | None = None
    voiceprint_key_file: Path | None = None
    voiceprint_keyring: bool = False
    voiceprint_database: Secret | None = None
    voiceprint_search: Literal["memory", "database"] = "memory"
    voiceprint_enrol_s: float = 20.0
    voiceprint_utterance_s: float = 3.0
    voiceprint_min_speech_s: float = 2.0
    voiceprint_min_snr_db: float = 2.0
    voiceprint_keep_audio: bool = False
    voiceprint_spoof_model: str | None = None
    voiceprint_spoof_bona_fide: str | None = None
    voiceprint_spoof_threshold: float = 0.0
    documents_processes: int = 1
    documents_layout_model: str | None = None
    documents_table_model: str | None = None
    documents_database: Secret | None = None
    documents_most_pages: int = 2_000
    documents_longest_s: float = 3_600.0
    documents_client_jobs: int = 100
    documents_client_running: int = 16
    documents_jobs: int = 10_000
    documents_keep_s: float = 86_400.0
    documents_keep_jobs: int = 1_000
    documents_recycle_jobs: int = 200
    documents_recycle_mb: int = 4_000
    documents_callback_key: Secret | None = None
    documents_allow_addresses: tuple[str, ...] = ()
    language_url: str = ""
    language_key: Secret | None = None
    models: Mapping[str, ModelSettings] = MappingProxyType({})

    def of_model(self, model: str, **standard: Any) -> dict[str, Any]:
        """Return how a model is run: as its own table says, else ``[runtime]``, else ``standard``.

        Settings that say nothing are left out.
        """
        own = self.models.get(model, ModelSettings())
        found = dict(standard)
        for field in ModelSettings._fields:
            value = getattr(own, field)
            if value is None:
                value = getattr(self, field, None)
            if value is not None:
                found[field] = value
        return found
