"""The names that versions 4 and 5 had for the keys of version 6: flat, where those are nested.

Source: the defaults of version 5, and the migration from 5 to 6 in the documentation of Centrifugo.
"""

from typing import Final

NAMESPACES: Final = "channel.namespaces"
WITHOUT: Final = "channel.without_namespace"

GENERAL: Final = (
    "proxy_http_headers", "proxy_static_http_headers", "proxy_include_connection_meta",
    "proxy_binary_encoding",
)  # fmt: skip
"""How all proxies without a name were asked: since version 6 each proxy says it."""

_SWITCHES: Final = (
    "admin", "debug", "graphite", "grpc_api", "health", "http_stream", "opentelemetry", "prometheus", "sse",
    "swagger", "uni_grpc", "uni_http_stream", "uni_sse", "uni_websocket", "webtransport",
)  # fmt: skip
"""What was switched on by its own name."""

_TOKEN: Final = (
    "hmac_secret_key", "rsa_public_key", "ecdsa_public_key", "jwks_public_endpoint", "audience",
    "audience_regex", "issuer", "issuer_regex", "user_id_claim",
)  # fmt: skip
_SOCKET: Final = (
    "compression", "compression_min_size", "compression_level", "compression_prepared_message_cache_size",
    "read_buffer_size", "use_write_buffer_pool", "write_buffer_size", "write_timeout", "message_size_limit",
    "handler_prefix", "ping_interval",
)  # fmt: skip
_STREAM: Final = ("handler_prefix", "max_request_body_size")
_TLS: Final = {
    "": "enabled", "_key": "key_pem", "_cert": "cert_pem", "_cert_pem": "cert_pem", "_key_pem": "key_pem",
    "_root_ca": "server_ca_pem", "_root_ca_pem": "server_ca_pem", "_client_ca": "client_ca_pem",
    "_client_ca_pem": "client_ca_pem", "_server_name": "server_name",
    "_insecure_skip_verify": "insecure_skip_verify", "_skip_verify": "insecure_skip_verify",
}  # fmt: skip

_GROUPS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("token", "client.token"): _TOKEN,
    ("subscription_token", "client.subscription_token"): _TOKEN,
    ("client", "client"): (
        "insecure", "insecure_skip_token_signature_verify", "user_id_http_header", "expired_close_delay",
        "expired_sub_close_delay", "stale_close_delay", "channel_limit", "queue_max_size",
        "queue_initial_cap", "presence_update_interval", "user_connection_limit", "concurrency",
        "connection_limit",
        "channel_position_check_delay", "channel_position_max_time_lag", "connection_rate_limit",
        "connect_include_server_time", "history_max_publication_limit", "recovery_max_publication_limit",
        "write_delay", "reply_without_queue", "max_messages_in_frame",
    ),
    ("channel", "channel"): (
        "max_length", "private_prefix", "namespace_boundary", "user_boundary", "user_separator", "patterns",
    ),
    ("rpc", "rpc"): ("namespace_boundary", "namespaces"),
    ("api", "http_api"): ("key", "insecure", "external", "error_mode", "handler_prefix"),
    ("admin", "admin"): (
        "password", "secret", "insecure", "external", "handler_prefix", "web_path", "web_proxy_address",
        "oidc",
    ),
    ("log", "log"): ("level", "file"),
    ("websocket", "websocket"): _SOCKET,
    ("uni_websocket", "uni_websocket"): _SOCKET,
    ("sse", "sse"): _STREAM,
    ("http_stream", "http_stream"): _STREAM,
    ("uni_sse", "uni_sse"): (*_STREAM, "connect_code_to_http_response"),
    ("uni_http_stream", "uni_http_stream"): (*_STREAM, "connect_code_to_http_response"),
    ("emulation", "emulation"): _STREAM,
    ("webtransport", "webtransport"): ("handler_prefix",),
    ("sockjs", "sockjs"): ("url", "handler_prefix", "heartbeat_delay"),
    ("prometheus", "prometheus"): ("handler_prefix",),
    ("health", "health"): ("handler_prefix",),
    ("swagger", "swagger"): ("handler_prefix",),
    ("opentelemetry", "opentelemetry"): ("api", "consuming"),
    ("graphite", "graphite"): ("host", "port", "prefix", "interval", "tags"),
    ("shutdown", "shutdown"): ("timeout", "termination_delay"),
    ("grpc_api", "grpc_api"): (
        "error_mode", "address", "port", "key", "reflection", "max_receive_message_size", "tls_disable",
    ),
    ("uni_grpc", "uni_grpc"): ("address", "port", "max_receive_message_size", "tls_disable"),
    ("tls_autocert", "http_server.tls_autocert"): (
        "host_whitelist", "cache_dir", "email", "server_name", "http", "http_addr", "force_rsa",
    ),
    ("redis", "engine.redis"): (
        "address", "prefix", "connect_timeout", "io_timeout", "db", "user", "password", "client_name",
        "force_resp2", "cluster_address", "sentinel_address", "sentinel_user", "sentinel_password",
        "sentinel_master_name", "sentinel_client_name", "presence_hash_field_ttl",
    ),
    ("tarantool", "engine.tarantool"): ("mode", "address", "user", "password"),
    ("nats", "broker.nats"): (
        "prefix", "url", "dial_timeout", "write_timeout", "allow_wildcards", "raw_mode",
    ),
}  # fmt: skip
"""(what names began with, what they begin with): how they go on."""

_EVENTS: Final = {
    "connect": "client.proxy.connect",
    "refresh": "client.proxy.refresh",
    "subscribe": "channel.proxy.subscribe",
    "publish": "channel.proxy.publish",
    "sub_refresh": "channel.proxy.sub_refresh",
    "subscribe_stream": "channel.proxy.subscribe_stream",
    "state": "channel.proxy.state",
    "cache_empty": "channel.proxy.cache_empty",
    "rpc": "rpc.proxy",
}

NEWER: Final[dict[str, str]] = {
    **{name: f"{name}.enabled" for name in _SWITCHES},
    **{f"{older}_{name}": f"{newer}.{name}" for (older, newer), names in _GROUPS.items() for name in names},
    **{
        f"{older}{part}": f"{newer}.{name}"
        for older, newer in (
            ("tls", "http_server.tls"),
            ("grpc_api_tls", "grpc_api.tls"),
            ("uni_grpc_tls", "uni_grpc.tls"),
            ("redis_tls", "engine.redis.tls"),
            ("redis_sentinel_tls", "engine.redis.sentinel_tls"),
        )
        for part, name in _TLS.items()
    },
    **{
        f"proxy_{event}_{name}": f"{proxy}.{name}"
        for event, proxy in _EVENTS.items()
        for name in ("endpoint", "timeout")
    },
    "address": "http_server.address",
    "port": "http_server.port",
    "internal_address": "http_server.internal_address",
    "internal_port": "http_server.internal_port",
    "tls_external": "http_server.tls_external",
    "tls_autocert": "http_server.tls_autocert.enabled",
    "http3": "http_server.http3.enabled",
    "sockjs": "sockjs.enabled",
    "engine": "engine.type",
    "redis_use_lists": "engine.redis.history_use_lists",
    "presence_ttl": "engine.redis.presence_ttl",
    "global_presence_ttl": "engine.redis.presence_ttl",
    "global_redis_presence_user_mapping": "engine.redis.presence_user_mapping",
    "global_history_meta_ttl": "channel.history_meta_ttl",
    "name": "node.name",
    "node_info_metrics_aggregate_interval": "node.info_metrics_aggregate_interval",
    "usage_stats_disable": "usage_stats.disabled",
    "websocket_disable": "websocket.disabled",
    "api_disable": "http_api.disabled",
    "allowed_origins": "client.allowed_origins",
    "allow_anonymous_connect_without_token": "client.allow_anonymous_connect_without_token",
    "disallow_anonymous_connection_tokens": "client.disallow_anonymous_connection_tokens",
    "separate_subscription_token_config": "client.subscription_token.enabled",
    "ping_interval": "client.ping_interval",
    "pong_timeout": "client.pong_timeout",
    "client_connect_code_to_unidirectional_disconnect": "client.connect_code_to_unidirectional_disconnect",
    "user_subscribe_to_personal": "client.subscribe_to_user_personal_channel.enabled",
    "user_personal_channel_namespace": "client.subscribe_to_user_personal_channel.personal_channel_namespace",
    "user_personal_single_connection": "client.subscribe_to_user_personal_channel.single_connection",
    "namespaces": NAMESPACES,
    "rpc_proxy_name": "rpc.without_namespace.proxy_name",
    "rpc_ping": "rpc.ping.enabled",
    "rpc_ping_method": "rpc.ping.method",
    "use_singleflight": "singleflight.enabled",
}

OPTIONS: Final[dict[str, str]] = {
    "proxy_subscribe": "subscribe_proxy_enabled",
    "proxy_publish": "publish_proxy_enabled",
    "proxy_sub_refresh": "sub_refresh_proxy_enabled",
    "proxy_subscribe_stream": "subscribe_stream_proxy_enabled",
    "proxy_subscribe_stream_bidirectional": "subscribe_stream_proxy_bidirectional",
}
"""Options of channels, in namespaces and at the top."""

_MEMBERS: Final[dict[str, str]] = {
    "static_http_headers": "http.static_headers",
    "rpc_proxy_name": "proxy_name",
}
"""Members of the objects in `proxies` and `rpc_namespaces`."""


def newer_of(key: str, options: tuple[str, ...]) -> str:
    """Return the name of a key in version 6; its own, where it is one already or nobody's.

    Args:
        key: dotted, as `core.moving.source.leaves` has it.
        options: the names of channel options, which stood at the top.
    """
    first, _, rest = key.partition(".")
    if key in NEWER:
        return NEWER[key]
    if first == "namespaces":
        name, _, option = rest.rpartition(".")
        return f"{NAMESPACES}.{name}.{OPTIONS.get(option, option)}"
    if rest and first in ("proxies", "rpc_namespaces"):
        for member, newer in _MEMBERS.items():
            rest = rest.replace(f".{member}", f".{newer}", 1)
    if rest:
        newer = NEWER.get(first, first)
        # `engine` and the like are objects in version 6, and were values before.
        return f"{first if newer.startswith(f'{first}.') else newer}.{rest}"
    option = OPTIONS.get(key, key)
    return f"{WITHOUT}.{option}" if option in options else key
