"""The options of one namespace: what of them is known here, under names that are mostly the same."""

from typing import Any, Final

import msgspec

from core.channels.namespace import Options, faults_of
from core.moving.source import SAME, UNAVAILABLE, Source

_FLAGS: Final = (
    "presence", "join_leave", "force_push_join_leave", "force_positioning", "allow_positioning",
    "force_recovery", "allow_recovery", "delta_publish", "allow_tags_filter", "allow_user_limited_channels",
    "allow_subscribe_for_client", "allow_subscribe_for_anonymous", "allow_publish_for_client",
    "allow_publish_for_anonymous", "allow_publish_for_subscriber", "allow_history_for_client",
    "allow_history_for_anonymous", "allow_history_for_subscriber", "allow_presence_for_client",
    "allow_presence_for_anonymous", "allow_presence_for_subscriber",
)  # fmt: skip
_OTHERS: Final = (
    "history_size", "history_ttl", "history_meta_ttl", "force_recovery_mode", "allowed_delta_types",
    "publication_data_format", "channel_regex", "subscribe_proxy_enabled", "publish_proxy_enabled",
    "sub_refresh_proxy_enabled", "subscribe_stream_proxy_enabled", "subscribe_stream_proxy_bidirectional",
    "subscribe_proxy_name", "publish_proxy_name", "sub_refresh_proxy_name", "subscribe_stream_proxy_name",
    "subscription_type",
)  # fmt: skip
NAMES: Final = (*_FLAGS, *_OTHERS)

_KEPT: Final = "what history and recovery show; the log itself keeps its whole retention"
_PROLONGED: Final = "subscriptions are prolonged by tokens alone: others end when they expire"
_STREAM: Final = "a backend is asked, it does not stream: nobody would keep out whom it keeps out"


def proxy_keys(prefix: str, event: str) -> tuple[str, str]:
    """Return the two options of a namespace that say whether a proxy is asked about an event, and which."""
    return f"{prefix}.{event}_proxy_enabled", f"{prefix}.{event}_proxy_name"


def asks_proxy(source: Source, on: str, name: str) -> bool:
    """Say whether a proxy is asked; before version 6 its name alone did it."""
    is_on, chosen = source.flag(on), source.text(name)
    is_asked = is_on or (chosen != "" and name in source.older)
    if not is_asked:
        source.note(name, SAME, "not in use")
    return is_asked


def options_of(source: Source, prefix: str, data_format: str) -> Options:
    """Return the options under a key; where they name no format of data, `data_format` holds.

    Options that can't be read are refused as a whole, and come out as if there were none.
    """
    found: dict[str, Any] = {name: source.flag(f"{prefix}.{name}") for name in _FLAGS}
    size, ttl_s = (
        source.number(f"{prefix}.history_size", _KEPT),
        source.seconds(f"{prefix}.history_ttl", _KEPT),
    )
    if size and ttl_s >= 1:
        found |= {"history": "window", "history_size": size, "history_ttl_s": int(ttl_s)}
    found["force_recovery_mode"] = source.text(f"{prefix}.force_recovery_mode") or "stream"
    found["allowed_delta_types"] = source.texts(f"{prefix}.allowed_delta_types")
    found["publication_data_format"] = source.text(f"{prefix}.publication_data_format") or data_format
    found["channel_regex"] = source.text(f"{prefix}.channel_regex")
    found["subscribe_proxy"] = asks_proxy(source, *proxy_keys(prefix, "subscribe"))
    found["publish_proxy"] = asks_proxy(source, *proxy_keys(prefix, "publish"))
    source.seconds(f"{prefix}.history_meta_ttl")
    source.note(f"{prefix}.history_meta_ttl", SAME, "offsets and epoch stay as long as the log itself")
    _judge_absent(source, prefix)
    if (kind := source.text(f"{prefix}.subscription_type")) not in ("", "stream"):
        source.note(
            f"{prefix}.subscription_type", UNAVAILABLE, f"{kind}: channels hold publications in their order"
        )
    try:
        options = msgspec.convert(found, Options)
    except msgspec.ValidationError as error:
        message, _, place = str(error).rpartition(" - at `$.")
        option = place.partition("[")[0].rstrip("`")
        source.refuse(f"{prefix}.{option}", message.lower().rstrip("."))
        return Options()
    for pointer, _, detail in faults_of(options):
        source.refuse(f"{prefix}.{pointer.removeprefix('#/')}", detail)
    return options


def _judge_absent(source: Source, prefix: str) -> None:
    """Give the proxies that there are not here their rows; without one of them channels would be open."""
    refreshes, streams = proxy_keys(prefix, "sub_refresh"), proxy_keys(prefix, "subscribe_stream")
    is_asked = asks_proxy(source, *refreshes)
    for key in refreshes:
        source.note(key, UNAVAILABLE if is_asked else SAME, _PROLONGED if is_asked else "not in use")
    if asks_proxy(source, *streams):
        source.refuse(streams[0] if source.flag(streams[0]) else streams[1], _STREAM)
    else:
        source.note(streams[0], SAME, "not in use")
    source.flag(f"{prefix}.subscribe_stream_proxy_bidirectional")
    source.note(f"{prefix}.subscribe_stream_proxy_bidirectional", SAME, "not in use")
