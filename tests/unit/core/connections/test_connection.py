"""One client from its first byte to its last, told as conversations."""

from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

import pytest

from core.auth.principal import Organization, Principal
from core.auth.tokens import SubClaims
from core.connections.connection import Connection
from core.connections.effects import (
    Admit,
    AskToStay,
    Authenticate,
    Call,
    Close,
    Join,
    Leave,
    Open,
    Ping,
    Read,
    Reauthenticate,
    Send,
    SendPush,
    Tell,
    Write,
)
from core.connections.frames import (
    Command,
    Connect,
    Connected,
    ConnectionOpened,
    ConnectionRefreshed,
    ErrorReply,
    History,
    Message,
    Pong,
    Publish,
    Refresh,
    Refreshed,
    Rpc,
    Since,
    Subscribe,
    Subscribed,
    Unserved,
    Unsubscribe,
    Unsubscribed,
)
from core.errors import Code, TidingsError
from tests.helpers.connections import (
    ANN,
    ANONYMOUS,
    KEY,
    LIMITS,
    ORGANIZATION,
    RENEWABLE,
    ROOM,
    SECRET,
    TOKEN,
    A,
    B,
    Said,
    admitted,
    connected,
    ended,
    error,
    evicted,
    fresh,
    instant,
    joined,
    lasting,
    moment,
    not_joined,
    of_channel,
    report,
    talk,
    until,
    wrote,
)

CONNECT = Connect(1, "token")
VERIFY = Authenticate(CONNECT)
WELCOME = Send(1, Connected("c-1", 20))
SUBSCRIBE, UNSUBSCRIBE = Subscribe(2, A), Unsubscribe(3, A)
PUBLISH, HISTORY = Publish(4, A, b"1"), History(5, A, 10)
JOIN, WRITE = Join(SUBSCRIBE, ROOM), Write(PUBLISH)
OURS = Join(Subscribe(0, A), replace(ROOM, is_server_side=True))
ADMIT = Admit(TOKEN, ask_backend=False)
BEGUN = Subscribed("e", 7)


def welcome(
    principal: Principal = ANN,
    organization: Organization = ORGANIZATION,
    command: Connect = CONNECT,
    **more: Any,
) -> Said:
    return report("connected", command, principal, organization, **{"at": moment(), **more})


def unwelcome(code: Code, at_s: float = 0.0) -> Said:
    return report("refused", 1, TidingsError(code), at_s)


def opened(*channels: str, **more: Any) -> Said:
    return report("opened", 1, dict.fromkeys(channels, BEGUN), **{"at": moment(), **more})


def refreshed(principal: Principal, at_s: float = 0.0) -> Said:
    return report("refreshed", 9, principal, moment(at_s))


def not_refreshed(code: Code) -> Said:
    return report("refresh_refused", 9, TidingsError(code))


def prolonged(principal: Principal | None, at_s: float = 0.0, **more: Any) -> Said:
    return report("prolonged", principal, moment(at_s), **more)


def at(now_s: float) -> Said:
    return report("tick", now_s)


def frame(*commands: Command) -> Said:
    return report("receive", commands)


def in_room(principal: Principal) -> Connection:
    """Return a connection whose token subscribes it to a room."""
    connection = fresh()
    talk(connection, (CONNECT, [VERIFY]), (welcome(principal), [Open(1, (OURS,))]))
    connection.opened(1, {A: BEGUN}, at=moment())
    return connection


# --- connect


def test_a_client_connects_once_its_credential_is_known_to_be_good() -> None:
    connection = fresh()
    connection.governed(ORGANIZATION)  # of nobody yet
    assert (connection.asking, connection.subscriptions, connection.is_connected) == (None, None, False)
    talk(connection, (CONNECT, [VERIFY]), (welcome(), [WELCOME]))
    asking = connection.asking
    assert asking is not None
    assert (connection.client, asking.principal, asking.organization) == ("c-1", ANN, ORGANIZATION)
    assert (connection.is_connected, connection.is_closed) == (True, False)


@pytest.mark.parametrize(
    ("principal", "ttl_s"),
    [(until(60), 60), (until(60, KEY, refreshable=False), None), (ANN, None), (ANONYMOUS, None)],
)
def test_who_must_renew_a_token_is_told_in_how_many_seconds(principal: Principal, ttl_s: int | None) -> None:
    talk(fresh(), (CONNECT, [VERIFY]), (welcome(principal), [Send(1, Connected("c-1", 20, ttl_s))]))


def test_what_came_with_the_connect_waits_for_it_and_is_served_in_order() -> None:
    connection = fresh()
    elsewhere = Publish(6, B, b"2")
    talk(
        connection,
        (frame(CONNECT, SUBSCRIBE, UNSUBSCRIBE), [VERIFY]),
        (elsewhere, []),
        (welcome(), [WELCOME, JOIN, Write(elsewhere)]),
        (joined(), [Leave(A, ROOM), Send(3, Unsubscribed())]),
    )
    assert connection.subscriptions is not None
    assert list(connection.subscriptions) == []


def test_nothing_is_served_that_follows_a_violation() -> None:
    connection = fresh()
    talk(connection, (frame(SUBSCRIBE, CONNECT), [Close(3501)]), (CONNECT, []))
    assert connection.is_closed


def test_a_second_connect_ends_the_connection() -> None:
    talk(fresh(), (CONNECT, [VERIFY]), (Connect(2), [Close(3501)]), (welcome(), []))
    talk(connected(), (Connect(2), [Close(3501)]))


def test_what_waited_may_be_the_end_of_the_connection() -> None:
    ping = Unserved(6, "ping")
    talk(fresh(), (frame(CONNECT, ping, SUBSCRIBE), [VERIFY]), (welcome(), [WELCOME, Close(3501)]))


def test_a_bad_credential_ends_the_connection() -> None:
    bad = unwelcome(Code.CREDENTIAL_INVALID)
    talk(fresh(), (CONNECT, [VERIFY]), (bad, [Close(3500)]), (SUBSCRIBE, []))


def test_after_an_error_that_may_pass_the_client_must_come_anew() -> None:
    connection, busy = fresh(), unwelcome(Code.UNAVAILABLE)
    talk(connection, (frame(CONNECT, SUBSCRIBE), [VERIFY]), (busy, [error(1, 100)]), (welcome(), []))
    assert (connection.asking, connection.due_s) == (None, LIMITS.connect_s)
    talk(connection, (Connect(2), [Close(3501)]))


def test_the_backend_may_refuse_a_client_in_its_own_words() -> None:
    no = ErrorReply(1000, "not today")
    refusal = report("refused_by_backend", 1, no, 0.0)
    talk(fresh(), (CONNECT, [VERIFY]), (refusal, [Send(1, no)]), (Connect(2), [Close(3501)]))


def test_whoever_does_not_connect_in_time_is_stale_unless_it_is_us_who_are_slow() -> None:
    silent = fresh()
    assert silent.due_s == LIMITS.connect_s
    talk(silent, (at(14.9), []), (at(15.0), [Close(3502)]), (at(16.0), []))
    talk(fresh(), (CONNECT, [VERIFY]), (at(99.0), []), (welcome(), [WELCOME]))


# --- server-side subscriptions


def test_server_side_subscriptions_begin_before_the_reply_that_tells_of_them() -> None:
    told = replace(OURS, grant=replace(OURS.grant, info=b'{"a":1}'), data=b"2")
    reply = Connected("c-1", 20, data=b"3", subs={A: BEGUN})
    talk(
        fresh(),
        (frame(CONNECT, SUBSCRIBE), [VERIFY]),
        (welcome(replace(ANN, subs={A: SubClaims(b'{"a":1}', b"2")}), data=b"3"), [Open(1, (told,), b"3")]),
        (PUBLISH, []),
        (opened(A, data=b"3"), [Send(1, reply), error(2, 105), WRITE]),
    )


def test_server_side_subscriptions_that_cannot_be_keep_a_client_out() -> None:
    unknown, asks = replace(ANN, channels=("unknown:a",)), Connect(1, subs={"unknown:a": Since()})
    talk(fresh(), (CONNECT, [VERIFY]), (welcome(unknown), [error(1, 102)]), (PUBLISH, [Close(3501)]))
    talk(fresh(), (asks, [Authenticate(asks)]), (welcome(command=asks), [Close(3501)]), (PUBLISH, []))


def test_subscriptions_that_could_not_begin_leave_nothing() -> None:
    connection = fresh()
    talk(
        connection,
        (CONNECT, [VERIFY]),
        (welcome(replace(ANN, channels=(A,))), [Open(1, (OURS,))]),
        (unwelcome(Code.UNAVAILABLE), [error(1, 100)]),
        (opened(A), []),
        (at(15.0), [Close(3502)]),
    )
    assert (connection.asking, connection.subscriptions) == (None, None)


def test_a_server_side_subscription_that_expires_takes_the_connection_along() -> None:
    connection = in_room(replace(ANN, subs={A: SubClaims(expires_at=instant(1))}))
    talk(connection, (at(20.0), [Ping()]))
    assert connection.due_s == 26.0
    talk(connection, (at(28.0), [Close(3006)]), (at(99.0), []))  # though the pong is missing, too


# --- commands


def test_commands_on_channels_take_their_turn() -> None:
    elsewhere = Publish(6, B, b"2")
    talk(
        connected(),
        (frame(SUBSCRIBE, PUBLISH, HISTORY, elsewhere), [JOIN, Write(elsewhere)]),
        (joined(), [WRITE]),
        (wrote(), [Read(HISTORY)]),
        (UNSUBSCRIBE, []),
        (joined(), [Leave(A, ROOM), Send(3, Unsubscribed())]),
    )


def test_only_so_many_commands_wait_for_a_channel() -> None:
    waiting = [Publish(number, A, b"1") for number in range(3, 3 + LIMITS.pending_commands_max)]
    talk(connected(), (frame(SUBSCRIBE, *waiting), [JOIN]), (PUBLISH, [Close(3501)]), (joined(), []))


def test_calls_and_messages_go_to_the_backend() -> None:
    call, message = Rpc(6, "sum", b"1"), Message(b"2")
    talk(connected(), (frame(call, message, PUBLISH), [Call(call), Tell(message), WRITE]))


def test_what_is_not_served_is_refused_and_the_client_lives_on() -> None:
    talk(
        connected(),
        (frame(Unserved(6, "map", A), PUBLISH), [error(6, 103), WRITE]),
        (frame(Unserved(7, "ping"), PUBLISH), [Close(3501)]),
    )


def test_what_comes_of_a_channel_may_be_the_end_of_the_connection() -> None:
    talk(connected(), (TOKEN, [ADMIT]), (admitted(None), [Close(3500)]), (PUBLISH, []))


def test_new_options_of_the_organization_hold_at_once_and_take_nothing_back() -> None:
    connection = connected()
    strict = replace(ORGANIZATION, client_publish=False)
    talk(
        connection,
        (SUBSCRIBE, [JOIN]),
        (joined(), []),
        (report("governed", strict), []),
        (PUBLISH, [error(4, 103)]),
        (UNSUBSCRIBE, [Leave(A, ROOM), Send(3, Unsubscribed())]),
    )
    assert connection.asking is not None
    assert (connection.asking.principal, connection.asking.organization) == (ANN, strict)


def test_only_clients_that_can_write_anything_publish_what_is_no_json() -> None:
    publish = Publish(6, "open:a", b"\xff")
    talk(connected(is_json=False), (publish, [Write(publish, is_opaque=True)]))


def test_a_subscription_that_expires_ends_and_the_connection_lives_on() -> None:
    connection = connected()
    join, gone = Join(TOKEN, RENEWABLE, ttl_s=1), [ended(SECRET, 2501), Leave(SECRET, RENEWABLE)]
    talk(connection, (TOKEN, [ADMIT]), (admitted(lasting(-6)), [join]), (joined(SECRET), []))
    assert connection.due_s == 19.0
    talk(connection, (at(18.9), []), (at(20.0), [*gone, Ping()]), (Pong(), []), (at(40.0), [Ping()]))


# --- ping and pong


def test_whoever_does_not_answer_a_ping_in_time_is_gone_whatever_else_it_says() -> None:
    connection = connected()
    assert connection.due_s == 20.0
    talk(connection, (at(19.9), []), (PUBLISH, [WRITE]), (at(20.0), [Ping()]), (PUBLISH, [WRITE]))
    talk(connection, (at(27.9), []), (at(28.0), [Close(3012)]), (at(40.0), []))


def test_a_client_that_is_not_read_is_pinged_all_the_same_and_ends_when_it_expires() -> None:
    connection = connected(until(40))
    unread = partial(connection.tick, is_read=False)
    assert [unread(20.0), unread(28.0), unread(40.0)] == [[Ping()], [], []]
    talk(connection, (at(47.9), []), (Pong(), []), (at(59.9), []))
    assert [unread(60.0), unread(65.0)] == [[Ping()], [Close(3005)]]


def test_each_ping_admits_one_pong() -> None:
    talk(connected(), (Pong(), [Close(3501)]))
    talk(connected(), (at(20.0), [Ping()]), (Pong(), []), (Pong(), [Close(3501)]))


def test_pings_of_the_transport_stand_in_for_those_of_the_protocol() -> None:
    """A browser may send pongs of its own accord, which RFC 6455 allows."""
    connection = fresh(has_native_pings=True)
    connection.ponged()
    talk(connection, (CONNECT, [VERIFY]), (welcome(), [Send(1, Connected("c-1", 0, pong=False))]))
    connection.ponged()
    talk(connection, (at(20.0), [Ping()]))
    connection.ponged()
    connection.ponged()
    talk(connection, (at(40.0), [Ping()]), (at(48.0), [Close(3012)]))


def test_where_the_transport_pings_a_command_without_id_answers_nothing() -> None:
    talk(connected(has_native_pings=True), (at(20.0), [Ping()]), (Pong(), [Close(3501)]))


# --- clients that only listen


def test_a_client_that_only_listens_is_told_by_a_push_and_never_asked_for_a_pong() -> None:
    connection = fresh(is_unidirectional=True)
    talk(
        connection,
        (CONNECT, [VERIFY]),
        (welcome(), [SendPush(ConnectionOpened(Connected("c-1", 20, pong=False)))]),
        (at(20.0), [Ping()]),
        (at(39.9), []),
        (at(40.0), [Ping()]),
        (Pong(), [Close(3501)]),
    )


def test_a_client_that_gets_no_replies_is_ended_where_others_get_an_error() -> None:
    no = report("refused_by_backend", 1, ErrorReply(103), 0.0)
    for refusal, close in ((unwelcome(Code.UNAVAILABLE), 3004), (no, 3507)):
        talk(fresh(is_unidirectional=True), (CONNECT, [VERIFY]), (refusal, [Close(close)]))


# --- refresh and expiry


def test_a_client_renews_its_token_and_lives_on() -> None:
    connection, other = connected(until(60)), replace(ANN, info=b"2")
    talk(
        connection,
        (Refresh(9, "new"), [Reauthenticate(9, "new")]),
        (refreshed(until(120), at_s=30.0), [Send(9, Refreshed("c-1", 90))]),
        (Refresh(9, "last"), [Reauthenticate(9, "last")]),
        (refreshed(other, at_s=40.0), [Send(9, Refreshed("c-1", None))]),
    )
    assert connection.asking is not None
    assert (connection.asking.principal, connection.asking.organization) == (other, ORGANIZATION)
    talk(connection, (Refresh(9, "more"), [Close(3501)]))


def test_an_expired_connection_lives_on_for_a_grace_and_no_longer() -> None:
    connection = connected(until(1))
    talk(connection, (at(20.0), [Ping()]), (Pong(), []), (at(25.9), []), (PUBLISH, [WRITE]))
    assert connection.due_s == 26.0
    talk(connection, (at(26.0), [Close(3005)]), (refreshed(ANN), []))


def test_a_key_that_expires_is_not_to_be_renewed() -> None:
    talk(connected(until(60, KEY, refreshable=False)), (Refresh(9, "token"), [Close(3501)]))


def test_a_token_with_other_server_side_subscriptions_begins_them_anew() -> None:
    more, same = replace(until(60), channels=(A,)), replace(until(60), subs={A: SubClaims()})
    talk(
        in_room(more),
        (refreshed(same), [Send(9, Refreshed("c-1", 60))]),
        (evicted(A), [ended(A), Leave(A, OURS.grant)]),
        (refreshed(until(60)), [Send(9, Refreshed("c-1", 60))]),
        (refreshed(more), [Close(3010)]),
    )


def test_a_token_that_is_refused_ends_the_connection_unless_the_fault_is_ours() -> None:
    talk(
        connected(until(60)),
        (not_refreshed(Code.UNAVAILABLE), [error(9, 100)]),
        (PUBLISH, [WRITE]),
        (not_refreshed(Code.CREDENTIAL_INVALID), [Close(3500)]),
        (not_refreshed(Code.UNAVAILABLE), []),
    )


# --- what the organization's backend orders


def test_the_backend_lets_a_client_in_with_a_word_and_is_asked_whether_it_may_stay() -> None:
    let_in, longer = until(15, refreshable=False), until(25, refreshable=False)
    wanted = Connect(1, subs={A: Since()})
    allowed = welcome(let_in, command=wanted, data=b"1", by_backend=True, asks_to_stay=True)
    talk(
        fresh(),
        (wanted, [Authenticate(wanted)]),
        (allowed, [Send(1, Connected("c-1", 20, data=b"1"))]),
        (at(14.9), []),
        (at(15.0), [AskToStay()]),
        (at(20.0), [Ping()]),
        (prolonged(longer, 21.0, silently=True), []),
        (Pong(), []),
        (at(25.0), [AskToStay()]),
        (prolonged(None, 26.0, silently=True), [Close(3005)]),
    )


def test_a_connection_is_prolonged_by_the_server_and_its_client_told() -> None:
    connection = connected(until(60))
    talk(
        connection,
        (prolonged(until(120), 30.0), [SendPush(ConnectionRefreshed(90))]),
        (prolonged(until(30.5), 30.0), [SendPush(ConnectionRefreshed(1))]),
        (prolonged(ANN, 30.0), [SendPush(ConnectionRefreshed(None))]),
        (at(99.0), [Ping()]),
        (prolonged(None, 99.0), [Close(3005)]),
        (prolonged(KEY, 99.0), []),
    )
    assert connection.asking is not None
    assert connection.asking.principal == ANN


def test_the_server_ends_a_connection_with_a_code_and_a_reason() -> None:
    gone, again = report("ended", 4001, "go away"), report("ended", 3503)
    talk(connected(), (gone, [Close(4001, "go away")]), (again, []))
    talk(fresh(), (CONNECT, [VERIFY]), (again, [Close(3503)]), (welcome(), []))


# --- the end


def test_nothing_follows_the_end() -> None:
    connection = connected()
    talk(connection, (SUBSCRIBE, [JOIN]), (report("close"), []))
    reports = [joined(), not_joined(2, Code.UNAVAILABLE), welcome(), opened(), unwelcome(Code.UNAVAILABLE)]
    reports += [
        refreshed(ANN),
        not_refreshed(Code.CREDENTIAL_INVALID),
        prolonged(None),
        report("ended", 3001),
    ]
    reports += [report("refused_by_backend", 1, ErrorReply(103), 0.0), evicted(A)]
    reports += [of_channel("expire", 1e9), at(99.0), frame(PUBLISH, Pong())]
    talk(connection, *[(report, []) for report in reports])
    assert connection.is_closed


def test_nothing_is_due_of_a_connection_that_is_over() -> None:
    for connection in (fresh(), connected()):
        assert connection.due_s < inf
        connection.close()
        assert connection.due_s == inf
