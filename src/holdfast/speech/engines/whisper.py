"""Whisper on CTranslate2, by faster-whisper's parts: many clips through the network at once.

A folder that CTranslate2 made (``model.bin``, as Systran/faster-whisper-* have it) is read as it
is; one of Transformers' (``model.safetensors``, as openai/whisper-*) is converted once.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.errors import MissingExtra
from holdfast.runtime import (
    EngineAnswerInvalid,
    EngineUnusable,
    cannot_load,
    check_wanted,
    usable_cores,
)
from holdfast.speech._segments import OptionInvalid
from holdfast.speech._transcript import Passage, ReadOptions, Task, Word
from holdfast.speech.engines._whisper_tokens import (
    LADDER,
    Stretch,
    compression_ratio,
    is_nonsense,
    stretches,
)

if TYPE_CHECKING:
    from holdfast.media import Waveform

__all__ = ["CONVERTER", "WEIGHTS", "WhisperEngine", "convert_whisper", "load_whisper"]

WEIGHTS = "model.bin"
# Says which conversion made a model; another one makes another, see `holdfast.store.Derivation`.
CONVERTER = "ctranslate2-int8-1"
_RATE_HZ = 16_000
_NEEDED = (WEIGHTS, "config.json", "tokenizer.json")
_COPIED = ("tokenizer.json", "preprocessor_config.json")
_BEAM = 5
_HYPOTHESES = 5
_STEPS_PER_S = 100
# Samples that a frame of features hears, and the logarithm of a power that is none.
_WINDOW = 400
_FLOOR = -10.0
_BEFORE, _AFTER = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001


def load_whisper(folder: Path, device: str = "cpu", compute: str = "default") -> WhisperEngine:
    """Load a model that CTranslate2 made.

    Args:
        folder: with ``model.bin``, ``config.json`` and ``tokenizer.json``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        compute: CTranslate2's name of the numbers to compute with; as the weights are by default.

    Raises:
        EngineUnusable: a file is missing or damaged; ``device`` cannot be used.
        MissingExtra: faster-whisper is not installed.
    """
    lacking = [name for name in _NEEDED if not (folder / name).is_file()]
    if lacking:
        # Without its tokenizer the library would ask the Hub for another model's.
        raise EngineUnusable(
            f"{folder} is no Whisper model for CTranslate2",
            why=f"it has no {', no '.join(lacking)}",
            hint="holdfast verify, then holdfast repair",
        )
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise MissingExtra(
            "speech cannot be read here", why=f"{error.name} is not installed",
            hint="pip install 'holdfast[speech]'",
        ) from error  # fmt: skip
    kind, _, number = device.partition(":")
    try:
        model = WhisperModel(
            str(folder), device=kind, device_index=int(number or 0), compute_type=compute,
            cpu_threads=usable_cores(), local_files_only=True,
        )  # fmt: skip
        return WhisperEngine(model)
    except (RuntimeError, ValueError, OSError) as error:
        raise cannot_load(folder, error, device=device) from error


def convert_whisper(source: Path, target: Path, numbers: str = "int8") -> None:
    """Make a model for CTranslate2 of Transformers' weights; a `Derivation`'s ``make``.

    Args:
        source: a folder of openai/whisper-*, with ``model.safetensors``.
        target: an empty folder.
        numbers: that the weights are kept in, by CTranslate2's names.

    Raises:
        EngineUnusable: a file is missing, damaged, or of another model; or CTranslate2 is not here.
        MissingExtra: torch or transformers is not installed.
    """
    if not (source / "model.safetensors").is_file():
        raise EngineUnusable(
            f"{source} cannot be converted", why="it has no model.safetensors",
            hint="holdfast verify, then holdfast repair",
        )  # fmt: skip
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            "the model cannot be converted here", why=f"{error.name} is not installed",
            hint="pip install 'holdfast[torch]', or a model that is converted: "
            "Systran/faster-whisper-tiny",
        ) from error  # fmt: skip
    try:
        from ctranslate2.converters import TransformersConverter

        converter = TransformersConverter(str(source), low_cpu_mem_usage=True)
        converter.convert(str(target), quantization=numbers, force=True)
    except Exception as error:
        first_line = str(error).strip().partition("\n")[0]
        raise EngineUnusable(
            f"{source} cannot be converted",
            why=f"{type(error).__name__}: {first_line}",
            hint="holdfast verify, then holdfast repair",
        ) from error
    for name in _COPIED:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


class _Heard(NamedTuple):
    """What the network gave for one clip."""

    tokens: Sequence[int]
    text: str
    temperature: float
    avg_logprob: float
    no_speech_prob: float

    @property
    def nonsense(self) -> bool | None:
        return is_nonsense(compression_ratio(self.text), self.avg_logprob, self.no_speech_prob)


class WhisperEngine:
    """A loaded model; see `holdfast.speech.TranscriptionEngine`."""

    def __init__(self, model: Any, beam: int = _BEAM) -> None:
        from faster_whisper.tokenizer import _LANGUAGE_CODES, Tokenizer

        self._model = model
        self._beam = beam
        self._tokenizer_of = Tokenizer
        self._multilingual = bool(model.model.is_multilingual)
        tokens = model.hf_tokenizer.get_vocab()
        self._languages = (
            tuple(code for code in _LANGUAGE_CODES if f"<|{code}|>" in tokens)
            if self._multilingual
            else ("en",)
        )
        if "en" in self._languages:  # the first is the usual one
            self._languages = ("en", *(code for code in self._languages if code != "en"))

    @property
    def languages(self) -> Sequence[str]:
        """Codes of the languages that it reads."""
        return self._languages

    @property
    def tasks(self) -> Sequence[Task]:
        """What it can do; a model of English only cannot translate."""
        return ("transcribe", "translate") if self._multilingual else ("transcribe",)

    def detect_language(self, clip: Waveform, among: Sequence[str] = ()) -> tuple[str, float]:
        """Return the language that is spoken; see `TranscriptionEngine.detect_language`."""
        if not self._multilingual:
            return "en", 1.0
        encoded = self._model.encode(self._features([clip]))
        (named,) = self._model.model.detect_language(encoded)
        found = [(str(token).strip("<|>"), float(probability)) for token, probability in named]
        return next((each for each in found if not among or each[0] in among), found[0])

    def read(
        self, clips: Sequence[Waveform], languages: Sequence[str], options: ReadOptions
    ) -> Sequence[Sequence[Passage]]:
        """Read clips; see `TranscriptionEngine.read`."""
        if options.task not in self.tasks:
            raise OptionInvalid(
                "this model cannot translate", why="it knows English only",
                hint="choose a multilingual one", param="task",
            )  # fmt: skip
        if not clips:
            return []
        check_wanted()
        encoded = self._model.encode(self._features(clips))
        tokenizers = [self._tokenizer(language, options.task) for language in languages]
        prompts = [self._prompt(tokenizer, options.prompt) for tokenizer in tokenizers]
        heard = self._decoded(encoded, tokenizers, prompts, options.temperature)
        lengths = [len(clip) / _RATE_HZ for clip in clips]
        parts = [
            [] if one.nonsense is None else stretches(
                one.tokens, tokenizer.timestamp_begin, tokenizer.eot, length
            )
            for one, tokenizer, length in zip(heard, tokenizers, lengths, strict=True)
        ]  # fmt: skip
        words = self._words(encoded, tokenizers, parts, lengths) if options.words else None
        return [
            self._passages(number, heard[number], tokenizers[number], parts[number], words)
            for number in range(len(clips))
        ]

    def close(self) -> None:
        """Give the model's memory back."""
        self._model = None

    def _features(self, clips: Sequence[Waveform]) -> Any:
        import numpy as np

        extractor = self._model.feature_extractor
        frames = extractor.nb_max_frames
        found = []
        for clip in clips:
            made = extractor(clip, padding=_WINDOW)[..., :frames]
            # As if silence followed up to the thirty seconds, without working it out: the network
            # was trained on that, and takes what is simply filled up with zeros for sound.
            loudest = 4 * float(made.max()) - 4
            silence = (max(_FLOOR, loudest - 8) + 4) / 4
            rest = [(0, 0), (0, frames - made.shape[-1])]
            found.append(np.pad(made, rest, constant_values=silence))
        return np.stack(found)

    def _tokenizer(self, language: str, task: Task) -> Any:
        known = self._model.hf_tokenizer
        return self._tokenizer_of(known, self._multilingual, task=task, language=language)

    def _prompt(self, tokenizer: Any, prompt: str) -> list[int]:
        before = tokenizer.encode(" " + prompt.strip()) if prompt.strip() else []
        found: list[int] = self._model.get_prompt(tokenizer, before)
        return found

    def _decoded(
        self, encoded: Any, tokenizers: Sequence[Any], prompts: Sequence[list[int]],
        temperature: float | None,
    ) -> list[_Heard]:  # fmt: skip
        """Decode all clips; those whose text is nonsense again, and again, ever more freely."""
        first = temperature or 0.0
        heard = self._generated(encoded, tokenizers, prompts, first)
        if temperature is not None and temperature > 0:
            return heard
        tries: dict[int, list[_Heard]] = {
            number: [one] for number, one in enumerate(heard) if one.nonsense
        }
        for hotter in LADDER:
            left = [number for number in tries if tries[number][-1].nonsense]
            if not left:
                break
            check_wanted()
            again = self._generated(
                _rows(encoded, left),
                [tokenizers[number] for number in left],
                [prompts[number] for number in left],
                hotter,
            )
            for number, one in zip(left, again, strict=True):
                tries[number].append(one)
        for number, all_of in tries.items():
            last = all_of[-1]
            heard[number] = last if not last.nonsense else max(all_of, key=_likelihood)
        return heard

    def _generated(
        self, encoded: Any, tokenizers: Sequence[Any], prompts: Sequence[list[int]],
        temperature: float,
    ) -> list[_Heard]:  # fmt: skip
        how: Mapping[str, Any] = {"beam_size": self._beam}
        if temperature > 0:
            how = {
                "beam_size": 1, "num_hypotheses": _HYPOTHESES, "sampling_topk": 0,
                "sampling_temperature": temperature,
            }  # fmt: skip
        answers = self._model.model.generate(
            encoded, list(prompts), max_length=self._model.max_length, return_scores=True,
            return_no_speech_prob=True, **how,
        )  # fmt: skip
        found = []
        for answer, tokenizer in zip(answers, tokenizers, strict=True):
            tokens = list(answer.sequences_ids[0])
            # The score is a mean over the tokens; the end of the text is one more.
            logprob = answer.scores[0] * len(tokens) / (len(tokens) + 1)
            if logprob != logprob:  # noqa: PLR0124 - not a number
                raise EngineAnswerInvalid(
                    "what the model reads is no text", why="its scores are not numbers",
                    hint="holdfast verify, then holdfast repair",
                )  # fmt: skip
            text = tokenizer.decode(tokens).strip()
            found.append(_Heard(tokens, text, temperature, logprob, answer.no_speech_prob))
        return found

    def _words(
        self, encoded: Any, tokenizers: Sequence[Any], parts: Sequence[Sequence[Stretch]],
        lengths: Sequence[float],
    ) -> list[list[list[Word]]]:  # fmt: skip
        """Return the words of every stretch of every clip."""
        from faster_whisper.transcribe import merge_punctuations

        found: list[list[list[Word]]] = [[[] for _ in of_clip] for of_clip in parts]
        # What the network looked at differs by language, which stands in front of the text.
        for tokenizer in {id(each): each for each in tokenizers}.values():
            numbers = [
                number for number, own in enumerate(tokenizers)
                if own.language == tokenizer.language and parts[number] and not any(found[number])
            ]  # fmt: skip
            if not numbers:
                continue
            texts = [[token for part in parts[at] for token in part.tokens] for at in numbers]
            frames = [int(lengths[at] * _STEPS_PER_S) for at in numbers]
            aligned = self._model.find_alignment(tokenizer, texts, _rows(encoded, numbers), frames)
            for number, alignment in zip(numbers, aligned, strict=True):
                merge_punctuations(alignment, _BEFORE, _AFTER)
                found[number] = _shared_out(alignment, parts[number])
        return found

    def _passages(
        self, number: int, heard: _Heard, tokenizer: Any, parts: Sequence[Stretch],
        words: Sequence[Sequence[Sequence[Word]]] | None,
    ) -> list[Passage]:  # fmt: skip
        found = []
        for place, part in enumerate(parts):
            text = tokenizer.decode(list(part.tokens)).strip()
            if text:
                found.append(
                    Passage(
                        start_s=part.start_s,
                        end_s=part.end_s,
                        text=text,
                        tokens=tuple(part.tokens),
                        temperature=heard.temperature,
                        avg_logprob=heard.avg_logprob,
                        compression_ratio=compression_ratio(text),
                        no_speech_prob=heard.no_speech_prob,
                        words=() if words is None else tuple(words[number][place]),
                    )
                )
        return found


def _likelihood(heard: _Heard) -> tuple[bool, float]:
    repeats = is_nonsense(compression_ratio(heard.text), 0.0, 0.0)
    return not repeats, heard.avg_logprob


def _rows(encoded: Any, numbers: Sequence[int]) -> Any:
    """Return some clips of what the encoder gave."""
    import ctranslate2
    import numpy as np

    if encoded.shape[0] == len(numbers):
        return encoded
    if encoded.device == "cuda":
        import torch

        return ctranslate2.StorageView.from_array(torch.as_tensor(encoded)[list(numbers)])
    whole = np.array(encoded.to(ctranslate2.DataType.float32))
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(whole[list(numbers)]))


def _shared_out(
    alignment: Sequence[Mapping[str, Any]], parts: Sequence[Stretch]
) -> list[list[Word]]:
    """Give every word to the stretch that its tokens are in."""
    found: list[list[Word]] = [[] for _ in parts]
    place = taken = 0
    for timing in alignment:
        while place < len(parts) - 1 and taken >= len(parts[place].tokens):
            taken -= len(parts[place].tokens)
            place += 1
        taken += len(timing["tokens"])
        text = str(timing["word"]).strip()
        if text:
            start, end = float(timing["start"]), float(timing["end"])
            found[place].append(Word(text, start, max(end, start), float(timing["probability"])))
    return found
