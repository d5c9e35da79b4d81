"""A secret turn of the space that centroids lie in; their cosines stay.

The matrix comes out of the master key by means that give the same numbers everywhere (AES, not a
library's generator of random numbers), so that two servers and a later version agree.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

__all__ = ["rotation"]

_BITS = 53


def rotation(key: bytes, dimension: int) -> NDArray[np.float64]:
    """Return an orthogonal matrix, shape (dimension, dimension), that only ``key`` leads to.

    It is drawn evenly from all of them: the factor Q of a matrix of normal numbers, with the signs
    that make R's diagonal positive.

    Args:
        key: 32 bytes.
        dimension: of the vectors that are multiplied by it.
    """
    drawn = _normal(key, dimension * dimension).reshape(dimension, dimension)
    turned, rest = np.linalg.qr(drawn)
    found: NDArray[np.float64] = turned * np.sign(np.diag(rest))
    return found


def _normal(key: bytes, count: int) -> NDArray[np.float64]:
    """Return normal numbers by Box and Muller's method from AES-256 in counter mode."""
    pairs = (count + 1) // 2
    stream = Cipher(AES(key), CTR(bytes(16))).encryptor().update(bytes(16 * pairs))
    # In (0, 1]: the logarithm of 0 is none.
    even = (np.frombuffer(stream, "<u8").reshape(2, pairs) >> (64 - _BITS)).astype(np.float64)
    first, second = (even + 1) / 2**_BITS
    radius, angle = np.sqrt(-2 * np.log(first)), 2 * np.pi * second
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
