"""Speaking a text: sentence by sentence, each handed on as soon as it is spoken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from holdfast.runtime import Steps, Supervisor
from holdfast.speech._segments import OptionInvalid
from holdfast.speech._sentences import sentences
from holdfast.speech._synthesis import TextUnpronounceable

if TYPE_CHECKING:
    from holdfast.media import Waveform
    from holdfast.speech._synthesis import SynthesisEngine

__all__ = ["FASTEST", "MOST_CHARACTERS", "SLOWEST", "Speaking", "SpeakingRequest", "Spoken"]

# OpenAI's interface takes as much at a time.
MOST_CHARACTERS = 4096
SLOWEST, FASTEST = 0.25, 4.0
# What names no voice of any model but means the usual one.
_USUAL = frozenset({
    "", "default", "alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage",
    "shimmer", "verse", "marin", "cedar",
})  # fmt: skip
_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingRequest:
    """What is to be said.

    Attributes:
        text: plain text.
        voice: an id of the model's; "", "default" or one of OpenAI's stock names for the usual one.
        speed: 0.25 to 4; 1 is the voice's own.
        most_characters: that the text may have; None for any number.
    """

    text: str
    voice: str = ""
    speed: float = 1.0
    most_characters: int | None = MOST_CHARACTERS


class Spoken(NamedTuple):
    """What came of it: sentences, and seconds of sound."""

    sentences: int
    seconds: float


class _Ready(NamedTuple):
    voice: str
    rate_hz: int


class Speaking:
    """Speaks with the model that a supervisor has loaded.

    Args:
        supervisor: has the model.
        model: its id.
    """

    def __init__(self, supervisor: Supervisor, model: str) -> None:
        self._supervisor = supervisor
        self.model = model

    def speak(
        self, request: SpeakingRequest, said: Callable[[Waveform, int], None]
    ) -> Steps[Spoken]:
        """Speak a text.

        Args:
            request: what is asked.
            said: told every sentence as soon as it is spoken (float32, shape (samples,), mono,
                within [-1, 1]), and its samples per second; pauses between sentences are in it.

        Raises:
            OptionInvalid: the text is empty or too long, the speed is none, or the voice is not
                the model's.
            TextUnpronounceable: the model can pronounce nothing of it.
        """
        parts = _checked(request)
        ready: _Ready = yield self._supervisor.submit(self.model, _ready, request.voice)
        spoken = samples = 0
        unpronounceable: TextUnpronounceable | None = None
        for part in parts:
            try:
                sound: Waveform = yield self._supervisor.submit(
                    self.model, _speak, part, ready.voice, request.speed
                )
            except TextUnpronounceable as error:
                unpronounceable = error  # a row of dashes between two paragraphs stops nobody
                continue
            if not sound.any():
                continue  # of "..." a voice makes nothing, or silence
            if spoken:
                sound = _after_pause(sound, ready.rate_hz)
            spoken, samples = spoken + 1, samples + len(sound)
            said(sound, ready.rate_hz)
        if not spoken:
            raise unpronounceable or TextUnpronounceable(
                "there is nothing to say in this text", why="the model makes no sound of it",
                hint="send words in the model's language", param="input",
            )  # fmt: skip
        return Spoken(spoken, samples / ready.rate_hz)


def _checked(request: SpeakingRequest) -> list[str]:
    text = request.text
    if not SLOWEST <= request.speed <= FASTEST:
        raise OptionInvalid(
            "the speed cannot be used",
            why=f"{request.speed} is not between {SLOWEST} and {FASTEST:g}",
            hint="1 is the voice's own", param="speed",
        )  # fmt: skip
    if not text.strip():
        raise OptionInvalid(
            "there is nothing to say", why="the text is empty", hint="holdfast say 'good morning'",
            param="input",
        )  # fmt: skip
    most = request.most_characters
    if most is not None and len(text) > most:
        raise OptionInvalid(
            f"the text is too long: at most {most} characters",
            why=f"it has {len(text)}", hint="send it in parts", param="input",
        )  # fmt: skip
    return sentences(text)


def _ready(engine: SynthesisEngine, voice: str) -> _Ready:
    known = [each.id for each in engine.voices]
    if voice in known:
        return _Ready(voice, engine.rate_hz)
    if voice.strip().lower() in _USUAL:
        return _Ready(known[0], engine.rate_hz)
    shown = ", ".join(known[:20]) + (" ..." if len(known) > 20 else "")
    raise OptionInvalid(
        f"there is no voice {voice[:40]!r}", why=f"this model has {shown}",
        hint="leave it out, or say 'default'; /models lists all", param="voice",
    )  # fmt: skip


def _speak(engine: SynthesisEngine, sentence: str, voice: str, speed: float) -> Waveform:
    return engine.speak(sentence, voice, speed)


def _after_pause(sound: Waveform, rate_hz: int) -> Waveform:
    import numpy as np

    return np.concatenate([np.zeros(round(_PAUSE_S * rate_hz), np.float32), sound])
