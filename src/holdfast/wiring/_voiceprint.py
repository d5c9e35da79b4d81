"""Voiceprints: the model, the speech that it is given, and where enrolled voices are kept."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.config import ServiceSettings, Settings
from holdfast.places import SearchPath, data_folder, surroundings
from holdfast.refs import RepoRef
from holdfast.runtime import Needs, Supervisor, check_wanted, done_apart
from holdfast.voiceprint import (
    FINGERPRINT_FILE,
    SCALE_FILE,
    Cohort,
    Gates,
    Heard,
    Limits,
    RecordingTooLong,
    Scale,
    Voiceprint,
    fingerprint,
    load_voice,
    measure,
    read_scale,
    spoken,
    with_pauses,
)
from holdfast.wiring._speech import VAD_MODEL, sendable
from holdfast.wiring._spoof import ChosenDetector

if TYPE_CHECKING:
    from holdfast.media import AudioSource
    from holdfast.speech import VoiceActivityEngine
    from holdfast.voiceprint.gallery import Gallery, Vault

__all__ = ["VOICE_MODEL", "KeptVoices", "converter", "voice_description", "voiceprint_of"]

VOICE_MODEL = "voiceprint"
_LONGEST_S = 600
_RATE_HZ = 16_000
_KEY_FILE = "voiceprint.key"
_OWN_SCALE = "voiceprint-scale.json"
_COHORT = "voiceprint-cohort"
# Bytes of a wrapped key: what the cohort's file begins with.
_WRAPPED = 60


def voice_description() -> dict[str, Any]:
    """Return what the model is and needs, in the terms of `ModelSpec`."""
    return {
        "task": "speaker-verification",
        "licence": "Apache-2.0",
        "load": load_voice,
        "needs": Needs(memory_mb=300),
        "max_batch": 8,
    }


def converter(settings: Settings, env: Mapping[str, str], repo: RepoRef) -> Callable[[Path], Path]:
    """Return what makes a graph of a revision's checkpoint, once, in the home."""

    def convert(folder: Path) -> Path:
        from holdfast.store import Derivation, RepoFolder, derived
        from holdfast.voiceprint.engines.ecapa import CONVERTER, GRAPH

        if (folder / GRAPH).is_file():
            return folder  # somebody has done it already
        home = SearchPath(settings, surroundings(env)).home
        home.make()
        what = Derivation("onnx", CONVERTER, _make_graph)
        own = RepoFolder(home.hub, repo)
        proven = home.probe.lock == "proven"
        return derived(own, folder.name, folder, what, home.modes, proven=proven)

    return convert


def _make_graph(source: Path, target: Path) -> None:
    # Torch takes seconds and the interpreter while it is imported, and a gigabyte for good.
    done_apart("the conversion to a graph", graph_of, source, target)


def graph_of(source: Path, target: Path) -> None:
    """Make a graph of a checkpoint, and what goes with it."""
    from holdfast.voiceprint.engines.ecapa import CHECKPOINT, convert_ecapa

    convert_ecapa(source, target)
    # The graph stands for the checkpoint: templates of the one are compared with the other's.
    (target / FINGERPRINT_FILE).write_text(fingerprint(source / CHECKPOINT), "ascii")
    if (source / SCALE_FILE).is_file():
        shutil.copyfile(source / SCALE_FILE, target / SCALE_FILE)


def voiceprint_of(
    supervisor: Supervisor,
    service: ServiceSettings,
    kept: KeptVoices,
    detector: ChosenDetector | None,
) -> Voiceprint:
    """Return the application over a supervisor's models."""

    def hear(source: AudioSource) -> Any:
        return supervisor.submit(VAD_MODEL, _listen, sendable(supervisor, VAD_MODEL, source))

    snr = service.voiceprint_min_snr_db
    limits = Limits(
        enrol=Gates(min_speech_s=service.voiceprint_utterance_s, min_snr_db=snr),
        verify=Gates(min_speech_s=service.voiceprint_min_speech_s, min_snr_db=snr),
        enrol_speech_s=service.voiceprint_enrol_s,
    )
    return Voiceprint(
        supervisor,
        VOICE_MODEL,
        hear,
        kept.open,
        limits,
        kept.scale,
        kept.cohort,
        None if detector is None else detector.detection,
    )


def _listen(engine: VoiceActivityEngine, source: AudioSource) -> Heard:
    """Read a recording, and keep the speech in it and what it is good for."""
    import numpy as np

    from holdfast.media import audio_blocks
    from holdfast.speech import VadOptions, detect_speech

    blocks, samples = [], 0
    for block in audio_blocks(source):
        check_wanted()
        blocks.append(block)
        samples += len(block)
        if samples > _LONGEST_S * _RATE_HZ:
            raise RecordingTooLong(
                f"a recording for a voiceprint may last at most {_LONGEST_S} s",
                why="a voice is known after some twenty seconds of speech",
                hint=f"ffmpeg -i RECORDING -t {_LONGEST_S} SHORTER.flac",
            )
    waveform = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    found = detect_speech(engine, blocks, VadOptions(speech_pad_ms=60))
    per_ms = _RATE_HZ // 1000
    segments = [(each.start_ms * per_ms, each.stop_ms * per_ms) for each in found]
    natural = spoken(waveform, with_pauses(segments, len(waveform)))
    return Heard(spoken(waveform, segments), natural, measure(waveform, segments))


class KeptVoices:
    """Opens the enrolled voices when they are first asked for, and closes them once.

    Args:
        service: where data and the key are.
        env: the environment's variables.
    """

    def __init__(self, service: ServiceSettings, env: Mapping[str, str]) -> None:
        self._service = service
        self._env = env
        self._turn = threading.Lock()
        self._gallery: Gallery | None = None
        self._vault: Vault | None = None

    def folder(self) -> Path:
        """Return where they are kept.

        Raises:
            NoDataFolder: nothing can be kept on this machine.
        """
        return data_folder(self._service.data, surroundings(self._env))

    def open(self) -> Gallery:
        """Return them.

        Raises:
            HoldfastError: there is no place, no key, or not the right one.
        """
        with self._turn:
            if self._gallery is None:
                from holdfast.voiceprint.gallery import Gallery, SqliteStore, Vault

                folder = self.folder() / "voiceprint"
                vault = Vault(self._key(folder))
                self._gallery = Gallery(SqliteStore(folder, vault.chain), vault)
                self._vault = vault
            return self._gallery

    def scale(self) -> Scale | None:
        """Return the scale that was fitted here, if one was."""
        path = self.folder() / _OWN_SCALE
        return read_scale(path.read_text("utf-8"), str(path)) if path.is_file() else None

    def cohort(self) -> Cohort | None:
        """Return the voices that scores are normalised with, if they were kept."""
        path = self.folder() / _COHORT
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        key, sealed = content[:_WRAPPED], content[_WRAPPED:]
        vault = self._opened_vault()
        return Cohort.from_bytes(vault.open(_COHORT, key, sealed, "cohort"))

    def keep_scale(self, scale: Scale, cohort: Cohort | None = None) -> Path:
        """Put a scale, and the cohort that it needs, in the place of the model's own.

        Returns:
            the scale's file.
        """
        from holdfast.places import Modes, write_file

        if cohort is not None:
            vault = self._opened_vault()
            key = vault.new_speaker_key(_COHORT)
            sealed = vault.seal(_COHORT, key, cohort.to_bytes(), "cohort")
            write_file(self.folder() / _COHORT, key + sealed, Modes())
        path = self.folder() / _OWN_SCALE
        write_file(path, scale.text().encode(), Modes())
        return path

    def _opened_vault(self) -> Vault:
        """Return what seals, whose key is known to be the right one."""
        self.open()
        assert self._vault is not None
        return self._vault

    def close(self) -> None:
        """Let go of them."""
        with self._turn:
            if self._gallery is not None:
                self._gallery.close()
                self._gallery = None

    def _key(self, folder: Path) -> bytes:
        """Return the master key: as given, or from its file, which is made with the first voice."""
        from holdfast.voiceprint.gallery import VaultKeyMissing, new_key, read_key

        if self._service.voiceprint_key is not None:
            return read_key(self._service.voiceprint_key)
        path = self._service.voiceprint_key_file or folder / _KEY_FILE
        try:
            return read_key(path.read_text("ascii"))
        except (FileNotFoundError, UnicodeDecodeError) as error:
            if (folder / "voiceprint.sqlite").exists() or isinstance(error, UnicodeDecodeError):
                raise VaultKeyMissing(
                    "the enrolled voices cannot be opened", why=f"there is no key in {path}",
                    hint="bring the key file back, or set HOLDFAST_VOICEPRINT_KEY",
                ) from error  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = new_key()
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return read_key(path.read_text("ascii"))  # another process was quicker
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        return read_key(text)
