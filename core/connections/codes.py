"""The codes of the protocol and their texts on the wire; client libraries compare them."""

from typing import Final

ERRORS: Final = {
    100: "internal server error",
    101: "unauthorized",
    102: "unknown channel",
    103: "permission denied",
    104: "method not found",
    105: "already subscribed",
    106: "limit exceeded",
    107: "bad request",
    108: "not available",
    109: "token expired",
    110: "expired",
    111: "too many requests",
    112: "unrecoverable position",
    113: "concurrent pagination",
}
TEMPORARY: Final = frozenset({100, 111})
EXPIRED: Final = frozenset({109, 110})
"""A new token helps."""

MESSAGE_TOO_BIG: Final = 1009
CONNECTION_CLOSED: Final = 3000
"""Never on the wire: the transport ends without a word."""
SHUTDOWN: Final = 3001
INTERNAL: Final = 3004
CONNECTION_EXPIRED: Final = 3005
SUBSCRIPTION_EXPIRED: Final = 3006
SLOW: Final = 3008
WRITE_ERROR: Final = 3009
INSUFFICIENT_STATE: Final = 3010
FORCE_RECONNECT: Final = 3011
NO_PONG: Final = 3012
TOO_MANY_REQUESTS: Final = 3013
STATE_INVALIDATED: Final = 3014
INVALID_TOKEN: Final = 3500
BAD_REQUEST: Final = 3501
STALE: Final = 3502
FORCE_DISCONNECT: Final = 3503
CONNECTION_LIMIT: Final = 3504
CHANNEL_LIMIT: Final = 3505
INAPPROPRIATE_PROTOCOL: Final = 3506
PERMISSION_DENIED: Final = 3507
NOT_AVAILABLE: Final = 3508
TOO_MANY_ERRORS: Final = 3509

CLOSES: Final = {
    MESSAGE_TOO_BIG: "message too big",
    CONNECTION_CLOSED: "connection closed",
    SHUTDOWN: "shutdown",
    INTERNAL: "internal server error",
    CONNECTION_EXPIRED: "connection expired",
    SUBSCRIPTION_EXPIRED: "subscription expired",
    SLOW: "slow",
    WRITE_ERROR: "write error",
    INSUFFICIENT_STATE: "insufficient state",
    FORCE_RECONNECT: "force reconnect",
    NO_PONG: "no pong",
    TOO_MANY_REQUESTS: "too many requests",
    STATE_INVALIDATED: "state invalidated",
    INVALID_TOKEN: "invalid token",
    BAD_REQUEST: "bad request",
    STALE: "stale",
    FORCE_DISCONNECT: "force disconnect",
    CONNECTION_LIMIT: "connection limit",
    CHANNEL_LIMIT: "channel limit",
    INAPPROPRIATE_PROTOCOL: "inappropriate protocol",
    PERMISSION_DENIED: "permission denied",
    NOT_AVAILABLE: "not available",
    TOO_MANY_ERRORS: "too many errors",
}

UNSUBSCRIBED_BY_SERVER: Final = 2000
UNSUBSCRIBE_INSUFFICIENT: Final = 2500
UNSUBSCRIBE_EXPIRED: Final = 2501
UNSUBSCRIBE_INVALIDATED: Final = 2502

UNSUBSCRIBES: Final = {
    UNSUBSCRIBED_BY_SERVER: "server unsubscribe",
    UNSUBSCRIBE_INSUFFICIENT: "insufficient state",
    UNSUBSCRIBE_EXPIRED: "subscription expired",
    UNSUBSCRIBE_INVALIDATED: "state invalidated",
}


def close_reason(code: int) -> str:
    """Return the reason of a close: never empty, never JSON, since some libraries judge by that."""
    return CLOSES.get(code, "disconnected")


def unsubscribe_reason(code: int) -> str:
    """Return the reason that a subscription ended."""
    return UNSUBSCRIBES.get(code, "unsubscribed")
