"""What becomes of the keys of a Centrifugo configuration that nothing is read from.

Keys are those of version 6; what versions 4 and 5 called them is in `core.moving.older`.
"""

import re
from typing import Any, Final

from core.moving.durations import seconds_of
from core.moving.older import GENERAL
from core.moving.source import PREFIX, SAME, UNAVAILABLE, Source, Verdict

_STORED: Final = "publications are in PostgreSQL, presence in Redis, on every installation"
_EDGE: Final = "addresses and certificates are the edge's, in the installation's settings"
_SERVED: Final = "served on every installation, under the same path"
_BUFFERS: Final = "buffers are sized by themselves"
_KEYED_PART: Final = re.compile(r"\.(map|shared_poll)[._]")
_INBOUND: Final = "nothing is consumed from elsewhere: publish over REST or /api"
_KEYED: Final = "channels hold publications in their order, no maps and no polls"
_UNASKED: Final = "not in use"
_UNKNOWN: Final = "neither system knows this key: is it spelled right?"
_PRO: Final = "of Centrifugo PRO, and not here"
_KEEP_OUT: Final = (
    "whom it keeps out would come in here: revoke their tokens (docs/tokens.md), and leave it out"
)
_NO_GRPC: Final = "there is no gRPC, only HTTP"

VERDICTS: Final[dict[str, tuple[Verdict, str]]] = {
    "engine": (SAME, _STORED),
    "broker": (SAME, _STORED),
    "presence_manager": (SAME, _STORED),
    "controller": (SAME, _STORED),
    "map_broker": (UNAVAILABLE, _KEYED),
    "shared_poll": (UNAVAILABLE, _KEYED),
    "consumers": (UNAVAILABLE, _INBOUND),
    "http_server": (UNAVAILABLE, _EDGE),
    "log": (UNAVAILABLE, "logs are the installation's: JSON lines, or text on a terminal"),
    "admin": (UNAVAILABLE, "there is no admin page: see `tidings status` and `tidings doctor`"),
    "grpc_api": (UNAVAILABLE, _NO_GRPC),
    "uni_grpc": (UNAVAILABLE, _NO_GRPC),
    "sockjs": (UNAVAILABLE, "clients fall back to HTTP by themselves"),
    "use_client_protocol_v1_by_default": (UNAVAILABLE, "clients speak the protocol that came with version 4"),
    "disable_client_protocol_v1": (SAME, "clients speak the protocol that came with version 4"),
    "skip_user_check_in_subscription_token": (UNAVAILABLE, "a token is good for its own user alone"),
    "gomaxprocs": (UNAVAILABLE, "replicas are as many as the installation has"),
    "license": (SAME, "nothing here needs one"),
    **dict.fromkeys(
        (
            "admin.oidc",
            "brokers",
            "cache",
            "channel_namespace_for_transport_messages_received",
            "channel_namespace_for_transport_messages_sent",
            "channel.proxy.cache_empty",
            "channel.proxy.state",
            "client_command_rate_limit",
            "client_error_limits",
            "client.rate_limit",
            "clickhouse_analytics",
            "database",
            "distributed_rate_limit",
            "partitioned_presence",
            "presence_managers",
            "push_notifications",
            "redis_user_command_rate_limit",
            "singleflight",
            "state",
            "state_vacated_event_delay",
            "token_revoke",
            "user_block",
            "user_command_rate_limit",
            "user_status",
            "user_tokens_invalidate",
        ),
        (UNAVAILABLE, _PRO),
    ),
    "client.queue_initial_cap": (SAME, _BUFFERS),
    "client.max_messages_in_frame": (SAME, _BUFFERS),
    "client.reply_without_queue": (SAME, _BUFFERS),
    "client.write_delay": (SAME, "what is written at once leaves together"),
    "webtransport": (UNAVAILABLE, "clients fall back to WebSocket by themselves"),
    "websocket": (SAME, _BUFFERS),
    "websocket.disabled": (UNAVAILABLE, "WebSocket is served on every installation"),
    "sse": (SAME, _SERVED),
    "http_stream": (SAME, _SERVED),
    "uni_websocket": (SAME, _SERVED),
    "uni_sse": (SAME, _SERVED),
    "uni_http_stream": (SAME, _SERVED),
    "uni_sse.connect_code_to_http_response": (UNAVAILABLE, "codes are those of the protocol"),
    "uni_http_stream.connect_code_to_http_response": (UNAVAILABLE, "codes are those of the protocol"),
    "emulation": (SAME, _SERVED),
    "prometheus": (SAME, "/metrics of each replica that serves REST"),
    "health": (SAME, "/healthz of every replica, /readyz of each that serves REST"),
    "swagger": (UNAVAILABLE, "there is no such page"),
    "debug": (UNAVAILABLE, "there is no such page"),
    "dev": (UNAVAILABLE, "there is no such page"),
    "init": (UNAVAILABLE, "there is no such endpoint"),
    "opentelemetry": (UNAVAILABLE, "a setting of the installation: OTEL_EXPORTER_OTLP_ENDPOINT"),
    "graphite": (UNAVAILABLE, "scrape /metrics"),
    "usage_stats": (SAME, "nothing is ever sent anywhere"),
    "node": (UNAVAILABLE, "replicas are named by themselves"),
    "shutdown": (UNAVAILABLE, "a setting of the installation: TIDINGS_REALTIME_DRAIN_S"),
    "pid_file": (UNAVAILABLE, "processes are Ray's"),
    "enable_unreleased_features": (UNAVAILABLE, "nothing unreleased is in a release"),
    "client.allowed_origins": (UNAVAILABLE, "a setting of the installation: TIDINGS_REALTIME_ORIGINS"),
    "client.concurrency": (SAME, "commands wait for nothing but the database"),
    "client.presence_update_interval": (SAME, "presence is kept by replicas, not by clients"),
    "client.channel_position_check_delay": (SAME, "positions are checked all the time"),
    "client.channel_position_max_time_lag": (SAME, "positions are checked all the time"),
    "client.recovery_max_publication_limit": (SAME, "recovery has no limit: it goes on page by page"),
    "client.connect_include_server_time": (UNAVAILABLE, "the connect reply tells no time"),
    "client.connection_rate_limit": (UNAVAILABLE, "new connections are limited by the edge, per address"),
    "client.insecure_skip_token_signature_verify": (UNAVAILABLE, "no token is believed unverified"),
    "client.user_id_http_header": (
        UNAVAILABLE,
        "no header says who a user is: use tokens or a connect proxy",
    ),
    "client.connect_code_to_unidirectional_disconnect": (UNAVAILABLE, "codes are those of the protocol"),
    "channel.patterns": (SAME, _UNASKED),
    "channel.namespaces": (SAME, "there are none"),
    "channel.history_meta_ttl": (SAME, "offsets and epoch stay as long as the log itself"),
    "client.proxy": (SAME, _UNASKED),
    "channel.proxy": (SAME, _UNASKED),
    "channel.proxy.sub_refresh": (UNAVAILABLE, "no backend prolongs subscriptions"),
    "channel.proxy.subscribe_stream": (UNAVAILABLE, "a backend is asked, it does not stream"),
    **dict.fromkeys(GENERAL, (SAME, _UNASKED)),
    "proxy_http_status_code_transforms": (UNAVAILABLE, "each status but 200 is error 100"),
    "proxy_grpc_metadata": (UNAVAILABLE, _NO_GRPC),
    "proxy_grpc_cert_file": (UNAVAILABLE, _NO_GRPC),
    "proxy_grpc_compression": (UNAVAILABLE, _NO_GRPC),
    "proxy_grpc_credentials_key": (UNAVAILABLE, _NO_GRPC),
    "proxy_grpc_credentials_value": (UNAVAILABLE, _NO_GRPC),
    "proxy_grpc_tls": (UNAVAILABLE, _NO_GRPC),
    "proxies": (SAME, _UNASKED),
    "rpc.proxy": (SAME, _UNASKED),
    "rpc.namespaces": (SAME, _UNASKED),
    "rpc.without_namespace": (SAME, _UNASKED),
    "rpc.ping": (UNAVAILABLE, "RPC goes to your backend alone"),
    "http_api.external": (SAME, "/api stands where everything else does: behind the edge"),
    "http_api.disabled": (SAME, "without a key nobody can use it"),
}
"""A key, or what its keys begin with: the longest one counts."""

SETTINGS: Final[dict[str, tuple[Any, str]]] = {
    "client.ping_interval": ("25s", "TIDINGS_REALTIME_PING_S"),
    "client.pong_timeout": ("8s", "TIDINGS_REALTIME_PONG_S"),
    "client.stale_close_delay": ("10s", "TIDINGS_REALTIME_CONNECT_S"),
    "client.expired_close_delay": ("25s", "TIDINGS_REALTIME_EXPIRY_GRACE_S"),
    "client.expired_sub_close_delay": ("25s", "TIDINGS_REALTIME_EXPIRY_GRACE_S"),
    "client.queue_max_size": (1_048_576, "TIDINGS_REALTIME_OUTBOX_BYTES_MAX"),
    "client.history_max_publication_limit": (300, "TIDINGS_REALTIME_HISTORY_MAX"),
    "client.connection_limit": (0, "TIDINGS_REALTIME_CONNECTIONS_MAX"),
    "websocket.compression": (False, "TIDINGS_REALTIME_COMPRESSION"),
    "uni_websocket.compression": (False, "TIDINGS_REALTIME_COMPRESSION"),
    "websocket.message_size_limit": (65_536, "TIDINGS_REALTIME_MESSAGE_BYTES_MAX"),
    "uni_websocket.message_size_limit": (65_536, "TIDINGS_REALTIME_MESSAGE_BYTES_MAX"),
    "emulation.max_request_body_size": (65_536, "TIDINGS_REALTIME_MESSAGE_BYTES_MAX"),
    "sse.max_request_body_size": (65_536, "TIDINGS_REALTIME_MESSAGE_BYTES_MAX"),
    "http_stream.max_request_body_size": (65_536, "TIDINGS_REALTIME_MESSAGE_BYTES_MAX"),
    "shutdown.timeout": ("30s", "TIDINGS_REALTIME_DRAIN_S"),
}
"""What the installation has a setting for: (the value that is as good as the setting's default, its name)."""

PATHS: Final[dict[str, str]] = {
    "websocket.handler_prefix": "/connection/websocket",
    "sse.handler_prefix": "/connection/sse",
    "http_stream.handler_prefix": "/connection/http_stream",
    "emulation.handler_prefix": "/emulation",
    "uni_websocket.handler_prefix": "/connection/uni_websocket",
    "uni_sse.handler_prefix": "/connection/uni_sse",
    "uni_http_stream.handler_prefix": "/connection/uni_http_stream",
    "http_api.handler_prefix": "/api",
    "prometheus.handler_prefix": "/metrics",
    "health.handler_prefix": "/healthz",
}
"""Where things are served: always there."""

MARKS: Final[dict[str, str]] = {
    "channel.private_prefix": "$",
    "channel.namespace_boundary": ":",
    "channel.user_boundary": "#",
    "channel.user_separator": ",",
    "rpc.namespace_boundary": ":",
}
"""What names are read by. Read otherwise, a channel could let in whom it should not: refused."""

GUARDS: Final[dict[str, str]] = {
    "channel.patterns": "which namespace a channel has is read from what stands before its first ':' alone",
    "token_revoke.enabled": _KEEP_OUT,
    "user_block.enabled": _KEEP_OUT,
    "user_tokens_invalidate.enabled": _KEEP_OUT,
}
"""What keeps somebody out there and can't do so here: refused where it is on."""

LISTS: Final = ("channel.namespaces", "proxies", "rpc.namespaces", "consumers")
"""Lists of objects with names; what is in them has keys of its own."""

PRO_OPTIONS: Final = frozenset(
    {
        "allow_channel_compaction", "batch_flush_latest", "batch_max_delay", "batch_max_size", "broker_name",
        "cache_empty_proxy_enabled", "cache_empty_proxy_name", "channel_state_events", "history_cel",
        "keep_latest_publication", "pattern", "presence_cel", "presence_manager_name", "publish_cel",
        "shared_position_sync", "state_events", "state_proxy_enabled", "state_proxy_name", "subscribe_cel",
    }
)  # fmt: skip
"""Options of channels that only Centrifugo PRO has."""

_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {})
_OFF: Final = frozenset({"", "0", "f", "false"})
_SWITCHES: Final = frozenset(
    {
        "enabled", "disabled", "insecure", "external", "compression", "insecure_skip_token_signature_verify",
        "connect_include_server_time", "reflection",
    }
)  # fmt: skip


def judge_the_rest(source: Source) -> None:
    """Give every key that was found and not read its row."""
    for key, value in source.values.items():
        if key not in source.rows:
            _judge(source, key, value)


def _judge(source: Source, key: str, value: Any) -> None:
    if key in LISTS and value not in _NOTHING:
        source.refuse(key, "must be a list of objects, each with a name")
    elif key in MARKS:
        if value == MARKS[key]:
            source.note(key, SAME, "names are read the same way")
        else:
            source.refuse(key, f"names are read by {MARKS[key]!r} alone")
    elif key in GUARDS and str(value).lower() not in _OFF:
        source.refuse(key, GUARDS[key])
    elif key in PATHS:
        same = value == PATHS[key]
        source.note(key, SAME if same else UNAVAILABLE, f"served under {PATHS[key]}")
    elif key in SETTINGS:
        default, setting = SETTINGS[key]
        same = _measure(value) == _measure(default)
        source.note(key, SAME if same else UNAVAILABLE, f"a setting of the installation: {setting}")
    elif key.rpartition(".")[2] in _SWITCHES and str(value).lower() in _OFF:
        source.note(key, SAME, "off")
    else:
        _judge_by_name(source, key)


def _judge_by_name(source: Source, key: str) -> None:
    verdict, why = _verdict(key)
    if why == _UNKNOWN and _has_capitals(key):
        source.refuse(key, "capitals count there as small letters, and not here: write it in small letters")
    else:
        source.note(key, verdict, why)


def _has_capitals(key: str) -> bool:
    first, _, rest = key.partition(".")
    last = rest.rpartition(".")[2]
    return not key.startswith(PREFIX) and f"{first}{last}" != f"{first}{last}".lower()


def _measure(value: Any) -> Any:
    try:
        return seconds_of(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _verdict(key: str) -> tuple[Verdict, str]:
    if key.startswith(("channel.namespaces.", "channel.without_namespace.")) and _KEYED_PART.search(key):
        return UNAVAILABLE, _KEYED
    if key.rpartition(".")[2] in PRO_OPTIONS:
        return UNAVAILABLE, _PRO
    if key.startswith("channel.namespaces."):
        return UNAVAILABLE, _UNKNOWN
    parts = key.split(".")
    for end in range(len(parts), 0, -1):
        verdict = VERDICTS.get(".".join(parts[:end]))
        if verdict is not None:
            return verdict
    return UNAVAILABLE, _UNKNOWN
