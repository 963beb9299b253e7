"""API keys: `tdg_live_` or `tdg_test_`, 30 random base62 characters, and a checksum of all before."""

import re
import zlib
from hashlib import sha256
from typing import Final

DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_CHARACTERS: Final = 30
CHECKSUM_CHARACTERS: Final = 6
RANDOM_BYTES: Final = 32
"""Entropy that `generate` wants: 256 bits, of which 178 fit the key."""

_FORM: Final = re.compile(r"tdg_(live|test)_[0-9A-Za-z]{36}", re.ASCII)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), CHECKSUM_CHARACTERS)


def generate(entropy: bytes, environment: str) -> str:
    """Return a new key for the environment (`live` or `test`) from `RANDOM_BYTES` unpredictable bytes."""
    body = f"tdg_{environment}_{_base62(int.from_bytes(entropy, 'big'), RANDOM_CHARACTERS)}"
    return body + _checksum(body)


def is_well_formed(text: str) -> bool:
    """Say whether the text can be a key at all, so that a typing error costs no look-up."""
    return (
        _FORM.fullmatch(text) is not None
        and _checksum(text[:-CHECKSUM_CHARACTERS]) == text[-CHECKSUM_CHARACTERS:]
    )


def digest(text: str) -> bytes:
    """Return what is stored of a key: its SHA-256. No slow hash, since the secret is random."""
    return sha256(text.encode()).digest()
