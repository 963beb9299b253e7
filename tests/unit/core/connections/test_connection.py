"""One client from its first byte to its last, told as conversations."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from core.auth.principal import Organization, Principal
from core.auth.scopes import ALL
from core.channels.namespace import ChannelRules
from core.connections.connection import (
    Authenticate,
    Close,
    Connection,
    Effect,
    Join,
    Leave,
    Limits,
    Ping,
    Read,
    Reauthenticate,
    Send,
    Write,
)
from core.connections.frames import (
    Command,
    Connect,
    Connected,
    ErrorReply,
    History,
    Pong,
    Publish,
    Refresh,
    Refreshed,
    Subscribe,
    Unserved,
    Unsubscribe,
    Unsubscribed,
)
from core.errors import Code, TidingsError
from core.instants import MICROSECONDS, Instant
from core.streams.position import Position

LIMITS = Limits(ping_s=20, pong_s=8, connect_s=15, expiry_grace_s=25, channels_max=3, pending_commands_max=4)
ORGANIZATION = Organization(
    organization_id=b"o" * 16,
    name="Acme",
    environment="test",
    status="active",
    client_publish=True,
    anonymous=True,
    client_insecure=False,
    token_secret=b"secret",
    channels=ChannelRules(unknown="refuse"),
)
ANN = Principal(ORGANIZATION.organization_id, "user", "ann")
KEY = Principal(ORGANIZATION.organization_id, "key", "key_1", ALL)
NOW_S = 1_800_000_000
NOW = Instant(NOW_S * MICROSECONDS)

SUSPENDED = Code.ORGANIZATION_SUSPENDED
A, B = "room:a", "room:b"
SUBSCRIBE, UNSUBSCRIBE = Subscribe(2, A), Unsubscribe(3, A)
PUBLISH, HISTORY = Publish(4, A, b"1"), History(5, A, 10)
WRITTEN = Write(PUBLISH)

Said = Command | Callable[[Connection], list[Effect]]
"""What happens to a connection: a command of its client, or a report of what became of an effect."""


def talk(connection: Connection, *turns: tuple[Said, Sequence[Effect]]) -> None:
    """Hold a conversation: to each thing said, exactly these effects answer."""
    for said, expected in turns:
        heard = said(connection) if callable(said) else connection.receive([said])
        assert heard == list(expected), f"to {said}"


def until(expires_s: float, principal: Principal = ANN, *, refreshable: bool = True) -> Principal:
    return replace(principal, expires_at=Instant(round(expires_s * MICROSECONDS)), refreshable=refreshable)


def fresh() -> Connection:
    return Connection("c-1", LIMITS, frozenset({"room"}), now_s=0.0)


def report(name: str, *values: Any) -> Said:
    """Return the report of what became of an effect."""
    return lambda connection: getattr(connection, name)(*values) or []


def welcome(principal: Principal = ANN) -> Said:
    return report("connected", 1, principal, ORGANIZATION, 0.0, NOW, 1.0)


def unwelcome(code: Code) -> Said:
    return report("refused", 1, TidingsError(code), 0.0)


def renewed(principal: Principal, at_s: float = 0.0) -> Said:
    return report("refreshed", 9, principal, at_s, Instant(round((NOW_S + at_s) * MICROSECONDS)))


def not_renewed(code: Code) -> Said:
    return report("refresh_refused", 9, TidingsError(code))


def joined(channel: str = A) -> Said:
    return report("finished", channel)


def wrote(channel: str = A) -> Said:
    return report("written", channel)


def not_joined(id_: int, code: Code, channel: str = A) -> Said:
    return report("join_failed", id_, channel, code)


def at(now_s: float) -> Said:
    return report("tick", now_s)


def frame(*commands: Command) -> Said:
    return report("receive", commands)


def error(id_: int, code: int) -> Send:
    return Send(id_, ErrorReply(code))


def connected(
    principal: Principal = ANN, organization: Organization = ORGANIZATION, jitter: float = 1.0
) -> Connection:
    connection = fresh()
    connection.receive([Connect(1)])
    connection.connected(1, principal, organization, 0.0, NOW, jitter)
    return connection


# --- connect


def test_a_client_connects_once_its_credential_is_known_to_be_good() -> None:
    connection = fresh()
    talk(
        connection,
        (Connect(1, "token"), [Authenticate(1, "token")]),
        (welcome(), [Send(1, Connected("c-1", 20))]),
    )
    assert (connection.client, connection.principal, connection.organization) == ("c-1", ANN, ORGANIZATION)
    assert not connection.is_closed


@pytest.mark.parametrize(
    ("principal", "ttl_s"),
    [
        (until(NOW_S + 60), 60), (until(NOW_S + 59.9), 59), (until(NOW_S + 0.1), 1), (until(NOW_S - 5), 1),
        (until(NOW_S + 60, KEY, refreshable=False), None), (ANN, None),
    ],
)  # fmt: skip
def test_who_must_renew_a_token_is_told_in_how_many_seconds(principal: Principal, ttl_s: int | None) -> None:
    talk(
        fresh(),
        (Connect(1), [Authenticate(1, "")]),
        (welcome(principal), [Send(1, Connected("c-1", 20, ttl_s))]),
    )


def test_what_came_with_the_connect_waits_for_it_and_is_served_in_order() -> None:
    connection = fresh()
    talk(
        connection,
        (frame(Connect(1), SUBSCRIBE, UNSUBSCRIBE), [Authenticate(1, "")]),
        (Publish(6, B, b"2"), []),
        (welcome(), [Send(1, Connected("c-1", 20)), Join(SUBSCRIBE), Write(Publish(6, B, b"2"))]),
        (joined(), [Leave(A), Send(3, Unsubscribed())]),
    )
    assert connection.subscriptions == set()


def test_only_so_many_commands_wait_for_a_connect() -> None:
    waiting = [Publish(number, A, b"1") for number in range(2, 2 + LIMITS.pending_commands_max)]
    talk(fresh(), (frame(Connect(1), *waiting), [Authenticate(1, "")]), (PUBLISH, [Close(3501)]))


@pytest.mark.parametrize(
    "command", [SUBSCRIBE, UNSUBSCRIBE, PUBLISH, HISTORY, Refresh(1, "t"), Pong(), Unserved(1, "rpc")]
)
def test_the_first_command_must_be_a_connect(command: Command) -> None:
    connection = fresh()
    talk(connection, (frame(command, Connect(1)), [Close(3501)]), (Connect(1), []))
    assert connection.is_closed


def test_a_second_connect_ends_the_connection() -> None:
    talk(fresh(), (Connect(1), [Authenticate(1, "")]), (Connect(2), [Close(3501)]), (welcome(), []))
    talk(connected(), (Connect(2), [Close(3501)]))


@pytest.mark.parametrize(
    ("code", "close"), [(Code.CREDENTIAL_INVALID, 3500), (Code.UNAUTHENTICATED, 3501), (SUSPENDED, 3507)]
)
def test_a_bad_credential_ends_the_connection(code: Code, close: int) -> None:
    talk(fresh(), (Connect(1), [Authenticate(1, "")]), (unwelcome(code), [Close(close)]), (SUBSCRIBE, []))


@pytest.mark.parametrize(
    ("code", "reply"), [(Code.CREDENTIAL_EXPIRED, 109), (Code.EXPIRED, 110), (Code.UNAVAILABLE, 100)]
)
def test_after_an_error_that_may_pass_the_client_must_come_anew(code: Code, reply: int) -> None:
    for after, end in ((Connect(2), 3501), (SUBSCRIBE, 3501), (at(15.0), 3502)):
        talk(
            fresh(),
            (frame(Connect(1), SUBSCRIBE), [Authenticate(1, "")]),
            (unwelcome(code), [error(1, reply)]),
            (at(14.9), []),
            (after, [Close(end)]),
        )


def test_whoever_does_not_connect_in_time_is_stale() -> None:
    silent, slow = fresh(), fresh()
    assert silent.due_s == LIMITS.connect_s
    talk(silent, (at(14.9), []), (at(15.0), [Close(3502)]), (at(16.0), []))
    # It is us who are slow.
    talk(
        slow,
        (Connect(1), [Authenticate(1, "")]),
        (at(99.0), []),
        (welcome(), [Send(1, Connected("c-1", 20))]),
    )


# --- subscribe, and what waits for it


def test_a_client_subscribes_from_where_it_was_and_leaves() -> None:
    connection = connected()
    recovering = Subscribe(2, A, Position("e", 7), reject_unrecoverable=True)
    talk(
        connection,
        (recovering, [Join(recovering)]),
        (joined(), []),
        (Subscribe(6, A), [error(6, 105)]),
        (UNSUBSCRIBE, [Leave(A), Send(3, Unsubscribed())]),
        (UNSUBSCRIBE, [Send(3, Unsubscribed())]),
        (SUBSCRIBE, [Join(SUBSCRIBE)]),
    )
    assert connection.subscriptions == {A}


def test_what_names_a_channel_waits_for_its_subscribe_and_nothing_else_does() -> None:
    talk(
        connected(),
        (frame(SUBSCRIBE, PUBLISH, HISTORY), [Join(SUBSCRIBE)]),
        (Publish(6, B, b"2"), [Write(Publish(6, B, b"2"))]),
        (Unserved(7, "presence", A), [error(7, 108)]),
        (joined(), [Write(PUBLISH)]),
        (wrote(), [Read(HISTORY)]),
        (PUBLISH, [WRITTEN]),
    )


def test_what_is_no_publish_waits_for_the_publishes_before_it() -> None:
    second, third = Publish(6, A, b"2"), Publish(7, A, b"3")
    for later, effects in (
        (HISTORY, [Read(HISTORY), Write(third)]),
        (UNSUBSCRIBE, [Send(3, Unsubscribed()), Write(third)]),
        (SUBSCRIBE, [Join(SUBSCRIBE)]),
    ):
        talk(
            connected(),
            (frame(PUBLISH, second, later, third), [WRITTEN, Write(second)]),
            (Publish(8, B, b"4"), [Write(Publish(8, B, b"4"))]),
            (wrote(B), []),
            (wrote(), []),
            (wrote(), effects),
            (joined() if later is SUBSCRIBE else wrote(), [Write(third)] if later is SUBSCRIBE else []),
        )


def test_a_subscribe_that_waited_makes_the_rest_wait_anew() -> None:
    again, last = Subscribe(6, A), Unsubscribe(7, A)
    connection = connected()
    talk(
        connection,
        (frame(SUBSCRIBE, UNSUBSCRIBE, again, PUBLISH, last), [Join(SUBSCRIBE)]),
        (joined(), [Leave(A), Send(3, Unsubscribed()), Join(again)]),
        (joined(), [Write(PUBLISH)]),
        (wrote(), [Leave(A), Send(7, Unsubscribed())]),
    )
    assert connection.subscriptions == set()


def test_a_subscribe_that_failed_lets_the_next_try() -> None:
    again = Subscribe(6, A)
    connection = connected()
    talk(
        connection,
        (frame(SUBSCRIBE, again), [Join(SUBSCRIBE)]),
        (not_joined(2, Code.UNRECOVERABLE_POSITION), [error(2, 112), Join(again)]),
        (not_joined(6, Code.UNAVAILABLE), [error(6, 100)]),
    )
    assert connection.subscriptions == set()


def test_a_repeat_that_waited_is_told_that_it_is_subscribed_already() -> None:
    talk(connected(), (frame(SUBSCRIBE, Subscribe(6, A)), [Join(SUBSCRIBE)]), (joined(), [error(6, 105)]))


def test_only_so_many_commands_wait_for_a_subscribe() -> None:
    waiting = [Publish(number, A, b"1") for number in range(3, 3 + LIMITS.pending_commands_max)]
    talk(
        connected(), (frame(SUBSCRIBE, *waiting), [Join(SUBSCRIBE)]), (PUBLISH, [Close(3501)]), (joined(), [])
    )


def test_a_client_has_so_many_channels_and_no_more() -> None:
    connection, third = connected(), Subscribe(8, B)
    for channel in (A, B, "room:c"):
        talk(connection, (Subscribe(2, channel), [Join(Subscribe(2, channel))]), (joined(channel), []))
    talk(connection, (Subscribe(6, "room:d"), [error(6, 106)]), (Subscribe(7, A), [error(7, 105)]))
    talk(connection, (report("unsubscribed", B), []), (third, [Join(third)]))


# --- who may do what


REFUSED = {
    102: [Subscribe(6, "other:1"), Publish(6, "other:1", b""), History(6, "other:1")],
    103: [
        Subscribe(6, "$room:1"),
        Publish(6, "room:#ann", b"1"),
        History(6, "$room:1"),
        Unserved(6, "map", A),
    ],
    107: [
        Subscribe(6, "r\u00f6m"),
        Publish(6, "r\u00f6m", b"1"),
        Publish(6, A, b""),
        Publish(6, "$room:1", b""),
        *(Publish(6, A, b"1", key) for key in ("a\0b", "k" * 256, 'a"b', "a b", "\u00e9", " k")),
        History(6, A, 1, Position("", 0), reverse=True),
    ],
    108: [
        Unserved(6, method, A)
        for method in ("rpc", "presence", "presence_stats", "map_publish", "shared_poll")
    ],
}


@pytest.mark.parametrize("reply", REFUSED)
def test_who_asks_for_what_is_not_to_be_had_is_told_why_and_lives_on(reply: int) -> None:
    for command in REFUSED[reply]:
        talk(connected(), (command, [error(6, reply)]), (PUBLISH, [WRITTEN]))


@pytest.mark.parametrize(
    ("command", "close"),
    [(Unserved(0, "send"), 3508), (Unserved(6, "ping"), 3501), (Unserved(6, "sub_refresh"), 3501)],
)
def test_a_method_that_only_a_broken_client_uses_ends_the_connection(command: Command, close: int) -> None:
    talk(connected(), (frame(command, PUBLISH), [Close(close)]))


def test_a_history_is_read_in_both_directions() -> None:
    for since in (None, Position("e", 1)):
        backward = History(5, A, 1, since, reverse=True)
        talk(connected(), (HISTORY, [Read(HISTORY)]), (backward, [Read(backward)]))


def test_a_key_is_judged_by_its_scopes_and_a_user_by_the_organization() -> None:
    talk(connected(KEY), (Publish(6, "$room:1", b"1"), [Write(Publish(6, "$room:1", b"1"))]))
    talk(connected(ANN, replace(ORGANIZATION, client_publish=False)), (PUBLISH, [error(4, 103)]))


# --- ping and pong


def test_pings_follow_each_other_at_the_interval_as_long_as_pongs_come() -> None:
    connection = connected()
    for now_s in (20.0, 40.0, 60.0):
        assert connection.due_s == now_s
        talk(connection, (at(now_s - 0.1), []), (at(now_s), [Ping()]), (at(now_s + 1), []), (Pong(), []))


def test_the_first_ping_comes_after_half_to_one_interval() -> None:
    assert [connected(jitter=jitter).due_s for jitter in (0.0, 0.5, 1.0)] == [10.0, 15.0, 20.0]


def test_whoever_does_not_answer_a_ping_in_time_is_gone() -> None:
    talk(connected(), (at(20.0), [Ping()]), (at(27.9), []), (at(28.0), [Close(3012)]), (at(40.0), []))


def test_each_ping_admits_one_pong() -> None:
    talk(connected(), (Pong(), [Close(3501)]))
    talk(connected(), (at(20.0), [Ping()]), (Pong(), []), (Pong(), [Close(3501)]))


# --- refresh and expiry


def test_a_client_renews_its_token_and_lives_on() -> None:
    connection = connected(until(NOW_S + 60))
    talk(
        connection,
        (Refresh(9, "new"), [Reauthenticate(9, "new")]),
        (renewed(until(NOW_S + 120), at_s=30.0), [Send(9, Refreshed("c-1", 90))]),
        (Refresh(9, "last"), [Reauthenticate(9, "last")]),
        (renewed(ANN, at_s=40.0), [Send(9, Refreshed("c-1", None))]),
        (Refresh(9, "more"), [Close(3501)]),
    )


def test_an_expired_connection_lives_on_for_a_grace_and_no_longer() -> None:
    connection = connected(until(NOW_S + 1))
    talk(connection, (at(20.0), [Ping()]), (Pong(), []), (at(25.9), []), (PUBLISH, [WRITTEN]))
    assert connection.due_s == 26.0
    talk(connection, (at(26.0), [Close(3005)]), (renewed(ANN), []), (not_renewed(Code.UNAVAILABLE), []))


def test_a_refresh_without_token_or_need_ends_the_connection() -> None:
    talk(connected(until(NOW_S + 60)), (Refresh(9, ""), [Close(3501)]))
    talk(connected(ANN), (Refresh(9, "token"), [Close(3501)]))


@pytest.mark.parametrize(
    "other", [{"id": "bob"}, {"organization_id": b"p" * 16}], ids=["user", "organization"]
)
def test_a_token_of_somebody_else_renews_nothing(other: dict[str, Any]) -> None:
    talk(connected(until(NOW_S + 60)), (renewed(replace(ANN, **other)), [Close(3500)]))


def test_a_token_that_is_refused_ends_the_connection_unless_the_fault_is_ours() -> None:
    talk(connected(until(NOW_S + 60)), (not_renewed(Code.CREDENTIAL_EXPIRED), [Close(3005)]))
    talk(connected(until(NOW_S + 60)), (not_renewed(Code.CREDENTIAL_INVALID), [Close(3500)]))
    for code, reply in ((Code.UNAVAILABLE, 100), (Code.EXPIRED, 110)):
        talk(connected(until(NOW_S + 60)), (not_renewed(code), [error(9, reply)]), (PUBLISH, [WRITTEN]))


# --- the end


def test_nothing_follows_the_end() -> None:
    connection = connected()
    talk(connection, (SUBSCRIBE, [Join(SUBSCRIBE)]), (report("close"), []))
    reports = [joined(), not_joined(2, Code.UNAVAILABLE), welcome(), unwelcome(Code.UNAVAILABLE)]
    reports += [renewed(ANN), not_renewed(Code.CREDENTIAL_INVALID), at(99.0), frame(PUBLISH, Pong())]
    talk(connection, *[(report, []) for report in reports])
    assert connection.is_closed
