"""VITS voices in the layout of Transformers: facebook/mms-tts-*, kakao-enterprise/vits-*.

Weights are read from safetensors, and nothing of the repository is run. A model of phonemes has
them made by espeak-ng, which is GPL-3: such a model is for a process of its own, and as torch
holds up all others that is where these are run anyway.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import MissingExtra
from holdfast.runtime import EngineAnswerInvalid, EngineUnusable, cannot_load, check_wanted
from holdfast.speech._segments import OptionInvalid
from holdfast.speech._synthesis import SpokenVoice
from holdfast.speech.engines._phonemes import espeak_phonemes
from holdfast.speech.engines._vits_text import VitsText, short_code

if TYPE_CHECKING:
    from holdfast.media import Waveform

__all__ = ["VITS_FILES", "VitsEngine", "load_vits", "seed_of"]

VITS_FILES = ("config.json", "model.safetensors", "vocab.json", "tokenizer_config.json")
_ONLY_VOICE = "default"


def load_vits(folder: Path, device: str = "cpu") -> VitsEngine:
    """Load a voice.

    Args:
        folder: with ``config.json``, ``model.safetensors``, ``vocab.json`` and
            ``tokenizer_config.json``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        EngineUnusable: a file is missing, damaged, or of something else; ``device`` cannot be used.
        MissingExtra: torch or transformers is not installed; or espeak-ng, for a model of phonemes.
    """
    _check_files(folder)
    try:
        import torch
        from transformers import VitsModel, VitsTokenizer
    except ImportError as error:
        raise MissingExtra(
            "the voice cannot be loaded here", why=f"{error.name} is not installed",
            hint="pip install 'holdfast[torch]'",
        ) from error  # fmt: skip
    only_here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = VitsTokenizer.from_pretrained(folder, **only_here)
        network, told = VitsModel.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **only_here
        )
        # Else what is not in the file is random numbers, and a warning in some log.
        if missing := sorted(told["missing_keys"]):
            raise ValueError(f"{len(missing)} weights are not there, such as {missing[0]}")  # noqa: TRY301
        if max(tokenizer.encoder.values()) >= network.config.vocab_size:
            raise ValueError("vocab.json has more signs than the model")  # noqa: TRY301
        _lighten(network)
        network.eval().to(torch.device(device))
    except Exception as error:
        raise cannot_load(folder, error, "a VITS voice", device=device) from error
    language = short_code(tokenizer.language)
    phonemes = None
    if tokenizer.phonemize:
        phonemes = espeak_phonemes("en-us")  # as Transformers has it made, in any language
    text = VitsText(tokenizer, language, phonemes, romanises=find_spec("uroman") is not None)
    engine = VitsEngine(network, text, language)
    engine.spoken([0, 1, 0], 0, 1.0, 0)  # what cannot answer is not taken for loaded
    return engine


def seed_of(sentence: str) -> int:
    """Return the number that a sentence's noise begins with."""
    return int.from_bytes(hashlib.sha256(sentence.encode("utf-8", "replace")).digest()[:7], "big")


class VitsEngine:
    """A loaded voice; see `holdfast.speech.SynthesisEngine`.

    VITS draws its rhythm and its tone from noise. Here the noise follows from the sentence, so that
    the same sentence always sounds the same, on the same kind of device.
    """

    def __init__(self, network: Any, text: VitsText, language: str) -> None:
        self._network = network
        self._text = text
        speakers = network.config.num_speakers
        names = [str(number) for number in range(speakers)] if speakers > 1 else [_ONLY_VOICE]
        self._voices = tuple(SpokenVoice(name, language) for name in names)
        # Its pace and torch's noise are states of the process: one sentence at a time.
        self._turn = threading.Lock()
        self._own_pace = float(network.config.speaking_rate)

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        return int(self._network.config.sampling_rate)

    @property
    def voices(self) -> Sequence[SpokenVoice]:
        """``0``, ``1`` and so on where the model has several, else ``default``."""
        return self._voices

    def speak(self, sentence: str, voice: str, speed: float) -> Waveform:
        """Speak a sentence; see `SynthesisEngine.speak`."""
        import numpy as np

        names = [each.id for each in self._voices]
        if voice not in names:
            raise OptionInvalid(
                f"there is no voice {voice[:40]!r}", why=f"this model has {', '.join(names[:20])}",
                hint="choose one of the model's voices", param="voice",
            )  # fmt: skip
        ids = self._text.ids(sentence)
        if not ids:
            return np.zeros(0, np.float32)
        return self.spoken(ids, names.index(voice), speed, seed_of(sentence))

    def spoken(self, ids: Sequence[int], speaker: int, speed: float, seed: int) -> Waveform:
        """Return signs as sound.

        Args:
            ids: the signs' numbers.
            speaker: counted from 0.
            speed: 1 is the model's own.
            seed: what the noise begins with.

        Raises:
            EngineAnswerInvalid: what the model gives is empty or no number.
        """
        import numpy as np
        import torch

        network = self._network
        given = torch.tensor([list(ids)], device=network.device)
        chosen = {"speaker_id": speaker} if len(self._voices) > 1 else {}
        on_gpu = [network.device] if network.device.type == "cuda" else []
        with self._turn, torch.random.fork_rng(devices=on_gpu), torch.inference_mode():
            check_wanted()
            torch.manual_seed(seed)
            network.speaking_rate = self._own_pace * speed
            answer = network(given, **chosen)
            samples = int(answer.sequence_lengths[0])
            sound: Waveform = answer.waveform[0, :samples].float().cpu().numpy()
        if not len(sound) or not np.isfinite(sound).all():
            raise EngineAnswerInvalid(
                "the voice made no sound", why=f"{len(sound)} samples, not all of them numbers",
                hint="holdfast verify, then holdfast repair",
            )  # fmt: skip
        return np.clip(sound, -1.0, 1.0)

    def close(self) -> None:
        """Give the model's memory back."""
        self._network = None


def _check_files(folder: Path) -> None:
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if missing := [name for name in VITS_FILES if name not in there]:
        raise EngineUnusable(
            f"{folder} holds no VITS voice that can be loaded",
            why=f"{', '.join(missing)} is not there, but {', '.join(there[:12]) or 'nothing'}",
            hint="choose a voice with weights in safetensors, or: holdfast repair",
        )
    try:
        kind = json.loads((folder / "config.json").read_text("utf-8"))["model_type"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise EngineUnusable(
            f"{folder / 'config.json'} cannot be read", why=f"{type(error).__name__}: {error}",
            hint="holdfast verify, then holdfast repair",
        ) from error  # fmt: skip
    if kind != "vits":
        raise EngineUnusable(
            f"{folder} is no VITS voice", why=f"its config.json is of {kind!r}",
            hint="choose a model such as facebook/mms-tts-eng",
        )  # fmt: skip


def _lighten(network: Any) -> None:
    """Leave out what training alone needs, and compute once what would be in every call."""
    from torch.nn.utils import parametrize

    network.posterior_encoder = None
    for module in network.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
