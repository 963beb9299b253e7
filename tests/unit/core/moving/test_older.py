"""Each key that versions 4 and 5 had is one of version 6, or says itself what becomes of it."""

import pytest

from core.moving.older import newer_of
from core.moving.options import NAMES
from core.moving.plan import plan_of

VERSION_5 = """
address admin admin_external admin_handler_prefix admin_insecure admin_password admin_secret
admin_web_path admin_web_proxy_address allow_anonymous_connect_without_token allow_history_for_anonymous
allow_history_for_client allow_history_for_subscriber allow_positioning allow_presence_for_anonymous
allow_presence_for_client allow_presence_for_subscriber allow_publish_for_anonymous
allow_publish_for_client allow_publish_for_subscriber allow_recovery allow_subscribe_for_anonymous
allow_subscribe_for_client allow_user_limited_channels allowed_delta_types allowed_origins api_disable
api_error_mode api_external api_handler_prefix api_insecure api_key broker channel_max_length
channel_namespace_boundary channel_private_prefix channel_regex channel_user_boundary
channel_user_separator client_channel_limit client_channel_position_check_delay
client_channel_position_max_time_lag client_concurrency client_connect_code_to_unidirectional_disconnect
client_connect_include_server_time client_connection_limit client_connection_rate_limit
client_expired_close_delay client_expired_sub_close_delay client_history_max_publication_limit
client_insecure client_insecure_skip_token_signature_verify client_presence_update_interval
client_queue_max_size client_recovery_max_publication_limit client_stale_close_delay
client_user_connection_limit client_user_id_http_header connect_proxy_name consumers debug delta_publish
disallow_anonymous_connection_tokens emulation_handler_prefix emulation_max_request_body_size
enable_unreleased_features engine force_positioning force_push_join_leave force_recovery
force_recovery_mode global_history_meta_ttl global_presence_ttl global_redis_presence_user_mapping
gomaxprocs granular_proxy_mode graphite graphite_host graphite_interval graphite_port graphite_prefix
graphite_tags grpc_api grpc_api_address grpc_api_error_mode grpc_api_key
grpc_api_max_receive_message_size grpc_api_port grpc_api_reflection grpc_api_tls grpc_api_tls_cert
grpc_api_tls_client_ca grpc_api_tls_disable grpc_api_tls_insecure_skip_verify grpc_api_tls_key
grpc_api_tls_root_ca grpc_api_tls_server_name health health_handler_prefix history_meta_ttl history_size
history_ttl http3 http_stream http_stream_handler_prefix http_stream_max_request_body_size
internal_address internal_port join_leave log_file log_level name namespaces nats_allow_wildcards
nats_dial_timeout nats_prefix nats_raw_mode nats_url nats_write_timeout
node_info_metrics_aggregate_interval opentelemetry opentelemetry_api opentelemetry_consuming pid_file
ping_interval pong_timeout port presence prometheus prometheus_handler_prefix proxies
proxy_binary_encoding proxy_connect_endpoint proxy_connect_timeout proxy_grpc_cert_file
proxy_grpc_compression proxy_grpc_credentials_key proxy_grpc_credentials_value proxy_grpc_metadata
proxy_http_headers proxy_http_status_code_transforms proxy_include_connection_meta proxy_publish
proxy_publish_endpoint proxy_publish_timeout proxy_refresh_endpoint proxy_refresh_timeout
proxy_rpc_endpoint proxy_rpc_timeout proxy_static_http_headers proxy_sub_refresh
proxy_sub_refresh_endpoint proxy_sub_refresh_timeout proxy_subscribe proxy_subscribe_endpoint
proxy_subscribe_stream proxy_subscribe_stream_bidirectional proxy_subscribe_stream_endpoint
proxy_subscribe_stream_timeout proxy_subscribe_timeout publish_proxy_name redis_address redis_client_name
redis_cluster_address redis_connect_timeout redis_db redis_force_resp2 redis_io_timeout redis_password
redis_prefix redis_presence_hash_field_ttl redis_sentinel_address redis_sentinel_client_name
redis_sentinel_master_name redis_sentinel_password redis_sentinel_tls redis_sentinel_tls_cert
redis_sentinel_tls_client_ca redis_sentinel_tls_insecure_skip_verify redis_sentinel_tls_key
redis_sentinel_tls_root_ca redis_sentinel_tls_server_name redis_sentinel_user redis_tls redis_tls_cert
redis_tls_client_ca redis_tls_insecure_skip_verify redis_tls_key redis_tls_root_ca redis_tls_server_name
redis_use_lists redis_user refresh_proxy_name rpc_namespace_boundary rpc_namespaces rpc_ping
rpc_ping_method rpc_proxy_name separate_subscription_token_config shutdown_termination_delay
shutdown_timeout sockjs sockjs_handler_prefix sockjs_url sse sse_handler_prefix sse_max_request_body_size
sub_refresh_proxy_name subscribe_proxy_name subscribe_stream_proxy_name subscription_token_audience
subscription_token_audience_regex subscription_token_ecdsa_public_key subscription_token_hmac_secret_key
subscription_token_issuer subscription_token_issuer_regex subscription_token_jwks_public_endpoint
subscription_token_rsa_public_key subscription_token_user_id_claim swagger swagger_handler_prefix
tarantool_address tarantool_mode tarantool_password tarantool_user tls tls_autocert
tls_autocert_cache_dir tls_autocert_email tls_autocert_host_whitelist tls_autocert_http
tls_autocert_http_addr tls_autocert_server_name tls_cert tls_client_ca tls_external
tls_insecure_skip_verify tls_key tls_root_ca tls_server_name token_audience token_audience_regex
token_ecdsa_public_key token_hmac_secret_key token_issuer token_issuer_regex token_jwks_public_endpoint
token_rsa_public_key token_user_id_claim uni_grpc uni_grpc_address uni_grpc_max_receive_message_size
uni_grpc_port uni_grpc_tls uni_grpc_tls_cert uni_grpc_tls_client_ca uni_grpc_tls_disable
uni_grpc_tls_insecure_skip_verify uni_grpc_tls_key uni_grpc_tls_root_ca uni_grpc_tls_server_name
uni_http_stream uni_http_stream_connect_code_to_http_response uni_http_stream_handler_prefix
uni_http_stream_max_request_body_size uni_sse uni_sse_connect_code_to_http_response
uni_sse_handler_prefix uni_sse_max_request_body_size uni_websocket uni_websocket_compression
uni_websocket_compression_level uni_websocket_compression_min_size uni_websocket_handler_prefix
uni_websocket_message_size_limit uni_websocket_read_buffer_size uni_websocket_use_write_buffer_pool
uni_websocket_write_buffer_size uni_websocket_write_timeout usage_stats_disable
user_personal_channel_namespace user_personal_single_connection user_subscribe_to_personal
websocket_compression websocket_compression_level websocket_compression_min_size websocket_disable
websocket_handler_prefix websocket_message_size_limit websocket_read_buffer_size
websocket_use_write_buffer_pool websocket_write_buffer_size websocket_write_timeout webtransport
webtransport_handler_prefix
"""
PEM_OF = """
grpc_api_tls redis_sentinel_tls redis_tls tls uni_grpc_tls
"""
VERSION_4 = """
disable_client_protocol_v1 presence_ttl redis_tls_skip_verify skip_user_check_in_subscription_token
sockjs_heartbeat_delay uni_websocket_ping_interval use_client_protocol_v1_by_default
websocket_ping_interval
"""
PRO = """
admin_oidc broker_name brokers cache cache_empty_proxy_name
channel_namespace_for_transport_messages_received channel_namespace_for_transport_messages_sent
channel_patterns channel_state_events clickhouse_analytics client_command_rate_limit client_error_limits
client_max_messages_in_frame client_queue_initial_cap client_reply_without_queue client_write_delay
database distributed_rate_limit history_cel keep_latest_publication license partitioned_presence
presence_cel presence_manager_name presence_managers proxy_cache_empty_endpoint proxy_cache_empty_timeout
proxy_state_endpoint proxy_state_timeout publish_cel push_notifications redis_user_command_rate_limit
shared_position_sync state_events state_vacated_event_delay subscribe_cel token_revoke
uni_websocket_compression_prepared_message_cache_size use_singleflight user_block user_command_rate_limit
user_status user_tokens_invalidate websocket_compression_prepared_message_cache_size
"""
KEYS = (
    *VERSION_5.split(),
    *(f"{of}_{part}_pem" for of in PEM_OF.split() for part in ("cert", "key", "root_ca", "client_ca")),
    *VERSION_4.split(),
    *PRO.split(),
)


@pytest.mark.parametrize("key", KEYS)
def test_no_key_of_an_older_version_is_unknown(key: str) -> None:
    for configuration, variables in (({key: "x"}, {}), ({}, {f"CENTRIFUGO_{key.upper()}": "x"})):
        (row,) = plan_of(configuration, variables, frozenset()).rows
        assert row.key.removeprefix("CENTRIFUGO_").lower().partition(".")[0] == key
        assert "neither system knows" not in row.why


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("token_hmac_secret_key", "client.token.hmac_secret_key"),
        ("subscription_token_user_id_claim", "client.subscription_token.user_id_claim"),
        ("channel_private_prefix", "channel.private_prefix"),
        ("api_disable", "http_api.disabled"),
        ("api_key", "http_api.key"),
        ("admin", "admin.enabled"),
        ("admin_oidc.issuer", "admin.oidc.issuer"),
        ("tls", "http_server.tls.enabled"),
        ("tls_client_ca_pem", "http_server.tls.client_ca_pem"),
        ("redis_sentinel_tls_root_ca", "engine.redis.sentinel_tls.server_ca_pem"),
        ("global_history_meta_ttl", "channel.history_meta_ttl"),
        ("nats_raw_mode.prefix", "broker.nats.raw_mode.prefix"),
        ("proxy_subscribe_stream_endpoint", "channel.proxy.subscribe_stream.endpoint"),
        ("proxy_rpc_timeout", "rpc.proxy.timeout"),
        ("presence", "channel.without_namespace.presence"),
        ("proxy_subscribe", "channel.without_namespace.subscribe_proxy_enabled"),
        ("namespaces.a.b.proxy_publish", "channel.namespaces.a.b.publish_proxy_enabled"),
        ("rpc_namespaces.a.b.rpc_proxy_name", "rpc.namespaces.a.b.proxy_name"),
        ("proxies.a.b.static_http_headers.X-Y", "proxies.a.b.http.static_headers.X-Y"),
        ("proxies", "proxies"),
        ("rpc_namespaces", "rpc.namespaces"),
    ],
)
def test_an_older_key_has_a_newer_name(older: str, newer: str) -> None:
    assert newer_of(older, NAMES) == newer


@pytest.mark.parametrize(
    "key",
    [
        "engine.type", "engine.redis.address", "uni_sse.enabled", "admin.password", "proxies.a.endpoint",
        "channel.namespaces.a.presence", "rpc.namespaces.a.proxy_name", "http_server.tls.enabled", "bogus",
        "bogus.presence",
    ],
)  # fmt: skip
def test_a_key_of_version_6_keeps_its_name(key: str) -> None:
    assert newer_of(key, NAMES) == key
