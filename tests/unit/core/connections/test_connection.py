"""One client from its first byte to its last, told as conversations."""

from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

import pytest

from core.auth.principal import Organization, Principal
from core.auth.tokens import SubClaims
from core.connections.admission import Terms
from core.connections.connection import Connection
from core.connections.effects import (
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
    Renew,
    See,
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
    Presence,
    PresenceStats,
    Publish,
    Refresh,
    Refreshed,
    Rpc,
    Since,
    SubRefresh,
    Subscribe,
    Subscribed,
    SubscriptionEnded,
    Unserved,
    Unsubscribe,
    Unsubscribed,
)
from core.connections.subscription import Grant
from core.errors import Code, TidingsError
from core.streams.position import Position
from tests.helpers.connections import (
    ANN,
    ANONYMOUS,
    CHAT,
    KEY,
    LIMITS,
    LOUD,
    ORGANIZATION,
    PERSONAL,
    ROOM,
    A,
    B,
    Said,
    connected,
    demanding,
    error,
    fresh,
    instant,
    joined,
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
BEGUN = Subscribed("e", 7)
SUSPENDED = Code.ORGANIZATION_SUSPENDED


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


def renewed(principal: Principal, at_s: float = 0.0) -> Said:
    return report("refreshed", 9, principal, moment(at_s))


def not_renewed(code: Code) -> Said:
    return report("refresh_refused", 9, TidingsError(code))


def prolonged(principal: Principal | None, at_s: float = 0.0, **more: Any) -> Said:
    return report("prolonged", principal, moment(at_s), **more)


def at(now_s: float) -> Said:
    return report("tick", now_s)


def frame(*commands: Command) -> Said:
    return report("receive", commands)


def ours(channel: str, grant: Grant = ROOM) -> Join:
    return Join(Subscribe(0, channel), replace(grant, is_server_side=True))


def of_backend(ends_s: float, *, asks_to_stay: bool = True) -> Connection:
    """Return a connection that its organization's backend let in for a time."""
    connection = fresh()
    principal = until(ends_s, refreshable=False)
    connection.receive([CONNECT])
    connection.connected(
        CONNECT, principal, ORGANIZATION, at=moment(), by_backend=True, asks_to_stay=asks_to_stay
    )
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
    [
        (until(60), 60), (until(59.9), 59), (until(0.25), 1), (until(-5), 1),
        (until(60, KEY, refreshable=False), None), (ANN, None), (ANONYMOUS, None),
    ],
)  # fmt: skip
def test_who_must_renew_a_token_is_told_in_how_many_seconds(principal: Principal, ttl_s: int | None) -> None:
    talk(fresh(), (CONNECT, [VERIFY]), (welcome(principal), [Send(1, Connected("c-1", 20, ttl_s))]))


def test_the_backend_may_say_something_to_a_client_that_it_lets_in() -> None:
    talk(fresh(), (CONNECT, [VERIFY]), (welcome(data=b"1"), [Send(1, Connected("c-1", 20, data=b"1"))]))


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


def test_only_so_many_commands_wait_for_a_connect() -> None:
    waiting = [Publish(number, A, b"1") for number in range(2, 2 + LIMITS.pending_commands_max)]
    talk(fresh(), (frame(CONNECT, *waiting), [VERIFY]), (PUBLISH, [Close(3501)]))


@pytest.mark.parametrize(
    "command",
    [SUBSCRIBE, UNSUBSCRIBE, PUBLISH, HISTORY, Refresh(1, "t"), Message(b"1"), Pong(), Unserved(1, "rpc")],
)
def test_the_first_command_must_be_a_connect(command: Command) -> None:
    connection = fresh()
    talk(connection, (frame(command, CONNECT), [Close(3501)]), (CONNECT, []))
    assert connection.is_closed


def test_a_second_connect_ends_the_connection() -> None:
    talk(fresh(), (CONNECT, [VERIFY]), (Connect(2), [Close(3501)]), (welcome(), []))
    talk(connected(), (Connect(2), [Close(3501)]))


def test_what_waited_may_be_the_end_of_the_connection() -> None:
    ping = Unserved(6, "ping")
    talk(fresh(), (frame(CONNECT, ping, SUBSCRIBE), [VERIFY]), (welcome(), [WELCOME, Close(3501)]))


@pytest.mark.parametrize(
    ("code", "close"), [(Code.CREDENTIAL_INVALID, 3500), (Code.UNAUTHENTICATED, 3501), (SUSPENDED, 3507)]
)
def test_a_bad_credential_ends_the_connection(code: Code, close: int) -> None:
    talk(fresh(), (CONNECT, [VERIFY]), (unwelcome(code), [Close(close)]), (SUBSCRIBE, []))


@pytest.mark.parametrize(
    ("code", "reply"),
    [
        (Code.CREDENTIAL_EXPIRED, 109), (Code.EXPIRED, 110), (Code.UNAVAILABLE, 100),
        (Code.CONCURRENCY_LIMITED, 111),
    ],
)  # fmt: skip
def test_after_an_error_that_may_pass_the_client_must_come_anew(code: Code, reply: int) -> None:
    for after, end in ((Connect(2), 3501), (SUBSCRIBE, 3501), (at(16.0), 3502)):
        connection = fresh()
        talk(
            connection,
            (frame(CONNECT, SUBSCRIBE), [VERIFY]),
            (unwelcome(code, 1.0), [error(1, reply)]),
            (at(15.9), []),
            (after, [Close(end)]),
        )
        assert connection.asking is None


def test_the_backend_may_refuse_a_client_in_its_own_words() -> None:
    no = ErrorReply(1000, "not today")
    talk(
        fresh(),
        (CONNECT, [VERIFY]),
        (report("refused_by_backend", 1, no, 0.0), [Send(1, no)]),
        (Connect(2), [Close(3501)]),
    )


def test_whoever_does_not_connect_in_time_is_stale() -> None:
    silent, slow = fresh(), fresh()
    assert silent.due_s == LIMITS.connect_s
    talk(silent, (at(14.9), []), (at(15.0), [Close(3502)]), (at(16.0), []))
    # It is us who are slow.
    talk(slow, (CONNECT, [VERIFY]), (at(99.0), []), (welcome(), [WELCOME]))


# --- server-side subscriptions


def test_server_side_subscriptions_begin_before_the_reply_that_tells_of_them() -> None:
    connection = fresh()
    subs = {A: SubClaims(b'{"a":1}', b"2"), B: SubClaims()}
    first = Join(Subscribe(0, A), replace(ROOM, is_server_side=True, info=b'{"a":1}'), b"2")
    reply = Connected("c-1", 20, data=b"3", subs={A: BEGUN, B: BEGUN})
    talk(
        connection,
        (frame(CONNECT, SUBSCRIBE), [VERIFY]),
        (welcome(replace(ANN, subs=subs), data=b"3"), [Open(1, (first, ours(B)), b"3")]),
        (PUBLISH, []),
        (opened(A, B, data=b"3"), [Send(1, reply), error(2, 105), WRITE]),
    )


def test_positions_come_with_the_connect_and_ask_for_channels() -> None:
    command = Connect(1, subs={A: Since(Position("e", 7)), "closed:a": Since()})
    recovering = Join(Subscribe(0, A, Position("e", 7)), replace(ROOM, is_server_side=True))
    talk(fresh(), (command, [Authenticate(command)]), (welcome(command=command), [Open(1, (recovering,))]))
    talk(fresh(), (command, [Authenticate(command)]), (welcome(command=command, by_backend=True), [WELCOME]))


def test_a_user_is_subscribed_to_its_personal_channel_and_may_ask_for_it_no_more() -> None:
    mine = Grant(LOUD, presence=True, announces=True, hears=True)
    talk(
        fresh(),
        (CONNECT, [VERIFY]),
        (welcome(ANN, PERSONAL), [Open(1, (ours("loud:#ann", mine),))]),
        (opened("loud:#ann"), [Send(1, Connected("c-1", 20, subs={"loud:#ann": BEGUN}))]),
        (Subscribe(2, "loud:#ann"), [error(2, 105)]),
    )
    talk(fresh(), (CONNECT, [VERIFY]), (welcome(ANONYMOUS, PERSONAL), [WELCOME]))


@pytest.mark.parametrize(
    ("principal", "subs", "effect"),
    [
        (replace(ANN, channels=("unknown:a",)), {}, error(1, 102)),
        (replace(ANN, channels=("room:\n",)), {}, error(1, 107)),
        (ANN, {"unknown:a": Since()}, Close(3501)),
        (replace(ANN, channels=tuple("abcd")), {}, Close(3505)),
    ],
)
def test_server_side_subscriptions_that_cannot_be_keep_a_client_out(
    principal: Principal, subs: dict[str, Since], effect: Any
) -> None:
    command = Connect(1, subs=subs)
    connection = fresh()
    talk(
        connection,
        (command, [Authenticate(command)]),
        (welcome(principal, command=command), [effect]),
        (PUBLISH, [] if isinstance(effect, Close) else [Close(3501)]),
    )


def test_subscriptions_that_could_not_begin_leave_nothing() -> None:
    connection = fresh()
    talk(
        connection,
        (CONNECT, [VERIFY]),
        (welcome(replace(ANN, channels=(A,))), [Open(1, (ours(A),))]),
        (unwelcome(Code.UNAVAILABLE), [error(1, 100)]),
        (opened(A), []),
        (at(15.0), [Close(3502)]),
    )
    assert (connection.asking, connection.subscriptions) == (None, None)


def test_a_server_side_subscription_that_expires_takes_the_connection_along() -> None:
    connection = fresh()
    subs = {A: SubClaims(expires_at=instant(1))}
    talk(
        connection,
        (CONNECT, [VERIFY]),
        (welcome(replace(ANN, subs=subs)), [Open(1, (ours(A),))]),
        (opened(A), [Send(1, Connected("c-1", 20, subs={A: BEGUN}))]),
        (at(20.0), [Ping()]),
    )
    assert connection.due_s == 26.0
    talk(connection, (at(28.0), [Close(3006)]), (at(99.0), []))  # though the pong is missing, too


# --- commands


def test_commands_on_channels_take_their_turn() -> None:
    question, count = Presence(6, "chat:a"), PresenceStats(7, "chat:a")
    talk(
        connected(),
        (frame(SUBSCRIBE, PUBLISH, HISTORY), [JOIN]),
        (Subscribe(8, "chat:a"), [Join(Subscribe(8, "chat:a"), Grant(CHAT, presence=True, announces=True))]),
        (joined("chat:a"), []),
        (frame(question, count), [See(question)]),
        (joined("chat:a"), [See(count)]),
        (joined(), [WRITE]),
        (wrote(), [Read(HISTORY)]),
        (UNSUBSCRIBE, []),
        (joined(), [Leave(A, ROOM), Send(3, Unsubscribed())]),
    )


def test_a_subscribe_that_failed_lets_the_next_try() -> None:
    again = Subscribe(6, A)
    talk(
        connected(),
        (frame(SUBSCRIBE, again), [JOIN]),
        (not_joined(2, Code.UNRECOVERABLE_POSITION), [error(2, 112), Join(again, ROOM)]),
    )


def test_only_so_many_commands_wait_for_a_channel() -> None:
    waiting = [Publish(number, A, b"1") for number in range(3, 3 + LIMITS.pending_commands_max)]
    connection = connected()
    talk(connection, (frame(SUBSCRIBE, *waiting), [JOIN]), (PUBLISH, [Close(3501)]), (joined(), []))
    assert connection.is_closed


def test_calls_and_messages_go_to_the_backend() -> None:
    call, message = Rpc(6, "sum", b"1"), Message(b"2")
    talk(connected(), (frame(call, message, PUBLISH), [Call(call), Tell(message), WRITE]))


@pytest.mark.parametrize(("method", "code"), [("map", 103), ("map_publish", 108), ("shared_poll", 108)])
def test_what_is_not_served_is_refused_and_the_client_lives_on(method: str, code: int) -> None:
    talk(connected(), (frame(Unserved(6, method, A), PUBLISH), [error(6, code), WRITE]))


def test_a_ping_of_a_client_ends_the_connection() -> None:
    talk(connected(), (frame(Unserved(6, "ping"), PUBLISH), [Close(3501)]))


def test_a_subscription_token_is_renewed_for_the_same_user_and_channel_alone() -> None:
    renew = SubRefresh(7, "", "new")
    for verdict, effect in ((None, Close(3500)), (TidingsError(Code.CREDENTIAL_EXPIRED), Close(3006))):
        refused = of_channel("not_renewed", renew, verdict)
        said = of_channel("renewed", renew, None, moment()) if verdict is None else refused
        talk(connected(), (renew, [Renew(renew)]), (said, [effect]), (PUBLISH, []))


def test_an_organization_or_its_keys_may_open_everything() -> None:
    insecure = replace(ORGANIZATION, client_insecure=True)
    closed = Publish(6, "closed:a", b"1")
    talk(connected(ANONYMOUS, insecure), (closed, [Write(closed)]))
    talk(connected(KEY), (closed, [Write(closed)]))
    talk(connected(), (closed, [error(6, 103)]))
    talk(connected(ANN, replace(ORGANIZATION, client_publish=False)), (PUBLISH, [error(4, 103)]))


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


def test_an_organization_may_allow_fewer_channels() -> None:
    one = Subscribe(2, "plain")
    talk(connected(ANN, demanding(channels_max=1)), (frame(one, SUBSCRIBE), [Join(one, ROOM), error(2, 106)]))


# --- ping and pong


def test_pings_follow_each_other_at_the_interval_as_long_as_pongs_come() -> None:
    connection = connected()
    for now_s in (20.0, 40.0, 60.0):
        assert connection.due_s == now_s
        talk(connection, (at(now_s - 0.1), []), (at(now_s), [Ping()]), (at(now_s + 1), []), (Pong(), []))


def test_no_ping_is_left_out_because_a_client_speaks() -> None:
    talk(connected(), (at(19.9), []), (PUBLISH, [WRITE]), (at(20.0), [Ping()]), (PUBLISH, [WRITE]))


def test_the_first_ping_comes_after_half_to_one_interval() -> None:
    assert [connected(jitter=jitter).due_s for jitter in (0.0, 0.5, 1.0)] == [10.0, 15.0, 20.0]


def test_whoever_does_not_answer_a_ping_in_time_is_gone_whatever_else_it_says() -> None:
    talk(
        connected(),
        (at(20.0), [Ping()]),
        (PUBLISH, [WRITE]),
        (at(27.9), []),
        (at(28.0), [Close(3012)]),
        (at(40.0), []),
    )


def test_a_pong_that_nobody_reads_is_not_missing_and_a_ping_is_sent_all_the_same() -> None:
    connection = connected(until(40))
    unread = partial(connection.tick, is_read=False)
    assert [unread(20.0), unread(28.0), unread(40.0)] == [[Ping()], [], []]
    talk(connection, (at(47.9), []), (Pong(), []), (at(59.9), []))
    assert [unread(60.0), unread(65.0)] == [[Ping()], [Close(3005)]]
    silent = connected()
    assert [silent.tick(20.0), silent.tick(28.0, is_read=False)] == [[Ping()], []]
    talk(silent, (at(36.0), [Close(3012)]))


def test_each_ping_admits_one_pong() -> None:
    talk(connected(), (Pong(), [Close(3501)]))
    talk(fresh(), (frame(CONNECT, Pong()), [VERIFY, Close(3501)]), (welcome(), []))
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
    talk(fresh(has_native_pings=True), (Pong(), [Close(3501)]))


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


def test_pings_that_could_not_be_sent_in_time_are_not_made_up_for() -> None:
    connection = connected(is_unidirectional=True)
    talk(connection, (at(99.0), [Ping()]), (at(99.5), []))
    assert connection.due_s == 119.0


@pytest.mark.parametrize(
    ("code", "close"),
    [
        (Code.CREDENTIAL_EXPIRED, 3005), (Code.EXPIRED, 3005), (Code.CONCURRENCY_LIMITED, 3013),
        (Code.UNAVAILABLE, 3004), (Code.CREDENTIAL_INVALID, 3500), (Code.UNAUTHENTICATED, 3501),
    ],
)  # fmt: skip
def test_a_client_that_gets_no_replies_is_ended_where_others_get_an_error(code: Code, close: int) -> None:
    talk(fresh(is_unidirectional=True), (CONNECT, [VERIFY]), (unwelcome(code), [Close(close)]))


@pytest.mark.parametrize(("code", "close"), [(103, 3507), (111, 3013), (1000, 3004)])
def test_a_refusal_of_the_backend_ends_a_client_that_gets_no_replies(code: int, close: int) -> None:
    no = report("refused_by_backend", 1, ErrorReply(code), 0.0)
    talk(fresh(is_unidirectional=True), (CONNECT, [VERIFY]), (no, [Close(close)]))


# --- refresh and expiry


def test_a_client_renews_its_token_and_lives_on() -> None:
    connection = connected(until(60))
    talk(
        connection,
        (Refresh(9, "new"), [Reauthenticate(9, "new")]),
        (renewed(until(120), at_s=30.0), [Send(9, Refreshed("c-1", 90))]),
        (Refresh(9, "last"), [Reauthenticate(9, "last")]),
        (renewed(ANN, at_s=40.0), [Send(9, Refreshed("c-1", None))]),
        (Refresh(9, "more"), [Close(3501)]),
    )


def test_a_new_token_may_tell_something_else_of_the_client() -> None:
    connection = connected(until(60))
    connection.refreshed(9, replace(until(120), info=b"2"), moment())
    assert connection.asking is not None
    assert connection.asking.principal.info == b"2"


def test_an_expired_connection_lives_on_for_a_grace_and_no_longer() -> None:
    connection = connected(until(1))
    talk(connection, (at(20.0), [Ping()]), (Pong(), []), (at(25.9), []), (PUBLISH, [WRITE]))
    assert connection.due_s == 26.0
    talk(connection, (at(26.0), [Close(3005)]), (renewed(ANN), []), (not_renewed(Code.UNAVAILABLE), []))


def test_a_key_that_expires_is_not_to_be_renewed() -> None:
    connection = connected(until(1, KEY, refreshable=False))
    assert connection.due_s == 20.0
    talk(connection, (at(26.0), [Close(3005)]))
    talk(connected(until(60, KEY, refreshable=False)), (Refresh(9, "token"), [Close(3501)]))


def test_a_refresh_without_token_or_need_ends_the_connection() -> None:
    talk(connected(until(60)), (Refresh(9, ""), [Close(3501)]))
    talk(connected(ANN), (Refresh(9, "token"), [Close(3501)]))


@pytest.mark.parametrize(
    "other", [{"id": "bob"}, {"organization_id": b"p" * 16}], ids=["user", "organization"]
)
def test_a_token_of_somebody_else_renews_nothing(other: dict[str, Any]) -> None:
    talk(connected(until(60)), (renewed(replace(ANN, **other)), [Close(3500)]))


def test_a_token_with_other_server_side_subscriptions_begins_them_anew() -> None:
    more, same = replace(until(60), channels=(A,)), replace(until(60), subs={A: SubClaims()})
    connection = fresh()
    talk(
        connection,
        (CONNECT, [VERIFY]),
        (welcome(more), [Open(1, (ours(A),))]),
        (opened(A), [Send(1, Connected("c-1", 20, 60, subs={A: BEGUN}))]),
        (renewed(same), [Send(9, Refreshed("c-1", 60))]),
        (renewed(until(60)), [Close(3010)]),
    )
    talk(connected(until(60)), (renewed(more), [Close(3010)]))


def test_a_token_with_a_server_side_subscription_that_has_ended_begins_it_anew() -> None:
    more = replace(until(60), channels=(A,))
    for token, effects in ((more, [Close(3010)]), (until(60), [Send(9, Refreshed("c-1", 60))])):
        connection = fresh()
        talk(
            connection,
            (CONNECT, [VERIFY]),
            (welcome(more), [Open(1, (ours(A),))]),
            (opened(A), [Send(1, Connected("c-1", 20, 60, subs={A: BEGUN}))]),
        )
        connection.of_channel(lambda members: members.evicted(A, 2000))
        talk(connection, (renewed(token), effects))


def test_a_token_that_is_refused_ends_the_connection_unless_the_fault_is_ours() -> None:
    talk(connected(until(60)), (not_renewed(Code.CREDENTIAL_EXPIRED), [Close(3005)]))
    talk(connected(until(60)), (not_renewed(Code.CREDENTIAL_INVALID), [Close(3500)]))
    for code, reply in ((Code.UNAVAILABLE, 100), (Code.EXPIRED, 110), (Code.RATE_LIMITED, 100)):
        talk(connected(until(60)), (not_renewed(code), [error(9, reply)]), (PUBLISH, [WRITE]))


# --- what the organization's backend orders


def test_the_backend_is_asked_whether_a_client_that_it_let_in_may_stay() -> None:
    connection = of_backend(15)
    assert connection.due_s == 15.0
    talk(connection, (at(14.9), []), (at(15.0), [AskToStay()]), (at(16.0), []), (at(20.0), [Ping()]))
    talk(
        connection,
        (prolonged(until(25, refreshable=False), 21.0, silently=True), []),
        (Pong(), []),
        (at(25.0), [AskToStay()]),
        (prolonged(None, 26.0, silently=True), [Close(3005)]),
    )


def test_a_client_that_the_backend_let_in_for_a_time_and_is_not_asked_about_ends_after_a_grace() -> None:
    connection = of_backend(1, asks_to_stay=False)
    talk(connection, (at(25.9), [Ping()]), (Pong(), []), (at(26.0), [Close(3005)]))


def test_a_connection_is_prolonged_by_the_server_and_its_client_told() -> None:
    connection = connected(until(60))
    talk(
        connection,
        (prolonged(until(120), 30.0), [SendPush(ConnectionRefreshed(90))]),
        (prolonged(until(30.5), 30.0), [SendPush(ConnectionRefreshed(1))]),
        (prolonged(ANN, 30.0), [SendPush(ConnectionRefreshed(None))]),
        (at(99.0), [Ping()]),
        (prolonged(None, 99.0), [Close(3005)]),
        (prolonged(ANN, 99.0), []),
    )


def test_the_server_ends_a_connection_with_a_code_and_a_reason() -> None:
    talk(
        connected(), (report("ended", 4001, "go away"), [Close(4001, "go away")]), (report("ended", 3503), [])
    )
    talk(fresh(), (CONNECT, [VERIFY]), (report("ended", 3503), [Close(3503)]), (welcome(), []))


def test_the_server_ends_and_adds_subscriptions() -> None:
    command = Subscribe(0, B)
    gone = [SendPush(SubscriptionEnded(A, 2000)), Leave(A, ROOM)]
    talk(
        connected(),
        (SUBSCRIBE, [JOIN]),
        (joined(), []),
        (of_channel("evicted", A, 2000), gone),
        (of_channel("added", command, Terms(B), moment()), [ours(B)]),
        (joined(B), []),
        (of_channel("added", command, Terms(B), moment()), []),
    )


# --- the end of a subscription


def test_a_subscription_that_expires_ends_and_the_connection_lives_on() -> None:
    connection = connected()
    command = Subscribe(2, "$room:1", token="t")  # noqa: S106 (no secret)
    renewable = replace(ROOM, is_renewable=True)
    ends = Terms("$room:1", expires_at=instant(1), is_refreshable=True)
    connection.receive([command])
    talk(
        connection,
        (of_channel("admitted", command, ends, moment()), [Join(command, renewable, ttl_s=1)]),
        (joined("$room:1"), []),
        (at(20.0), [Ping()]),
        (Pong(), []),
    )
    assert connection.due_s == 26.0
    gone = [SendPush(SubscriptionEnded("$room:1", 2501)), Leave("$room:1", renewable)]
    talk(connection, (at(26.0), gone), (at(40.0), [Ping()]))


# --- the end


def test_nothing_follows_the_end() -> None:
    connection = connected()
    talk(connection, (SUBSCRIBE, [JOIN]), (report("close"), []))
    reports = [joined(), not_joined(2, Code.UNAVAILABLE), welcome(), opened(), unwelcome(Code.UNAVAILABLE)]
    reports += [renewed(ANN), not_renewed(Code.CREDENTIAL_INVALID), prolonged(None), report("ended", 3001)]
    reports += [report("refused_by_backend", 1, ErrorReply(103), 0.0), of_channel("evicted", A, 2000)]
    reports += [of_channel("expire", 1e9), at(99.0), frame(PUBLISH, Pong())]
    talk(connection, *[(report, []) for report in reports])
    assert connection.is_closed


def test_nothing_is_due_of_a_connection_that_is_over() -> None:
    for connection in (fresh(), connected()):
        assert connection.due_s < inf
        connection.close()
        assert connection.due_s == inf
