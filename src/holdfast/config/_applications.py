"""Settings of the applications: speech, voiceprints, documents, and a language model's server.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.config._reading import (
    Reading,
    database,
    flag,
    folder,
    name,
    names,
    networks,
    one_of,
    seconds,
    secret,
    url,
    whole,
)

__all__ = ["APPLICATION_READINGS"]


def _decibels(text: str) -> float:
    value = float(text)
    if not -20 <= value <= 60:
        raise ValueError("must be between -20 and 60 dB")
    return value


def _log_odds(text: str) -> float:
    value = float(text)
    if not -1000 <= value <= 1000:
        raise ValueError("must be between -1000 and 1000")
    return value


def _longest(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 1_000_000:
        raise ValueError("must be between 1 and 1000000 seconds")
    return value


def _kept(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 1e9:
        raise ValueError("must be between 1 and 1000000000 seconds")
    return value


# By table of holdfast.toml.
APPLICATION_READINGS: Mapping[str, Mapping[str, Reading]] = {
    "speech": {
        "speech_transcription_model": Reading(
            name,
            ("HOLDFAST_SPEECH_TRANSCRIPTION_MODEL",),
            "What reads speech: a Whisper model's repository, `repository@revision`, or `none`; "
            "else as the profile says.",
        ),
        "speech_synthesis_model": Reading(
            name,
            ("HOLDFAST_SPEECH_SYNTHESIS_MODEL",),
            "What speaks: a repository with a VITS or Piper voice, `repository@revision#folder` "
            "for one of several, or `none`; else as the profile says.",
        ),
        "speech_transcription_aliases": Reading(
            names,
            ("HOLDFAST_SPEECH_TRANSCRIPTION_ALIASES",),
            "Other names that clients may ask for it by, separated by commas.",
        ),
        "speech_synthesis_aliases": Reading(
            names,
            ("HOLDFAST_SPEECH_SYNTHESIS_ALIASES",),
            "Other names that clients may ask for what speaks by, separated by commas.",
        ),
        "speech_longest_s": Reading(
            _longest,
            ("HOLDFAST_SPEECH_LONGEST_S",),
            "How long a recording that is read, or searched for speech, may be.",
            "s",
        ),
    },
    "voiceprint": {
        "voiceprint_key": Reading(
            secret,
            ("HOLDFAST_VOICEPRINT_KEY",),
            "Key that enrolled voices are sealed with: 32 bytes in base64.",
        ),
        "voiceprint_key_file": Reading(
            folder,
            ("HOLDFAST_VOICEPRINT_KEY_FILE",),
            "File that holds this key; else one is made beside the voices.",
        ),
        "voiceprint_keyring": Reading(
            flag,
            ("HOLDFAST_VOICEPRINT_KEYRING",),
            "Keep this key in the system's keyring, and in no file.",
        ),
        "voiceprint_database": Reading(
            database,
            ("HOLDFAST_VOICEPRINT_DATABASE",),
            "PostgreSQL that keeps enrolled voices, `postgresql://user@host/database`, for several "
            "servers; else they are in the data folder. A password belongs in the variable.",
            "URL",
        ),
        "voiceprint_search": Reading(
            one_of("memory", "database"),
            ("HOLDFAST_VOICEPRINT_SEARCH",),
            "Whether each server has every voice in `memory`, or the `database` compares them "
            "(pgvector).",
        ),
        "voiceprint_enrol_s": Reading(
            seconds,
            ("HOLDFAST_VOICEPRINT_ENROL_S",),
            "Net speech that a speaker should have enrolled in all.",
            "s",
        ),
        "voiceprint_utterance_s": Reading(
            seconds,
            ("HOLDFAST_VOICEPRINT_UTTERANCE_S",),
            "Least net speech in a recording that is enrolled.",
            "s",
        ),
        "voiceprint_min_speech_s": Reading(
            seconds,
            ("HOLDFAST_VOICEPRINT_MIN_SPEECH_S",),
            "Least net speech in a recording that is compared.",
            "s",
        ),
        "voiceprint_min_snr_db": Reading(
            _decibels,
            ("HOLDFAST_VOICEPRINT_MIN_SNR_DB",),
            "Least distance of speech from the background.",
            "dB",
        ),
        "voiceprint_keep_audio": Reading(
            flag,
            ("HOLDFAST_VOICEPRINT_KEEP_AUDIO",),
            "Keep the speech that was enrolled, sealed like the rest, so that another model can "
            "enrol it.",
        ),
        "voiceprint_spoof_model": Reading(
            name,
            ("HOLDFAST_VOICEPRINT_SPOOF_MODEL",),
            "Detector of synthetic speech, a repository or `repository@revision`, or `none`; else "
            "as the profile says. It needs the next one, too.",
        ),
        "voiceprint_spoof_bona_fide": Reading(
            name,
            ("HOLDFAST_VOICEPRINT_SPOOF_BONA_FIDE",),
            "Which of the detector's outputs is a person's own speech: its label, or its number.",
        ),
        "voiceprint_spoof_threshold": Reading(
            _log_odds,
            ("HOLDFAST_VOICEPRINT_SPOOF_THRESHOLD",),
            "Log-odds (natural) below which speech is taken for an attack.",
        ),
    },
    "documents": {
        "documents_processes": Reading(
            whole(0, 64),
            ("HOLDFAST_DOCUMENTS_PROCESSES",),
            "How many documents are converted at a time, each in a process of its own; with 0 "
            "none are.",
        ),
        "documents_layout_model": Reading(
            name,
            ("HOLDFAST_DOCUMENTS_LAYOUT_MODEL",),
            "What finds the regions of pages: a repository such as "
            "`docling-project/docling-layout-heron`, `repository@revision`, or `geometry`, which "
            "is no model; else as the profile says.",
        ),
        "documents_table_model": Reading(
            name,
            ("HOLDFAST_DOCUMENTS_TABLE_MODEL",),
            "What finds the cells of tables: `docling-project/docling-models@v2.3.0`, or `none` "
            "for ruled lines and columns. It needs a layout model.",
        ),
        "documents_database": Reading(
            database,
            ("HOLDFAST_DOCUMENTS_DATABASE",),
            "PostgreSQL that keeps jobs over documents, `postgresql://user@host/database`, for "
            "several servers; else they are in the data folder. A password belongs in the "
            "variable.",
            "URL",
        ),
        "documents_most_pages": Reading(
            whole(1, 1_000_000),
            ("HOLDFAST_DOCUMENTS_MOST_PAGES",),
            "How many pages a document may have.",
        ),
        "documents_longest_s": Reading(
            seconds,
            ("HOLDFAST_DOCUMENTS_LONGEST_S",),
            "How long one document may take.",
            "s",
        ),
        "documents_client_jobs": Reading(
            whole(1, 1_000_000),
            ("HOLDFAST_DOCUMENTS_CLIENT_JOBS",),
            "How many unfinished jobs one client may have, until 429.",
        ),
        "documents_client_running": Reading(
            whole(1, 1_000),
            ("HOLDFAST_DOCUMENTS_CLIENT_RUNNING",),
            "How many jobs of one client are worked on at a time.",
        ),
        "documents_jobs": Reading(
            whole(1, 10_000_000),
            ("HOLDFAST_DOCUMENTS_JOBS",),
            "How many unfinished jobs there may be in all, until 429.",
        ),
        "documents_keep_s": Reading(
            _kept, ("HOLDFAST_DOCUMENTS_KEEP_S",), "How long results are kept.", "s"
        ),
        "documents_keep_jobs": Reading(
            whole(1, 10_000_000),
            ("HOLDFAST_DOCUMENTS_KEEP_JOBS",),
            "Of how many jobs results are kept, the newest.",
        ),
        "documents_recycle_jobs": Reading(
            whole(1, 1_000_000),
            ("HOLDFAST_DOCUMENTS_RECYCLE_JOBS",),
            "After how many jobs a process makes room for a new one.",
        ),
        "documents_recycle_mb": Reading(
            whole(500, 1_000_000),
            ("HOLDFAST_DOCUMENTS_RECYCLE_MB",),
            "With how much memory it does so.",
            "MB",
        ),
        "documents_callback_key": Reading(
            secret,
            ("HOLDFAST_DOCUMENTS_CALLBACK_KEY",),
            "Key that callbacks are signed with (Standard Webhooks, `whsec_...`); without it there "
            "are none.",
        ),
        "documents_allow_addresses": Reading(
            networks,
            ("HOLDFAST_DOCUMENTS_ALLOW_ADDRESSES",),
            "Networks that documents may be fetched from, and callers called back in, although "
            "they are not public, separated by commas: `10.1.0.0/16,192.168.7.2`.",
        ),
    },
    "language": {
        "language_url": Reading(
            url,
            ("HOLDFAST_LANGUAGE_URL",),
            "An OpenAI-compatible server, such as vLLM, with its `/v1`. There is no language "
            "model when unset.",
            "URL",
        ),
        "language_key": Reading(
            secret, ("HOLDFAST_LANGUAGE_KEY",), "Key that this server asks for."
        ),
    },
}
