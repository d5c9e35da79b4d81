"""ECAPA-TDNN in torch: Desplanques, Thienpondt, Demuynck, Interspeech 2020, arXiv:2005.07143.

The names of its parts give the keys that SpeechBrain's ``embedding_model.ckpt`` has, so that a
checkpoint of either can be read by the other. Neither batch nor length is limited, and nothing is
masked: every clip of a batch has the same length.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from holdfast.voiceprint.engines._ecapa_config import EcapaConfig

__all__ = ["EcapaTdnn"]

_LEAST_VARIANCE = 1e-12


class _Conv(nn.Module):
    """A convolution whose input is mirrored at its ends, so that no frame is lost."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.reach = dilation * (kernel - 1) // 2
        self.conv = nn.Conv1d(inputs, outputs, kernel, dilation=dilation)

    def forward(self, x: Any) -> Any:
        if self.reach:
            x = F.pad(x, (self.reach, self.reach), mode="reflect")
        return self.conv(x)


class _Norm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Any) -> Any:
        return self.norm(x)


class _Tdnn(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = _Conv(inputs, outputs, kernel, dilation)
        self.norm = _Norm(outputs)

    def forward(self, x: Any) -> Any:
        return self.norm(F.relu(self.conv(x)))


class _Res2Net(nn.Module):
    """Parts of the channels in a chain: each sees further than the one before it."""

    def __init__(self, channels: int, scale: int, kernel: int, dilation: int) -> None:
        super().__init__()
        width = channels // scale
        self.scale = scale
        self.blocks = nn.ModuleList(_Tdnn(width, width, kernel, dilation) for _ in range(scale - 1))

    def forward(self, x: Any) -> Any:
        first, *rest = torch.chunk(x, self.scale, dim=1)
        found = [first]
        for number, (block, part) in enumerate(zip(self.blocks, rest, strict=True)):
            found.append(block(part + found[-1] if number else part))
        return torch.cat(found, dim=1)


class _Squeeze(nn.Module):
    """Weighs each channel by what the whole clip is like."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _Conv(channels, inner), _Conv(inner, channels)

    def forward(self, x: Any) -> Any:
        weights = self.conv2(F.relu(self.conv1(x.mean(dim=2, keepdim=True))))
        return torch.sigmoid(weights) * x


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, config: EcapaConfig, index: int) -> None:
        super().__init__()
        self.tdnn1 = _Tdnn(inputs, outputs)
        self.res2net_block = _Res2Net(
            outputs, config.res2net_scale, config.kernel_sizes[index], config.dilations[index]
        )
        self.tdnn2 = _Tdnn(outputs, outputs)
        self.se_block = _Squeeze(outputs, config.se_channels)
        self.shortcut = _Conv(inputs, outputs) if inputs != outputs else None

    def forward(self, x: Any) -> Any:
        way = x if self.shortcut is None else self.shortcut(x)
        return self.se_block(self.tdnn2(self.res2net_block(self.tdnn1(x)))) + way


class _Pooling(nn.Module):
    """Mean and deviation over time, each frame weighed by attention to the whole clip."""

    def __init__(self, channels: int, inner: int, *, global_context: bool) -> None:
        super().__init__()
        self.global_context = global_context
        self.tdnn = _Tdnn(channels * 3 if global_context else channels, inner)
        self.conv = _Conv(inner, channels)

    def forward(self, x: Any) -> Any:
        seen = x
        if self.global_context:
            around = _moments(x, 1 / x.shape[2])
            seen = torch.cat([x, *(each.expand_as(x) for each in around)], dim=1)
        weights = torch.softmax(self.conv(torch.tanh(self.tdnn(seen))), dim=2)
        return torch.cat(_moments(x, weights), dim=1)


def _moments(x: Any, weights: Any) -> tuple[Any, Any]:
    mean = (weights * x).sum(dim=2, keepdim=True)
    variance = (weights * (x - mean).square()).sum(dim=2, keepdim=True)
    return mean, variance.clamp(_LEAST_VARIANCE).sqrt()


class EcapaTdnn(nn.Module):
    """The whole network: float32 features in, float32 embeddings out."""

    def __init__(self, config: EcapaConfig) -> None:
        super().__init__()
        first, *_, last = config.channels
        self.blocks = nn.ModuleList(
            [_Tdnn(config.n_mels, first, config.kernel_sizes[0], config.dilations[0])]
        )
        inner = config.channels[:-1]
        for index in range(1, len(inner)):
            self.blocks.append(_Block(inner[index - 1], inner[index], config, index))
        self.mfa = _Tdnn(
            inner[-1] * (len(inner) - 1), last, config.kernel_sizes[-1], config.dilations[-1]
        )
        self.asp = _Pooling(last, config.attention_channels, global_context=config.global_context)
        self.asp_bn = _Norm(2 * last)
        self.fc = _Conv(2 * last, config.lin_neurons)

    def forward(self, features: Any) -> Any:
        """Return embeddings, shape (batch, lin_neurons), of features, (batch, frames, n_mels)."""
        x = self.blocks[0](features.transpose(1, 2))
        found = []
        for block in self.blocks[1:]:
            x = block(x)
            found.append(x)
        x = self.mfa(torch.cat(found, dim=1))
        return self.fc(self.asp_bn(self.asp(x))).squeeze(2)
