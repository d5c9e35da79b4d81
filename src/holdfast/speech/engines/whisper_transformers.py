"""Whisper in Transformers and torch: what is left where CTranslate2 cannot be had.

It reads a clip as one passage without times of its own, and is slower by a factor of two or more.
Weights are read from safetensors, and nothing of the repository is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.errors import MissingExtra
from holdfast.runtime import EngineAnswerInvalid, EngineUnusable, cannot_load, check_wanted
from holdfast.speech._segments import OptionInvalid
from holdfast.speech._transcript import Passage, ReadOptions, Task
from holdfast.speech.engines._whisper_tokens import LADDER, compression_ratio, is_nonsense

if TYPE_CHECKING:
    from holdfast.media import Waveform

__all__ = ["TransformersWhisperEngine", "load_whisper_transformers"]

_RATE_HZ = 16_000
_NEEDED = ("model.safetensors", "config.json", "tokenizer.json", "preprocessor_config.json")
_MOST_TOKENS = 224
# Each takes 46 MB, of how probable every token was at every step.
_CLIPS_AT_ONCE = 4
_SILENCE = ("<|nospeech|>", "<|nocaptions|>")
_BEFORE, _START = "<|startofprev|>", "<|startoftranscript|>"


def load_whisper_transformers(folder: Path, device: str = "cpu") -> TransformersWhisperEngine:
    """Load a model.

    Args:
        folder: as openai/whisper-* are laid out.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        EngineUnusable: a file is missing, damaged, or of another model; ``device`` cannot be used.
        MissingExtra: torch or transformers is not installed.
    """
    lacking = [name for name in _NEEDED if not (folder / name).is_file()]
    if lacking:
        raise EngineUnusable(
            f"{folder} is no Whisper model", why=f"it has no {', no '.join(lacking)}",
            hint="holdfast verify, then holdfast repair",
        )  # fmt: skip
    try:
        import torch
        from tokenizers import Tokenizer
        from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration
    except ImportError as error:
        raise MissingExtra(
            "the model cannot be loaded here", why=f"{error.name} is not installed",
            hint="pip install 'holdfast[torch]', or a model that is converted: "
            "HOLDFAST_SPEECH_TRANSCRIPTION_MODEL=Systran/faster-whisper-tiny",
        ) from error  # fmt: skip
    only_here: dict[str, Any] = {"local_files_only": True}
    try:
        extractor = WhisperFeatureExtractor.from_pretrained(folder, **only_here)
        network: Any = WhisperForConditionalGeneration.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, **only_here
        )
        network.eval().to(torch.device(device))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return TransformersWhisperEngine(network, extractor, tokenizer)
    except Exception as error:
        raise cannot_load(folder, error, device=device) from error


class _Written(NamedTuple):
    """What the network wrote for one clip."""

    tokens: Sequence[int]
    text: str
    temperature: float
    avg_logprob: float


class TransformersWhisperEngine:
    """A loaded model; see `holdfast.speech.TranscriptionEngine`."""

    def __init__(self, network: Any, extractor: Any, tokenizer: Any) -> None:
        self._network = network
        self._extractor = extractor
        self._tokenizer = tokenizer
        about = network.generation_config
        self._multilingual = bool(getattr(about, "is_multilingual", False))
        codes = {str(name).strip("<|>"): int(token)
                 for name, token in (getattr(about, "lang_to_id", None) or {}).items()}  # fmt: skip
        self._codes = codes if self._multilingual and codes else {"en": -1}
        self._silence = next(
            (token for name in _SILENCE if (token := tokenizer.token_to_id(name)) is not None), None
        )

    @property
    def languages(self) -> Sequence[str]:
        """Codes of the languages that it reads."""
        return tuple(sorted(self._codes, key=lambda code: (code != "en", code)))

    @property
    def tasks(self) -> Sequence[Task]:
        """What it can do; a model of English only cannot translate."""
        return ("transcribe", "translate") if self._multilingual else ("transcribe",)

    def detect_language(self, clip: Waveform, among: Sequence[str] = ()) -> tuple[str, float]:
        """Return the language that is spoken; see `TranscriptionEngine.detect_language`."""
        if not self._multilingual:
            return "en", 1.0
        chances = self._first_chances(self._features([clip]))[0]
        own = [chances[token] for token in self._codes.values()]
        whole = float(sum(own))
        found = sorted(
            ((float(chance) / whole, code) for chance, code in zip(own, self._codes, strict=True)),
            reverse=True,
        )
        best = next((each for each in found if not among or each[1] in among), found[0])
        return best[1], best[0]

    def read(
        self, clips: Sequence[Waveform], languages: Sequence[str], options: ReadOptions
    ) -> Sequence[Sequence[Passage]]:
        """Read clips, those of a language together; see `TranscriptionEngine.read`."""
        if options.task not in self.tasks:
            raise OptionInvalid(
                "this model cannot translate", why="it knows English only",
                hint="choose a multilingual one", param="task",
            )  # fmt: skip
        if options.words:
            raise OptionInvalid(
                "the times of words cannot be told here", why="Whisper runs without CTranslate2",
                hint="pip install 'holdfast[speech]' where CTranslate2 can be had", param="words",
            )  # fmt: skip
        found: list[Sequence[Passage]] = [()] * len(clips)
        for language in sorted(set(languages)):
            numbers = [at for at, own in enumerate(languages) if own == language]
            for start in range(0, len(numbers), _CLIPS_AT_ONCE):
                part = numbers[start : start + _CLIPS_AT_ONCE]
                read = self._read([clips[at] for at in part], language, options)
                for at, passages in zip(part, read, strict=True):
                    found[at] = passages
        return found

    def close(self) -> None:
        """Give the model's memory back."""
        self._network = None

    def _read(
        self, clips: Sequence[Waveform], language: str, options: ReadOptions
    ) -> list[list[Passage]]:
        features = self._features(clips)
        silent = self._no_speech(features)
        first = options.temperature or 0.0
        written = self._written(features, language, options, first)
        ladder = LADDER if first == 0 else ()
        for hotter in ladder:
            left = [
                at for at, one in enumerate(written)
                if is_nonsense(compression_ratio(one.text), one.avg_logprob, silent[at])
            ]  # fmt: skip
            if not left:
                break
            again = self._written(features[left], language, options, hotter)
            for at, one in zip(left, again, strict=True):
                written[at] = one
        return [
            self._passages(clip, one, quiet)
            for clip, one, quiet in zip(clips, written, silent, strict=True)
        ]

    def _passages(self, clip: Waveform, one: _Written, no_speech: float) -> list[Passage]:
        ratio = compression_ratio(one.text)
        if not one.text or is_nonsense(ratio, one.avg_logprob, no_speech) is None:
            return []
        return [
            Passage(
                start_s=0.0, end_s=len(clip) / _RATE_HZ, text=one.text, tokens=tuple(one.tokens),
                temperature=one.temperature, avg_logprob=one.avg_logprob, compression_ratio=ratio,
                no_speech_prob=no_speech,
            )
        ]  # fmt: skip

    def _features(self, clips: Sequence[Waveform]) -> Any:
        check_wanted()
        made = self._extractor([*clips], sampling_rate=_RATE_HZ, return_tensors="pt")
        return made.input_features.to(self._network.device)

    def _first_chances(self, features: Any) -> Any:
        """Return how probable each token is as the first: shape (clips, tokens)."""
        import torch

        start = torch.full((len(features), 1), self._tokenizer.token_to_id(_START))
        with torch.inference_mode():
            logits = self._network(
                input_features=features, decoder_input_ids=start.to(features.device)
            ).logits[:, -1]
        return logits.float().softmax(-1).cpu().numpy()

    def _no_speech(self, features: Any) -> list[float]:
        if self._silence is None:
            return [0.0] * len(features)
        return [float(row[self._silence]) for row in self._first_chances(features)]

    def _written(
        self, features: Any, language: str, options: ReadOptions, temperature: float
    ) -> list[_Written]:
        import torch

        check_wanted()
        how: dict[str, Any] = {"do_sample": temperature > 0, "num_beams": 1}
        if temperature > 0:
            how["temperature"] = temperature
        if self._multilingual:
            how |= {"language": language, "task": options.task}
        if options.prompt.strip():
            before = self._tokenizer.encode(" " + options.prompt.strip(), add_special_tokens=False)
            ids = [self._tokenizer.token_to_id(_BEFORE), *before.ids[-_MOST_TOKENS + 1 :]]
            how["prompt_ids"] = torch.tensor(ids, device=features.device)
        with torch.inference_mode():
            made = self._network.generate(
                features, return_dict_in_generate=True, output_scores=True,
                max_new_tokens=_MOST_TOKENS, **how,
            )  # fmt: skip
        chosen = made.sequences[:, -len(made.scores) :]
        # Of each step what was chosen: shape (steps, clips); all of it would be gigabytes.
        steps = torch.stack([
            scores.float().log_softmax(-1).gather(-1, chosen[:, [at]])[:, 0]
            for at, scores in enumerate(made.scores)
        ])  # fmt: skip
        end = self._network.generation_config.eos_token_id
        return [
            self._told(chosen[at].tolist(), steps[:, at], end, temperature)
            for at in range(len(features))
        ]

    def _told(self, tokens: list[int], steps: Any, end: int, temperature: float) -> _Written:
        length = tokens.index(end) + 1 if end in tokens else len(tokens)
        logprobs = steps[:length].tolist()
        mean = sum(logprobs) / max(length, 1)
        if mean != mean:  # noqa: PLR0124 - not a number
            raise EngineAnswerInvalid(
                "what the model reads is no text", why="its scores are not numbers",
                hint="holdfast verify, then holdfast repair",
            )  # fmt: skip
        text = [token for token in tokens[:length] if token < end]
        return _Written(text, self._tokenizer.decode(text).strip(), temperature, mean)
