"""Slow twin of the random numbers: Philox4x32-10 in Python integers, Box & Muller in libm."""

import math

WORD = 0xFFFFFFFF


def philox(counter, key):
    """Four 32-bit words from a counter of four and a key of two (Salmon et al. 2011)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high_0, low_0 = divmod(0xD2511F53 * c0, 2**32)
        high_1, low_1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high_1 ^ c1 ^ k0, low_1, high_0 ^ c3 ^ k1, low_0
        k0, k1 = (k0 + 0x9E3779B9) & WORD, (k1 + 0xBB67AE85) & WORD
    return c0, c1, c2, c3


def words(seed, stream_key, split_word, index, n):
    """The first ``n`` words of one spectrum."""
    blocks = [
        philox((b, 0, index, split_word), (seed, stream_key)) for b in range(math.ceil(n / 4))
    ]
    return [word for block in blocks for word in block][:n]


def normals(seed, stream_key, split_word, index, n):
    """Standard normals (Box & Muller 1958): word pairs to radius and turn."""
    stream = words(seed, stream_key, split_word, index, 4 * math.ceil(n / 4))
    numbers = []
    for first, second in zip(stream[0::2], stream[1::2], strict=True):
        radius = math.sqrt(-2.0 * math.log((first + 0.5) / 2**32))
        angle = 2.0 * math.pi * (second / 2**32 - 0.5)
        numbers += [radius * math.cos(angle), radius * math.sin(angle)]
    return numbers[:n]
