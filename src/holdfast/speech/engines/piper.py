"""Piper voices: VITS as an ONNX graph, with a description beside it (rhasspy/piper-voices).

Most are trained on espeak-ng's phonemes. That library is GPL-3, and comes with an extra of its
own: such a voice is for a process of its own (``isolate`` in the runtime's `ModelSpec`). Voices of
letters (``phoneme_type: text``) need no espeak-ng.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.runtime import (
    EngineAnswerInvalid,
    EngineUnusable,
    cannot_load,
    check_wanted,
    onnx_session,
)
from holdfast.speech._segments import OptionInvalid
from holdfast.speech._spelling import spelled_out
from holdfast.speech._synthesis import SpokenVoice, TextUnpronounceable
from holdfast.speech.engines._phonemes import espeak_phonemes
from holdfast.speech.engines._piper_config import PiperConfig, read_piper_config

if TYPE_CHECKING:
    from holdfast.media import Waveform

__all__ = ["PiperEngine", "load_piper", "piper_voices"]

_INPUTS = {"input", "input_lengths", "scales"}
_WHAT = "a Piper voice"


def piper_voices(folder: Path) -> list[Path]:
    """Return the graphs in a folder that have a description beside them."""
    return sorted(
        path for path in folder.glob("*.onnx") if path.with_name(f"{path.name}.json").is_file()
    )


def load_piper(folder: Path, device: str = "cpu") -> PiperEngine:
    """Load a voice.

    Args:
        folder: with one ``NAME.onnx`` and its ``NAME.onnx.json``.
        device: ``cpu``, or ``cuda:N`` where onnxruntime was built for it.

    Raises:
        EngineUnusable: there is no such voice or more than one, it is damaged or something else, or
            onnxruntime cannot use the device.
        MissingExtra: onnxruntime is not installed; or espeak-ng, for a voice of its phonemes.
    """
    found = piper_voices(folder)
    if len(found) != 1:
        names = ", ".join(path.name for path in found)
        raise EngineUnusable(
            f"{folder} is not one Piper voice",
            why=f"it has {len(found)}: {names}"
            if found
            else "no .onnx with an .onnx.json is there",
            hint="name the folder of one voice: OWNER/NAME#FOLDER",
        )
    (path,) = found
    config = read_piper_config(path.with_name(f"{path.name}.json"))
    session = _opened(path, device)
    signs: Callable[[str], str]
    if config.kind == "espeak":
        signs = espeak_phonemes(config.espeak_voice)
    else:

        def signs(text: str) -> str:
            return unicodedata.normalize("NFD", spelled_out(text, config.language).casefold())

    engine = PiperEngine(session, config, signs)
    try:
        # What cannot answer is not taken for loaded.
        engine.spoken(config.numbers("".join(list(config.ids)[:9])), 0, 1.0)
    except Exception as error:
        raise cannot_load(path, error, _WHAT) from error
    return engine


class PiperEngine:
    """A loaded voice; see `holdfast.speech.SynthesisEngine`.

    Its noise is drawn inside the graph: the same sentence does not sound quite the same twice.
    """

    def __init__(self, session: Any, config: PiperConfig, signs: Callable[[str], str]) -> None:
        self._session = session
        self._config = config
        self._signs = signs
        self._voices = tuple(SpokenVoice(name, config.language) for name in config.speakers)

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        return self._config.rate_hz

    @property
    def voices(self) -> Sequence[SpokenVoice]:
        """Its speakers in the order of their numbers; ``default`` where it has one only."""
        return self._voices

    def speak(self, sentence: str, voice: str, speed: float) -> Waveform:
        """Speak a sentence; see `SynthesisEngine.speak`."""
        import numpy as np

        speaker = self._config.speakers.get(voice)
        if speaker is None:
            raise OptionInvalid(
                f"there is no voice {voice[:40]!r}",
                why=f"this model has {', '.join(list(self._config.speakers)[:20])}",
                hint="choose one of the model's voices", param="voice",
            )  # fmt: skip
        if not any(map(str.isalnum, sentence)):
            return np.zeros(0, np.float32)
        ids = self._config.numbers(self._signs(sentence))
        if not ids:
            raise TextUnpronounceable(
                "this voice can pronounce nothing of it",
                why="none of its sounds is among those that the model knows",
                hint=f"send text in the voice's own language ({self._config.language})",
                param="input",
            )
        return self.spoken(ids, speaker, speed)

    def spoken(self, ids: Sequence[int], speaker: int, speed: float) -> Waveform:
        """Return phonemes as sound.

        Args:
            ids: the model's numbers of them.
            speaker: the model's number of it.
            speed: 1 is the model's own.

        Raises:
            EngineAnswerInvalid: what the model gives is empty or no number.
        """
        import numpy as np

        config = self._config
        given: dict[str, Any] = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array([config.noise, config.length / speed, config.noise_w], np.float32),
        }
        if config.has_speakers:
            given["sid"] = np.array([speaker], np.int64)
        check_wanted()
        answer = self._session.run(None, given)[0]
        sound: Waveform = np.asarray(answer, np.float32).reshape(-1)
        if not len(sound) or not np.isfinite(sound).all():
            raise EngineAnswerInvalid(
                "the voice made no sound", why=f"{len(sound)} samples, not all of them numbers",
                hint="holdfast verify, then holdfast repair",
            )  # fmt: skip
        return np.clip(sound, -1.0, 1.0)

    def close(self) -> None:
        """Give the model's memory back."""
        self._session = None


def _opened(path: Path, device: str) -> Any:
    session = onnx_session(path, device, "speech")
    names = {item.name for item in session.get_inputs()}
    if not _INPUTS <= names <= _INPUTS | {"sid"}:
        raise cannot_load(path, ValueError(f"its inputs are {', '.join(sorted(names))}"), _WHAT)
    return session
