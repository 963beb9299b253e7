"""Names of channels: what they may be, and which namespace they belong to."""

import re
from typing import Final

from core.errors import Code, TidingsError

NAME_CHARACTERS_MAX: Final = 255
PRIVATE: Final = "$"
USER_BOUNDARY: Final = "#"
SYSTEM: Final = "tidings"
"""The namespace of the channels that only the system publishes to."""
OCCUPANCY: Final = f"{SYSTEM}:occupancy"
"""Tells who is in the channels of the organization: `core/channels/occupancy.py`."""

_TEXT: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")


def is_valid(channel: str) -> bool:
    """Say whether this can be a channel: 1 to 255 printable ASCII characters."""
    return 0 < len(channel) <= NAME_CHARACTERS_MAX and channel.isascii() and channel.isprintable()


def is_text(channel: str) -> bool:
    """Say whether this can be a channel where a namespace has its own rule of names.

    Any text of 1 to 255 characters, none of them a control character.
    """
    return _TEXT.fullmatch(channel) is not None


def validate(channel: str) -> str:
    """Return the channel itself.

    Raises:
        TidingsError: `validation_failed`, it can't be one.
    """
    if is_valid(channel):
        return channel
    detail = f"A channel's name has 1 to {NAME_CHARACTERS_MAX} printable ASCII characters."
    raise TidingsError(Code.VALIDATION_FAILED, detail)


def namespace_of(channel: str) -> str:
    """Return what stands before the first colon, without a leading `$`.

    "" for a channel without namespace.
    """
    head, colon, _ = channel.removeprefix(PRIVATE).partition(":")
    return head if colon else ""


def is_system(channel: str) -> bool:
    """Say whether only the system publishes to this channel."""
    return namespace_of(channel) == SYSTEM


def rest_of(channel: str) -> str:
    """Return what stands behind the first colon; the whole name of a channel without namespace."""
    _, colon, rest = channel.partition(":")
    return rest if colon else channel


def is_listed(channel: str, user: str) -> bool:
    """Say whether a channel's name lists this user: behind its last `#`, one of several between commas."""
    _, boundary, users = channel.rpartition(USER_BOUNDARY)
    return bool(boundary and user) and user in users.split(",")
