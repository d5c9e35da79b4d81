"""What is read out of speech, and what an engine that reads it is.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from holdfast.media import Waveform

__all__ = ["Passage", "ReadOptions", "Task", "TranscriptionEngine", "Word", "runs_of"]

Task = Literal["transcribe", "translate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What is asked of an engine.

    Attributes:
        task: ``translate`` is into English.
        prompt: text that the speech is taken to follow, for names and style; "" for none.
        temperature: of the sampling, 0 to 1; None: 0, and more only where that gives nonsense.
        words: whether every word's time is wanted.
    """

    task: Task = "transcribe"
    prompt: str = ""
    temperature: float | None = None
    words: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its punctuation: seconds from the clip's beginning, probability 0 to 1."""

    text: str
    start_s: float
    end_s: float
    probability: float


def runs_of(words: Sequence[Word], pause_s: float) -> list[list[Word]]:
    """Return words in runs: between two of them nothing is said for so long."""
    runs: list[list[Word]] = []
    for word in words:
        if runs and word.start_s - runs[-1][-1].end_s < pause_s:
            runs[-1].append(word)
        else:
            runs.append([word])
    return runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A stretch of text.

    Attributes:
        start_s: seconds from the clip's beginning.
        end_s: see there.
        text: as it is to be shown, without space around it.
        tokens: the model's own, where it has such.
        temperature: that it was sampled with.
        avg_logprob: mean natural log-probability of the tokens; None where it is not known.
        compression_ratio: of the text by zlib: high where it repeats itself.
        no_speech_prob: probability that nobody speaks; None where it is not known.
        words: where they were asked for.
    """

    start_s: float
    end_s: float
    text: str
    tokens: Sequence[int] = ()
    temperature: float = 0.0
    avg_logprob: float | None = None
    compression_ratio: float = 1.0
    no_speech_prob: float | None = None
    words: Sequence[Word] = ()


class TranscriptionEngine(Protocol):
    """A loaded model. May be asked from several threads at once."""

    @property
    def languages(self) -> Sequence[str]:
        """Codes of the languages that it reads, such as ``en``; the first is the usual one."""

    @property
    def tasks(self) -> Sequence[Task]:
        """What it can do."""

    def detect_language(self, clip: Waveform, among: Sequence[str] = ()) -> tuple[str, float]:
        """Return the language that is spoken, and its probability.

        Args:
            clip: float32, shape (samples,), mono, 16 kHz, at most 30 s.
            among: codes of those that it can be; any of ``languages`` where empty.
        """

    def read(
        self, clips: Sequence[Waveform], languages: Sequence[str], options: ReadOptions
    ) -> Sequence[Sequence[Passage]]:
        """Return what is said in each clip; nothing where nobody speaks.

        Args:
            clips: float32, shape (samples,), mono, 16 kHz, at most 30 s each.
            languages: of each clip, one of ``languages``.
            options: of all of them.

        Raises:
            OptionInvalid: the engine cannot do that.
            EngineAnswerInvalid: what the model gives is no text.
        """

    def close(self) -> None:
        """Give the model's memory back. Nothing may be asked afterwards."""
