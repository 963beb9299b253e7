"""Publications as clients send them, checked by hand: what is published must stay the bytes that came."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from core.errors import Code, TidingsError
from core.resources.document import (
    METADATA_KEY_CHARACTERS_MAX,
    METADATA_KEYS_MAX,
    METADATA_VALUE_CHARACTERS_MAX,
    FieldFault,
    invalid,
    pointer_to,
)
from gateway.api.idempotency import check_key

CHANNELS_MAX: Final = 1_000


class _Payload(msgspec.Struct):
    data: msgspec.Raw


_PAYLOAD: Final = msgspec.json.Decoder(_Payload)


@dataclass(frozen=True, slots=True)
class Publication:
    """One publication to be appended. `key` is the item's own idempotency key, "" without."""

    channels: tuple[str, ...]
    data: bytes
    tags: dict[str, str] | None
    key: str = ""


def read_publication(raw: bytes, item: dict[str, Any], channel: str, bytes_max: int) -> Publication:
    """Return the publication that a body of `/v1/channels/{channel}/publications` holds.

    Raises:
        TidingsError: `validation_failed`, `body_too_large`.
    """
    faults = _faults(item, frozenset({"data", "tags"}))
    if faults:
        raise invalid("The body is no publication.", faults)
    return Publication((channel,), _data(raw, bytes_max), item.get("tags"))


def read_item(raw: bytes, item: Any, bytes_max: int) -> Publication:
    """Return the publication that an item of `/v1/publish` holds; pointers begin at the item.

    Raises:
        TidingsError: `validation_failed`, `body_too_large`, `idempotency_key_invalid`.
    """
    if not isinstance(item, dict):
        raise invalid("The item is no publication.", [("#", "wrong_type", "Must be an object.")])
    faults = _faults(item, frozenset({"data", "tags", "channel", "channels", "idempotency_key"}))
    channels, bad_channels = _channels(item)
    faults += bad_channels
    key = item.get("idempotency_key")
    if not isinstance(key, str | None):
        faults.append(("#/idempotency_key", "wrong_type", "Must be a string."))
    if faults:
        raise invalid("The item is no publication.", faults)
    return Publication(
        channels, _data(raw, bytes_max), item.get("tags"), "" if key is None else check_key(key)
    )


def _faults(item: dict[str, Any], known: frozenset[str]) -> list[FieldFault]:
    faults: list[FieldFault] = [
        (pointer_to(name), "unknown_field", "No such field.") for name in item if name not in known
    ]
    if "data" not in item:
        faults.append(("#/data", "required", "Missing."))
    return faults + _tag_faults(item.get("tags"))


def _tag_faults(tags: Any) -> list[FieldFault]:
    if tags is None:
        return []
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        return [("#/tags", "wrong_type", "Must be an object of strings.")]
    if len(tags) > METADATA_KEYS_MAX:
        return [("#/tags", "too_long", f"At most {METADATA_KEYS_MAX} tags.")]
    if any(len(name) > METADATA_KEY_CHARACTERS_MAX for name in tags):
        return [("#/tags", "too_long", f"A tag's name has at most {METADATA_KEY_CHARACTERS_MAX} characters.")]
    if any(len(value) > METADATA_VALUE_CHARACTERS_MAX for value in tags.values()):
        return [("#/tags", "too_long", f"A tag has at most {METADATA_VALUE_CHARACTERS_MAX} characters.")]
    return []


def _channels(item: dict[str, Any]) -> tuple[tuple[str, ...], list[FieldFault]]:
    one, several = item.get("channel"), item.get("channels")
    if (one is None) == (several is None):
        return (), [("#/channel", "required", "Name either channel or channels.")]
    if one is not None:
        return (
            ((one,), []) if isinstance(one, str) else ((), [("#/channel", "wrong_type", "Must be a string.")])
        )
    if not isinstance(several, list) or not all(isinstance(name, str) for name in several):
        return (), [("#/channels", "wrong_type", "Must be an array of strings.")]
    if not several:
        return (), [("#/channels", "too_short", "Must name a channel.")]
    if len(several) > CHANNELS_MAX:
        return (), [("#/channels", "too_long", f"At most {CHANNELS_MAX} channels.")]
    if len(set(several)) != len(several):
        return (), [("#/channels", "duplicate", "Each channel once.")]
    return tuple(several), []


def channels_named(item: Any) -> tuple[str, ...]:
    """Return the channels that an item of `/v1/publish` names, in order and whether or not it is valid.

    Empty: it names none that a result could stand under.
    """
    return _channels(item)[0] if isinstance(item, dict) else ()


def _data(raw: bytes, bytes_max: int) -> bytes:
    data = bytes(_PAYLOAD.decode(raw).data)
    if len(data) > bytes_max:
        raise TidingsError(Code.BODY_TOO_LARGE, f"A publication has at most {bytes_max} bytes.")
    return data
