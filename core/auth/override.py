"""What a token or an order changes of a channel's options, for one subscription."""

from dataclasses import dataclass
from typing import Final

import msgspec

from core.errors import Code, TidingsError


@dataclass(frozen=True, slots=True)
class Override:
    """Options that hold for one subscription in place of the channel's; None keeps the channel's."""

    presence: bool | None = None
    join_leave: bool | None = None
    force_recovery: bool | None = None
    force_positioning: bool | None = None
    force_push_join_leave: bool | None = None


class Value(msgspec.Struct, frozen=True):
    """One option: `{"value": true}`."""

    value: bool = False


class OverrideClaim(msgspec.Struct, frozen=True):
    """The claim `override`, as it is written."""

    presence: Value | None = None
    join_leave: Value | None = None
    force_recovery: Value | None = None
    force_positioning: Value | None = None
    force_push_join_leave: Value | None = None


NOTHING: Final = Override()
_CLAIM: Final = msgspec.json.Decoder(OverrideClaim | None)


def override_of(claim: OverrideClaim | None) -> Override:
    """Return what a claim changes."""
    if claim is None:
        return NOTHING
    options = (getattr(claim, name) for name in claim.__struct_fields__)
    return Override(*(None if option is None else option.value for option in options))


def read_override(raw: bytes) -> Override:
    """Return what the JSON of a claim changes; nothing, for no bytes.

    Raises:
        TidingsError: `malformed_request`, it is no such claim.
    """
    try:
        return override_of(_CLAIM.decode(raw) if raw else None)
    except (msgspec.DecodeError, RecursionError):
        raise TidingsError(Code.MALFORMED_REQUEST, "The override is no object of options.") from None
