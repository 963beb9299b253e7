"""The wire texts of the protocol's codes; client libraries compare them."""

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
}
TEMPORARY: Final = frozenset({100, 111})

SHUTDOWN: Final = 3001
INTERNAL: Final = 3004
CONNECTION_EXPIRED: Final = 3005
SLOW: Final = 3008
INSUFFICIENT_STATE: Final = 3010
NO_PONG: Final = 3012
TOO_MANY_REQUESTS: Final = 3013
INVALID_TOKEN: Final = 3500
BAD_REQUEST: Final = 3501
STALE: Final = 3502
NOT_AVAILABLE: Final = 3508
MESSAGE_TOO_BIG: Final = 1009
UNSUBSCRIBE_INSUFFICIENT: Final = 2500

CLOSES: Final = {
    SHUTDOWN: "shutdown",
    INTERNAL: "internal server error",
    CONNECTION_EXPIRED: "connection expired",
    SLOW: "slow",
    INSUFFICIENT_STATE: "insufficient state",
    3011: "force reconnect",
    NO_PONG: "no pong",
    TOO_MANY_REQUESTS: "too many requests",
    INVALID_TOKEN: "invalid token",
    BAD_REQUEST: "bad request",
    STALE: "stale",
    3503: "force disconnect",
    3505: "channel limit",
    3507: "permission denied",
    NOT_AVAILABLE: "not available",
    MESSAGE_TOO_BIG: "message too big",
}
UNSUBSCRIBES: Final = {2000: "server unsubscribe", UNSUBSCRIBE_INSUFFICIENT: "insufficient state"}
