"""The environment in which Ray runs, here and on every node of a cluster (`deploy/node/node.env`)."""

from collections.abc import Mapping
from typing import Final

FLAGS: Final = {
    # User code and router in the replica's one loop, without a hop between threads.
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # With it a thousand lines of a replica would be kept, and be lost when it is killed.
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
    # Must be off with it: a proxy would listen on the edge's port, and stopped replicas would wait 30 s.
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
    # Everything would run niced by 15, and lose to whatever else is on the machine.
    "RAY_worker_niceness": "0",
    # No record of each call, which nobody reads at this rate.
    "RAY_task_events_report_interval_ms": "0",
    "RAY_metrics_report_interval_ms": "10000",
    # Whoever reaches Ray's ports runs code as Tidings.
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Its own memory monitor would kill workers early on a shared machine; our caps come first.
    "RAY_memory_usage_threshold": "0.98",
    # No idle workers at the start: about 50 MB each.
    "RAY_prestart_worker_first_driver": "0",
    "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "2",
}

OWN_TOKENS: Final = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def joining(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the flags for a driver that joins a Ray which others started.

    Whether that one asks for a token only its operator knows: whoever names a token wants it used; without
    one it is left to `RAY_AUTH_MODE` and Ray.

    Args:
        environment: what the driver would run with otherwise.
    """
    flags = dict(FLAGS)
    if not any(environment.get(name) for name in OWN_TOKENS):
        del flags["RAY_AUTH_MODE"]
    return flags
