"""Ids: sixteen bytes inside, a prefix and 26 characters outside.

Inside the system (links, rows, caches) an id is the 16 bytes of a UUIDv7. Outside it is `<prefix>_<26
characters>`: the bytes as 26 digits of 5 bits, big-endian, in lower-case Crockford base32, so that ids sort
by bytes in the order of their creation. The conversion happens once, at the edge of the system.
"""

from typing import Final

from core.errors import Code, TidingsError

DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
ID_BYTES: Final = 16
ID_CHARACTERS: Final = 26

_PAIRS: Final = tuple(a + b for a in DIGITS for b in DIGITS)
_SHIFTS: Final = range(120, -1, -10)
# Crockford reads I and L as 1, and O as 0; upper case is accepted on input.
_VALUES: Final = {digit: value for value, digit in enumerate(DIGITS)} | {"i": 1, "l": 1, "o": 0}


def encode(prefix: str, raw: bytes) -> str:
    """Return the public form of 16 raw bytes, e.g. `msg_01m820yak2e8kbcf2tpy8vep2a`."""
    number = int.from_bytes(raw, "big")
    pairs = "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])
    return f"{prefix}_{pairs}"


def decode(prefix: str, text: str) -> bytes:
    """Read a public id of the given prefix; upper case is accepted.

    Raises:
        TidingsError: `not_found`, since an id that cannot exist is answered like one that does not.
    """
    head, separator, digits = text.partition("_")
    if not separator or head.lower() != prefix or len(digits) != ID_CHARACTERS:
        raise TidingsError(Code.NOT_FOUND)
    number = 0
    for digit in digits.lower():
        value = _VALUES.get(digit)
        if value is None:
            raise TidingsError(Code.NOT_FOUND)
        number = number << 5 | value
    if number >> 128:
        raise TidingsError(Code.NOT_FOUND)
    return number.to_bytes(ID_BYTES, "big")
