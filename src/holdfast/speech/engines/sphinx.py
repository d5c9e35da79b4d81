"""pocketsphinx: a small reader of English that travels in a package. Low accuracy, and no download.

It holds the interpreter while it works, so that it is for a process of its own.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import MissingExtra
from holdfast.runtime import EngineUnusable, check_wanted
from holdfast.speech._segments import OptionInvalid
from holdfast.speech._transcript import Passage, ReadOptions, Task, Word, runs_of
from holdfast.speech.engines._whisper_tokens import compression_ratio

if TYPE_CHECKING:
    from holdfast.media import Waveform

__all__ = ["ACOUSTIC", "DICTIONARY", "LANGUAGE_MODEL", "SphinxEngine", "load_sphinx"]

ACOUSTIC = "en-us"
LANGUAGE_MODEL = "en-us.lm.bin"
DICTIONARY = "cmudict-en-us.dict"
_FRAMES_PER_S = 100
# It knows no sentences: where nobody says anything for so long one passage ends.
_PAUSE_S = 0.7
# The least that a word's probability counts as, so that its logarithm is a number.
_LEAST = 1e-6
# <s>, <sil>, [NOISE], ++UM++ are no words; the(2) is the second way to pronounce one.
_NO_WORD = re.compile(r"[<\[+].*")
_VARIANT = re.compile(r"\(\d+\)$")


def load_sphinx(folder: Path, device: str = "cpu") -> SphinxEngine:
    """Load the model in a folder.

    Args:
        folder: with ``en-us/``, ``en-us.lm.bin`` and ``cmudict-en-us.dict``.
        device: ``cpu``.

    Raises:
        EngineUnusable: a file is missing or damaged, or ``device`` is another.
        MissingExtra: pocketsphinx is not installed.
    """
    if device != "cpu":
        raise EngineUnusable(
            f"pocketsphinx does not run on {device!r}", why="it runs on processors only",
            hint="set its device to 'cpu'",
        )  # fmt: skip
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise MissingExtra(
            "speech cannot be read here", why=f"{error.name} is not installed",
            hint="pip install 'holdfast[speech]'",
        ) from error  # fmt: skip
    try:
        decoder = Decoder(
            hmm=str(folder / ACOUSTIC), lm=str(folder / LANGUAGE_MODEL),
            dict=str(folder / DICTIONARY), loglevel="FATAL",
            cmn="batch", remove_noise=False,
        )  # fmt: skip
    except (RuntimeError, ValueError, OSError) as error:
        raise EngineUnusable(
            f"{folder} is no model for pocketsphinx",
            why=f"{type(error).__name__}: {error}",
            hint="holdfast verify, then holdfast repair",
        ) from error
    return SphinxEngine(decoder)


class SphinxEngine:
    """A loaded model; see `holdfast.speech.TranscriptionEngine`."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self._turn = threading.Lock()

    @property
    def languages(self) -> Sequence[str]:
        """English only."""
        return ("en",)

    @property
    def tasks(self) -> Sequence[Task]:
        """It does not translate."""
        return ("transcribe",)

    def detect_language(self, clip: Waveform, among: Sequence[str] = ()) -> tuple[str, float]:
        """Return what it takes all speech for."""
        del clip, among
        return "en", 1.0

    def read(
        self, clips: Sequence[Waveform], languages: Sequence[str], options: ReadOptions
    ) -> Sequence[Sequence[Passage]]:
        """Read clips one by one; a prompt and a temperature mean nothing to it."""
        del languages
        if options.task not in self.tasks:
            raise OptionInvalid(
                "this model cannot translate", why="it knows English only",
                hint="choose a Whisper model: HOLDFAST_PROFILE=standard", param="task",
            )  # fmt: skip
        with self._turn:
            return [self._read(clip, words=options.words) for clip in clips]

    def close(self) -> None:
        """Give the model's memory back."""
        self._decoder = None

    def _read(self, clip: Waveform, *, words: bool) -> list[Passage]:
        import numpy as np

        samples = (np.clip(clip, -1, 1) * 32_767).astype("<i2")
        decoder = self._decoder
        decoder.reinit_feat()  # or the clip before moves the times and even the words of this one
        decoder.start_utt()
        try:
            check_wanted()
            # Whole, so that its mean is known before the first sound is judged.
            decoder.process_raw(samples.tobytes(), full_utt=True)
        finally:
            decoder.end_utt()
        if not decoder.hyp():
            return []
        found = [
            Word(
                _VARIANT.sub("", part.word),
                part.start_frame / _FRAMES_PER_S,
                (part.end_frame + 1) / _FRAMES_PER_S,
                min(float(part.prob), 1.0),
            )
            for part in decoder.seg()
            if not _NO_WORD.fullmatch(part.word)
        ]
        return [_passage(run, words=words) for run in runs_of(found, _PAUSE_S)]


def _passage(run: Sequence[Word], *, words: bool) -> Passage:
    text = " ".join(word.text for word in run)
    return Passage(
        start_s=run[0].start_s,
        end_s=run[-1].end_s,
        text=text,
        avg_logprob=sum(math.log(max(word.probability, _LEAST)) for word in run) / len(run),
        compression_ratio=compression_ratio(text),
        words=tuple(run) if words else (),
    )
