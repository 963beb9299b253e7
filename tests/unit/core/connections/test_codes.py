"""Codes on the wire: client libraries compare the texts, and judge by the range whether to come back."""

import json

import pytest

from core.connections import codes
from core.connections.codes import CLOSES, ERRORS, TEMPORARY, UNSUBSCRIBES, close_reason, unsubscribe_reason
from core.errors import REGISTRY, Code

CLOSE_REASON_BYTES_MAX = 123


def test_the_texts_of_replies_are_those_of_the_protocol() -> None:
    assert ERRORS == {
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


def test_the_texts_of_closes_are_those_of_the_protocol() -> None:
    assert CLOSES == {
        1009: "message too big",
        3000: "connection closed",
        3001: "shutdown",
        3004: "internal server error",
        3005: "connection expired",
        3006: "subscription expired",
        3008: "slow",
        3009: "write error",
        3010: "insufficient state",
        3011: "force reconnect",
        3012: "no pong",
        3013: "too many requests",
        3014: "state invalidated",
        3500: "invalid token",
        3501: "bad request",
        3502: "stale",
        3503: "force disconnect",
        3504: "connection limit",
        3505: "channel limit",
        3506: "inappropriate protocol",
        3507: "permission denied",
        3508: "not available",
        3509: "too many errors",
    }


def test_the_texts_of_unsubscribes_are_those_of_the_protocol() -> None:
    assert UNSUBSCRIBES == {
        2000: "server unsubscribe",
        2500: "insufficient state",
        2501: "subscription expired",
        2502: "state invalidated",
    }


def test_a_code_of_somebody_else_has_a_reason_too() -> None:
    assert (close_reason(3012), close_reason(4999)) == ("no pong", "disconnected")
    assert (unsubscribe_reason(2500), unsubscribe_reason(2999)) == ("insufficient state", "unsubscribed")


@pytest.mark.parametrize("reason", sorted({*CLOSES.values(), *UNSUBSCRIBES.values()}))
def test_a_reason_fits_a_close_frame_and_is_neither_empty_nor_json(reason: str) -> None:
    assert 0 < len(reason.encode()) <= CLOSE_REASON_BYTES_MAX
    with pytest.raises(json.JSONDecodeError):
        json.loads(reason)


@pytest.mark.parametrize("code", list(Code), ids=lambda code: str(code.value))
def test_every_registered_error_has_its_texts_on_a_socket(code: Code) -> None:
    row = REGISTRY[code]
    assert row.realtime in ERRORS
    assert row.close in CLOSES


def test_what_is_temporary_is_worth_another_try() -> None:
    assert {100, 111} == TEMPORARY
    assert all(row.realtime in TEMPORARY for row in REGISTRY.values() if row.retry != "never")


@pytest.mark.parametrize(
    ("code", "comes_back"),
    [
        (codes.SHUTDOWN, True),
        (codes.INTERNAL, True),
        (codes.CONNECTION_EXPIRED, True),
        (codes.SUBSCRIPTION_EXPIRED, True),
        (codes.SLOW, True),
        (codes.WRITE_ERROR, True),
        (codes.INSUFFICIENT_STATE, True),
        (codes.FORCE_RECONNECT, True),
        (codes.NO_PONG, True),
        (codes.TOO_MANY_REQUESTS, True),
        (codes.STATE_INVALIDATED, True),
        (codes.INVALID_TOKEN, False),
        (codes.BAD_REQUEST, False),
        (codes.STALE, False),
        (codes.FORCE_DISCONNECT, False),
        (codes.CONNECTION_LIMIT, False),
        (codes.CHANNEL_LIMIT, False),
        (codes.INAPPROPRIATE_PROTOCOL, False),
        (codes.PERMISSION_DENIED, False),
        (codes.NOT_AVAILABLE, False),
        (codes.TOO_MANY_ERRORS, False),
    ],
)
def test_a_close_says_by_its_range_whether_the_client_comes_back(code: int, *, comes_back: bool) -> None:
    assert code in CLOSES
    assert (3000 <= code < 3500) is comes_back


@pytest.mark.parametrize(
    ("code", "comes_back"),
    [
        (codes.UNSUBSCRIBED_BY_SERVER, False),
        (codes.UNSUBSCRIBE_INSUFFICIENT, True),
        (codes.UNSUBSCRIBE_EXPIRED, True),
        (codes.UNSUBSCRIBE_INVALIDATED, True),
    ],
)
def test_an_unsubscribe_says_by_its_range_whether_the_client_subscribes_anew(
    code: int, *, comes_back: bool
) -> None:
    assert code in UNSUBSCRIBES
    assert (code >= 2500) is comes_back
