"""The secret turn of searched vectors: the same everywhere, and one that keeps every cosine."""

from __future__ import annotations

import numpy as np

from holdfast.voiceprint.gallery import Vault
from holdfast.voiceprint.gallery._rotation import rotation

KEY = bytes(range(32))


def test_the_same_key_gives_the_same_numbers_in_every_version() -> None:
    # Whatever changes these makes every stored vector useless.
    expected = [
        [0.62771572, -0.13910098, 0.32222646, 0.69483379],
        [0.575562, -0.42368356, 0.16273084, -0.68024944],
        [0.10451926, 0.74722144, 0.6147181, -0.22990762],
        [-0.51359233, -0.49275073, 0.70129198, 0.04011469],
    ]
    assert np.allclose(rotation(KEY, 4), expected, atol=1e-7)
    corner = rotation(KEY, 192)[0, :3]
    assert np.allclose(corner, [0.03237301, 0.08951285, -0.015974], atol=1e-7)


def test_cosines_stay_and_the_vectors_do_not() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(50, 192))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    turned = rows @ rotation(KEY, 192).T
    assert np.allclose(turned @ turned.T, rows @ rows.T, atol=1e-12)
    # A vector and its turned self are as far apart as two strangers' voices.
    assert abs((turned * rows).sum(axis=1)).max() < 0.4


def test_models_and_keys_have_turns_of_their_own() -> None:
    keys = {
        Vault(key).rotation_key(model) for key in (KEY, bytes(32)) for model in ("m" * 16, "o" * 16)
    }
    assert len(keys) == 4
