"""What an engine that speaks is.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.media import Waveform

__all__ = ["SpokenVoice", "SynthesisEngine", "TextUnpronounceable"]


class TextUnpronounceable(HoldfastError):
    """A text of which a voice can say nothing: it is in signs that its model does not know."""

    code = "text-unpronounceable"
    exit_code = 2
    http_status = 422


@dataclass(frozen=True, slots=True)
class SpokenVoice:
    """A voice that an engine has: its id, and the code of its language, such as ``en``."""

    id: str
    language: str


class SynthesisEngine(Protocol):
    """A loaded model. May be asked from several threads at once."""

    @property
    def rate_hz(self) -> int:
        """Samples per second of what it speaks."""

    @property
    def voices(self) -> Sequence[SpokenVoice]:
        """Its voices; the first is the usual one."""

    def speak(self, sentence: str, voice: str, speed: float) -> Waveform:
        """Return a sentence as sound.

        Args:
            sentence: plain text, one sentence or so; numbers and abbreviations are spelled out by
                the engine where its model cannot read them.
            voice: an id of ``voices``.
            speed: 0.25 to 4; 1 is the voice's own.

        Returns:
            float32, shape (samples,), mono, within [-1, 1]; empty where there is nothing to say.

        Raises:
            OptionInvalid: there is no such voice.
            TextUnpronounceable: the model knows no sign of it.
            EngineAnswerInvalid: what the model gives is no sound.
        """

    def close(self) -> None:
        """Give the model's memory back. Nothing may be asked afterwards."""
