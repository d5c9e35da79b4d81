"""Channels that stay zero change nothing but where the others lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

from holdfast.voiceprint.engines import _ecapa_onnx
from holdfast.voiceprint.engines._ecapa_config import EcapaConfig
from holdfast.voiceprint.engines._ecapa_layout import spread
from tests.support.speakers import CONFIG, ecapa_weights

SMALL: dict[str, Any] = {"attention_channels": 16, "lin_neurons": 24, "se_channels": 8}


def embedded(graph: bytes, features: Any) -> Any:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(None, {"features": features})[0].astype(float)


@pytest.mark.parametrize(
    "channels", [(512, 512, 512, 512, 64), (48, 512, 512, 512, 64), (1024, 48, 48, 48, 512)]
)
def test_a_spread_network_computes_the_same(
    monkeypatch: pytest.MonkeyPatch, channels: tuple[int, ...]
) -> None:
    config = EcapaConfig(channels=channels, **SMALL)
    weights = ecapa_weights(config)
    found, wide = spread(weights, config)
    assert wide.channels[-1] == config.channels[-1]
    assert not any(count % 512 == 0 for count in wide.channels[:-1])
    assert found["blocks.1.tdnn1.conv.conv.weight"].shape[:2] == (
        wide.channels[1], wide.channels[0],
    )  # fmt: skip
    features = np.random.default_rng(2).normal(size=(2, 60, 80)).astype(np.float32)
    one = embedded(_ecapa_onnx.build_graph(weights, config), features)
    monkeypatch.setattr(_ecapa_onnx, "spread", lambda *given: given)
    other = embedded(_ecapa_onnx.build_graph(weights, config), features)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    assert 1 - ((one * other).sum(axis=1) / lengths).min() < 1e-11


def test_a_network_that_would_gain_nothing_stays_as_it_is() -> None:
    weights = ecapa_weights()
    found, config = spread(weights, CONFIG)
    assert config == CONFIG
    assert all(np.array_equal(found[name], weights[name]) for name in weights)
