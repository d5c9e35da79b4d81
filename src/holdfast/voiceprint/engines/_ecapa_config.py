"""The numbers that make one ECAPA-TDNN different from another, read without running anything.

SpeechBrain's ``hyperparams.yaml`` is HyperPyYAML: its tags (``!new:``, ``!name:``, ``!apply:``,
``!ref``, ...) name Python objects, which SpeechBrain makes when it loads the file. Here they are
never followed: PyYAML's safe loader makes plain values of everything, a tag is dropped, and of the
values a few numbers are taken, each within limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.errors import MissingExtra
from holdfast.runtime import EngineUnusable

__all__ = ["HYPERPARAMS", "EcapaConfig", "read_config"]

HYPERPARAMS = "hyperparams.yaml"
_LARGEST_BYTES = 1_000_000
_RATE_HZ = 16_000
_REFERENCE = re.compile(r"\s*<([A-Za-z_]\w*)>\s*")
_HINT = "holdfast verify, then holdfast repair; or another model"


class EcapaConfig(NamedTuple):
    """The numbers of one model. The defaults are those of SpeechBrain's ``ECAPA_TDNN``.

    Attributes:
        n_mels: features a frame.
        channels: outputs of the first layer, of each block, and of the layer before pooling.
        kernel_sizes: of the same, in frames; odd.
        dilations: of the same.
        attention_channels: inside the pooling.
        lin_neurons: numbers in an embedding.
        res2net_scale: parts that a block's channels are split into.
        se_channels: inside the squeeze and excitation.
        global_context: whether attention sees the clip's mean and deviation.
        n_fft, win_length_ms, hop_length_ms, f_min, f_max: of the features; see
            `holdfast.voiceprint._features.SpeechBrainFbank`.
    """

    n_mels: int = 80
    channels: tuple[int, ...] = (512, 512, 512, 512, 1536)
    kernel_sizes: tuple[int, ...] = (5, 3, 3, 3, 1)
    dilations: tuple[int, ...] = (1, 2, 3, 4, 1)
    attention_channels: int = 128
    lin_neurons: int = 192
    res2net_scale: int = 8
    se_channels: int = 128
    global_context: bool = True
    n_fft: int = 400
    win_length_ms: float = 25.0
    hop_length_ms: float = 10.0
    f_min: float = 0.0
    f_max: float = 8_000.0

    @property
    def least_frames(self) -> int:
        """The frames that a clip must have, for its ends to be mirrored."""
        layers = zip(self.kernel_sizes, self.dilations, strict=True)
        return 1 + max(dilation * (kernel - 1) // 2 for kernel, dilation in layers)


def read_config(path: Path) -> EcapaConfig:
    """Read the numbers of a model from its ``hyperparams.yaml``.

    What the file leaves out has SpeechBrain's default.

    Raises:
        EngineUnusable: the file is missing, is no YAML, describes another kind of model, or has
            numbers that cannot be; all of these are named.
        MissingExtra: PyYAML is not installed.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise EngineUnusable(
            f"{path.parent} is not a speaker model of SpeechBrain's",
            why=f"{path.name} cannot be read ({error.strerror})", hint=_HINT,
        ) from error  # fmt: skip
    if len(data) > _LARGEST_BYTES:
        raise EngineUnusable(
            f"{path} is no hyperparams.yaml", why=f"it has over {_LARGEST_BYTES} bytes", hint=_HINT
        )
    values = _values(path, data)
    reading = _Reading(values)
    config = reading.config()
    if reading.problems:
        raise EngineUnusable(
            f"{path} describes a model that cannot be run", why="; ".join(reading.problems),
            hint="only ECAPA-TDNN at 16 kHz, as SpeechBrain publishes it, is run here",
        )  # fmt: skip
    return config


def _values(path: Path, data: bytes) -> Mapping[str, Any]:
    """Return the file's mapping, made of plain values only."""
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra(
            "this model cannot be read here", why=f"{error.name} is not installed",
            hint="pip install 'holdfast[voiceprint]'",
        ) from error  # fmt: skip

    # The safe loader, to which a tag that it does not know says nothing.
    loader_class: Any = type("Plain", (yaml.SafeLoader,), {})

    def plain(loader: Any, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        # "!ref <n_mels>" and "!new:torch.Thing" have text or nothing behind them.
        return loader.construct_scalar(node)

    loader_class.add_constructor(None, plain)
    try:
        found = yaml.load(data, Loader=loader_class)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, AttributeError) as error:
        raise EngineUnusable(
            f"{path} cannot be read", why=f"{type(error).__name__}: {error}", hint=_HINT
        ) from error
    if not isinstance(found, dict):
        raise EngineUnusable(f"{path} cannot be read", why="it is not a mapping", hint=_HINT)
    return found


class _Reading:
    """Takes values one by one, and collects what is wrong with them."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.problems: list[str] = []

    def config(self) -> EcapaConfig:
        usual = EcapaConfig()
        model, fbank = self._part("embedding_model"), self._part("compute_features")
        self._check_kind(model, fbank)
        mels = self._whole(fbank, "n_mels", self._values.get("n_mels", 40), 512)
        config = EcapaConfig(
            n_mels=self._whole(model, "input_size", mels, 512),
            channels=self._row(model, "channels", usual.channels, 8192),
            kernel_sizes=self._row(model, "kernel_sizes", usual.kernel_sizes, 31),
            dilations=self._row(model, "dilations", usual.dilations, 64),
            attention_channels=self._whole(model, "attention_channels", 128, 4096),
            lin_neurons=self._whole(model, "lin_neurons", usual.lin_neurons, 4096),
            res2net_scale=self._whole(model, "res2net_scale", usual.res2net_scale, 64),
            se_channels=self._whole(model, "se_channels", usual.se_channels, 4096),
            global_context=self._resolved(model, "global_context", default=True) is not False,
            n_fft=self._whole(fbank, "n_fft", usual.n_fft, 8192),
            win_length_ms=self._number(fbank, "win_length", usual.win_length_ms, 1, 500),
            hop_length_ms=self._number(fbank, "hop_length", usual.hop_length_ms, 1, 500),
            f_min=self._number(fbank, "f_min", usual.f_min, 0, usual.f_max),
            f_max=self._number(fbank, "f_max", usual.f_max, 0, usual.f_max),
        )
        if not self.problems:
            self._check_together(config, mels)
        return config

    def _part(self, name: str) -> Mapping[str, Any]:
        part = self._values.get(name)
        if part is None and name == "embedding_model":
            self.problems.append(f"it has no {name}")
        if part is None or part == "":  # a tag with nothing behind it: every default
            return {}
        if not isinstance(part, dict):
            self.problems.append(f"{name} is not a mapping")
            return {}
        return part

    def _check_kind(self, model: Mapping[str, Any], fbank: Mapping[str, Any]) -> None:
        """Note what changes the sound or the network in ways that nothing here carries out."""
        rate = self._resolved(fbank, "sample_rate", self._values.get("sample_rate", _RATE_HZ))
        norm = self._part("mean_var_norm")
        kind = (self._resolved(norm, "norm_type", "sentence"), norm.get("std_norm", False))
        unlike = {
            f"sample_rate is {rate!r}": rate != _RATE_HZ,
            "the features have deltas or context": fbank.get("deltas") or fbank.get("context"),
            "the filters are not triangular": fbank.get("filter_shape", "triangular")
            != "triangular",
            f"mean_var_norm is {kind}": kind != ("sentence", False),
            "the activation is not ReLU": "ReLU" not in str(model.get("activation", "ReLU"))
            and model.get("activation") != "",
            "its convolutions have groups": set(model.get("groups") or [1]) != {1},
        }
        self.problems += [what for what, wrong in unlike.items() if wrong]

    def _check_together(self, config: EcapaConfig, mels: int) -> None:
        rows = (config.channels, config.kernel_sizes, config.dilations)
        blocks = config.channels[1:-1]
        wrong = {
            "input_size is not the features' n_mels": config.n_mels != mels,
            "channels, kernel_sizes and dilations differ in length": len(set(map(len, rows))) > 1,
            "fewer than three layers": len(config.channels) < 3,
            "blocks of different widths": len(set(blocks)) > 1,
            "channels that res2net_scale does not divide": any(
                width % config.res2net_scale for width in blocks
            ),
            "even kernel_sizes": any(size % 2 == 0 for size in config.kernel_sizes),
            "a window longer than n_fft": config.win_length_ms * _RATE_HZ / 1000 > config.n_fft,
            "f_min not below f_max": config.f_min >= config.f_max,
        }
        self.problems += [what for what, found in wrong.items() if found]

    def _resolved(self, part: Mapping[str, Any], name: str, default: Any) -> Any:
        """Return a value, or what ``<name>`` stands for at the top of the file."""
        value = part.get(name, default)
        if isinstance(value, str) and (match := _REFERENCE.fullmatch(value)):
            value = self._values.get(match[1])
        return default if value is None else value

    def _whole(self, part: Mapping[str, Any], name: str, default: int, most: int) -> int:
        value = self._resolved(part, name, default)
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most:
            return value
        self.problems.append(f"{name} is {value!r}, not a whole number from 1 to {most}")
        return default

    def _number(
        self, part: Mapping[str, Any], name: str, default: float, least: float, most: float
    ) -> float:
        value = self._resolved(part, name, default)
        if isinstance(value, int | float) and least <= value <= most:
            return float(value)
        self.problems.append(f"{name} is {value!r}, not a number from {least} to {most}")
        return default

    def _row(
        self, part: Mapping[str, Any], name: str, default: tuple[int, ...], most: int
    ) -> tuple[int, ...]:
        value = self._resolved(part, name, default)
        if isinstance(value, list | tuple) and 1 <= len(value) <= 16:
            numbers = {str(index): item for index, item in enumerate(value)}
            before = len(self.problems)
            row = tuple(self._whole(numbers, index, 1, most) for index in numbers)
            if len(self.problems) == before:
                return row
            del self.problems[before:]
        self.problems.append(f"{name} is not a row of 3 to 16 whole numbers from 1 to {most}")
        return default
