"""Patches in the fossil delta format: what turns the previous publication of a channel into the next one.

A patch is the target's length and a line feed, then segments, then a checksum of the target and `;`. A
segment copies a range of the base (`length@offset,`) or brings bytes of its own (`length:bytes`). Numbers are
written in base 64.

The ends that both documents share are taken first, so a change in one place costs next to nothing. What lies
between is looked up by blocks of the base, and the looking is bounded: it takes about two milliseconds at the
most, whatever the documents are.

Source: "Fossil Delta Format", fossil-scm.org/home/doc/trunk/www/delta_format.wiki.
"""

from collections.abc import Iterator
from typing import Final

DOCUMENT_BYTES_MAX: Final = 65_536
"""Longer documents are not compared."""
EFFORT_MAX: Final = 6_144
"""How much is looked up, counted in blocks that are not found; what is left then goes out as it is."""
COPY_EFFORT: Final = 24
"""What it costs to find a block and how far the agreement goes, counted likewise."""
BLOCK_BYTES: Final = 16
"""The shortest range that is copied: more than any copy segment takes, so every copy pays."""

_DIGITS: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
_CONTINUATION: Final = range(0x80, 0xC0)
"""Bytes inside a character of UTF-8 (RFC 3629 §3), of which it has at most three."""

_Copy = tuple[int, int, int]
"""Bytes of the target, from the first number to the second, that stand in the base from the third on."""


def patch_of(base: bytes, target: bytes) -> bytes | None:
    """Return what makes `target` of `base`, or None when no patch that is smaller than `target` was found.

    The patch of two documents in UTF-8 is UTF-8, so it fits into a JSON string.
    """
    if max(len(base), len(target)) > DOCUMENT_BYTES_MAX:
        return None
    parts = [_number(len(target)), b"\n"]
    done = 0
    for start, end, at in _copies(base, target):
        parts += _insert(target[done:start])
        parts += (_number(end - start), b"@", _number(at), b",")
        done = end
    parts += _insert(target[done:])
    if sum(map(len, parts)) >= len(target):
        return None  # before the checksum, which costs more than a glance at the parts
    patch = b"".join((*parts, _number(_checksum(target)), b";"))
    return patch if len(patch) < len(target) else None


def _insert(content: bytes) -> tuple[bytes, ...]:
    return (_number(len(content)), b":", content) if content else ()


def _copies(base: bytes, target: bytes) -> Iterator[_Copy]:
    """Yield what of the target is worth copying, in its order."""
    shorter = min(len(base), len(target))
    head = _agreeing(base, 0, target, 0, shorter)
    rest = shorter - head
    tail = _agreeing_at_end(base[len(base) - rest :], target[len(target) - rest :])
    ends = (0, head, 0), (len(target) - tail, len(target), len(base) - tail)
    for copy in (ends[0], *_copies_between(base, target, head, tail), ends[1]):
        start, end, at = _of_whole_characters(target, *copy)
        if end - start >= BLOCK_BYTES:
            yield start, end, at


def _copies_between(base: bytes, target: bytes, head: int, tail: int) -> Iterator[_Copy]:
    """Yield what is found of that which is neither among the first `head` nor the last `tail` bytes."""
    base_end, target_end = len(base) - tail, len(target) - tail
    starts = range(head, base_end - BLOCK_BYTES + 1, BLOCK_BYTES)
    # Of equal blocks the first one stays: more of them may follow it.
    blocks = {base[at : at + BLOCK_BYTES]: at for at in reversed(starts)}
    done, here, shift, effort = head, head, 0, 0
    while blocks and here <= target_end - BLOCK_BYTES and effort < EFFORT_MAX:
        block = target[here : here + BLOCK_BYTES]
        if (at := blocks.get(block)) is None:
            here += 1
            effort += 1
            continue
        # Where the last copy left off may stand the same block: there the agreement is likely to go on.
        if head <= here + shift and base.startswith(block, here + shift, base_end):
            at = here + shift
        before = min(BLOCK_BYTES, here - done, at - head)
        start = here - _agreeing_at_end(base[at - before : at], target[here - before : here])
        end = here + _agreeing(base, at, target, here, min(base_end - at, target_end - here))
        yield start, end, at - here + start
        shift = at - here
        done = here = end
        effort += COPY_EFFORT


def _agreeing(base: bytes, at: int, target: bytes, here: int, bytes_max: int) -> int:
    """Return how many bytes agree from `at` in one and `here` in the other on."""
    found, window = 0, 2 * BLOCK_BYTES
    while found < bytes_max:
        window = min(window, bytes_max - found)
        one = base[at + found : at + found + window]
        other = target[here + found : here + found + window]
        if one != other:
            return found + window - _differing(int.from_bytes(one), int.from_bytes(other))
        found += window
        window *= 2
    return found


def _agreeing_at_end(one: bytes, other: bytes) -> int:
    """Return how many of the last bytes agree; both have the same length."""
    return len(one) - _differing(int.from_bytes(one, "little"), int.from_bytes(other, "little"))


def _differing(one: int, other: int) -> int:
    """Return how many bytes there are from the lowest to the highest that differs."""
    return ((one ^ other).bit_length() + 7) // 8


def _of_whole_characters(target: bytes, start: int, end: int, at: int) -> _Copy:
    """Return a copy less the parts of characters at its ends; of what is no UTF-8, less a few bytes."""
    for _ in range(3):
        if start < end and target[start] in _CONTINUATION:
            start, at = start + 1, at + 1
        if start < end < len(target) and target[end] in _CONTINUATION:
            end -= 1
    return start, end, at


def _number(value: int) -> bytes:
    digits = [_DIGITS[value & 63]]
    while value := value >> 6:
        digits.append(_DIGITS[value & 63])
    return bytes(reversed(digits))


def _checksum(document: bytes) -> int:
    """Return the sum of its big-endian words of 32 bits, the last one filled up with zeros."""
    return sum(sum(document[byte::4]) << (24 - 8 * byte) for byte in range(4)) & 0xFFFF_FFFF
