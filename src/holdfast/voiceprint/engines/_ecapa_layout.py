"""An ECAPA-TDNN with channels that stay zero, so that its rows lie well in a processor's caches.

A row of 1024 float32 numbers is 4096 bytes: the same columns of all rows fall into the same few
places of a cache, and push each other out while a product goes down a column. With 16 numbers more
a row, which stay zero, products over rows are up to a tenth faster, though they do more.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from holdfast.voiceprint.engines._ecapa_config import EcapaConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers: TypeAlias = NDArray[Any]

__all__ = ["spread"]

# Channels whose rows are whole halves of a page (float32), and how many more move them apart by one
# line of a cache each.
_ALIKE, _MORE = 512, 16


def spread(
    weights: Mapping[str, Numbers], config: EcapaConfig
) -> tuple[dict[str, Numbers], EcapaConfig]:
    """Return a network that computes the same, with further channels wherever they help.

    Each part that a block is split into gets its share of them at its end.

    Args:
        weights: by the names of SpeechBrain's checkpoint, in the shapes of ``config``.
        config: the numbers of the model.
    """
    inner = config.channels[:-1]
    stages = [_places(count, config.res2net_scale) for count in inner]
    wide = [_width(count, config.res2net_scale) for count in inner]
    if tuple(wide) == inner:
        return dict(weights), config
    layout = _Layout(weights)
    layout.layer("blocks.0", (stages[0], wide[0]), None)
    for index in range(1, len(inner)):
        before, here = ((stages[at], wide[at]) for at in (index - 1, index))
        parts = config.res2net_scale
        part = (here[0][: inner[index] // parts], wide[index] // parts)
        layout.convolution(f"blocks.{index}.shortcut", here, before)
        layout.layer(f"blocks.{index}.tdnn1", here, before)
        for number in range(parts - 1):
            layout.layer(f"blocks.{index}.res2net_block.blocks.{number}", part, part)
        layout.layer(f"blocks.{index}.tdnn2", here, here)
        layout.convolution(f"blocks.{index}.se_block.conv1", None, here)
        layout.convolution(f"blocks.{index}.se_block.conv2", here, None)
    starts = np.cumsum([0, *wide[1:-1]])
    seen = np.concatenate(
        [places + start for places, start in zip(stages[1:], starts, strict=True)]
    )
    layout.convolution("mfa.conv", None, (seen, sum(wide[1:])))
    return layout.weights, config._replace(channels=(*wide, config.channels[-1]))


def _width(count: int, parts: int) -> int:
    return count + _MORE if count % _ALIKE == 0 and _MORE % parts == 0 else count


def _places(count: int, parts: int) -> Numbers:
    """Return where each channel comes to lie, (count,)."""
    number = np.arange(count)
    part = count // parts
    return number + number // part * (_width(count, parts) // parts - part)


class _Layout:
    """Weights whose channels are moved; a side is its channels' places, and how many there are."""

    def __init__(self, weights: Mapping[str, Numbers]) -> None:
        self.weights = dict(weights)

    def layer(
        self, name: str, outputs: tuple[Numbers, int], inputs: tuple[Numbers, int] | None
    ) -> None:
        """Move the channels of a convolution and of the normalisation behind it."""
        self.convolution(f"{name}.conv", outputs, inputs)
        for part in ("weight", "bias", "running_mean", "running_var"):
            fill = float(part in {"weight", "running_var"})
            self._move(f"{name}.norm.norm.{part}", 0, outputs, fill)

    def convolution(
        self,
        name: str,
        outputs: tuple[Numbers, int] | None,
        inputs: tuple[Numbers, int] | None,
    ) -> None:
        """Move the channels of a convolution, where the network has it; None: they stay."""
        if f"{name}.conv.weight" not in self.weights:
            return
        if outputs is not None:
            self._move(f"{name}.conv.weight", 0, outputs)
            self._move(f"{name}.conv.bias", 0, outputs)
        if inputs is not None:
            self._move(f"{name}.conv.weight", 1, inputs)

    def _move(self, name: str, axis: int, side: tuple[Numbers, int], fill: float = 0.0) -> None:
        places, count = side
        old = np.moveaxis(self.weights[name], axis, 0)
        new = np.full((count, *old.shape[1:]), fill, old.dtype)
        new[places] = old
        self.weights[name] = np.moveaxis(new, 0, axis)
