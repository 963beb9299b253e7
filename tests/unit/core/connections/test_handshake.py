"""From a client's first command to the reply to its connect."""

from dataclasses import replace
from math import inf

import pytest

from core.auth.principal import Principal
from core.connections.effects import Authenticate, Close, Effect, Join, Open, Send
from core.connections.frames import (
    Command,
    Connect,
    ErrorReply,
    History,
    Message,
    Pong,
    Publish,
    Refresh,
    Since,
    Subscribe,
    Unserved,
    Unsubscribe,
)
from core.connections.handshake import Handshake
from core.connections.membership import Membership
from core.errors import Code, TidingsError
from core.streams.position import Position
from tests.helpers.connections import ANN, ROOM, A, B, error, members, moment

CONNECT, SUBSCRIBE, PUBLISH = Connect(1, "token"), Subscribe(2, A), Publish(4, A, b"1")
HELD_MAX = 4


def begun(*, gets_replies: bool = True) -> Handshake:
    return Handshake(15, HELD_MAX, gets_replies=gets_replies, now_s=0.0)


def connecting(*, gets_replies: bool = True) -> Handshake:
    handshake = begun(gets_replies=gets_replies)
    handshake.receive(CONNECT)
    return handshake


def test_a_connect_is_authenticated_and_what_follows_it_waits_in_order() -> None:
    handshake = begun()
    assert not handshake.is_under_way
    assert handshake.receive(CONNECT) == [Authenticate(CONNECT)]
    assert handshake.is_under_way
    assert [handshake.receive(SUBSCRIBE), handshake.receive(PUBLISH)] == [[], []]
    assert handshake.held == [SUBSCRIBE, PUBLISH]


def test_only_so_many_commands_wait() -> None:
    handshake = connecting()
    assert [handshake.receive(PUBLISH) for _ in range(HELD_MAX)] == [[]] * HELD_MAX
    assert handshake.receive(PUBLISH) == [Close(3501)]


@pytest.mark.parametrize(
    "command",
    [
        SUBSCRIBE, PUBLISH, Unsubscribe(3, A), History(5, A, 10), Refresh(1, "t"), Message(b"1"), Pong(),
        Unserved(1, "rpc"),
    ],
)  # fmt: skip
def test_the_first_command_must_be_a_connect(command: Command) -> None:
    assert begun().receive(command) == [Close(3501)]


def test_while_it_connects_a_client_neither_connects_again_nor_answers_a_ping() -> None:
    assert connecting().receive(Connect(2)) == [Close(3501)]
    assert connecting().receive(Pong()) == [Close(3501)]


def begin(
    principal: Principal = ANN, *, by_backend: bool = False, **wanted: Since
) -> tuple[Handshake, Membership, Effect]:
    """Begin the server-side subscriptions of this client, which wants some itself."""
    handshake, joined = connecting(), members(principal)
    command = Connect(1, subs={channel.replace("__", ":"): since for channel, since in wanted.items()})
    effect = handshake.begin(command, joined, at=moment(), data=b"3", by_backend=by_backend)
    return handshake, joined, effect


def ours(channel: str, since: Position | None = None) -> Join:
    return Join(Subscribe(0, channel, since), replace(ROOM, is_server_side=True))


def test_a_client_without_server_side_subscriptions_needs_nobody_else() -> None:
    handshake, joined, effect = begin()
    assert (effect, list(joined.subscriptions), handshake.is_under_way) == (Open(1, (), b"3"), [], True)


def test_server_side_subscriptions_begin_with_the_connect() -> None:
    _, joined, effect = begin(replace(ANN, channels=(A, B)))
    assert (effect, list(joined.subscriptions)) == (Open(1, (ours(A), ours(B)), b"3"), [A, B])


def test_positions_come_with_the_connect_and_ask_for_channels_unless_the_backend_let_it_in() -> None:
    wanted = {"room__a": Since(Position("e", 7)), "closed__a": Since()}
    assert begin(**wanted)[2] == Open(1, (ours(A, Position("e", 7)),), b"3")
    assert begin(by_backend=True, **wanted)[2] == Open(1, (), b"3")


@pytest.mark.parametrize(
    ("channels", "code"), [(("unknown:a",), 102), (("room:\n",), 107)], ids=["unknown", "bad"]
)
def test_server_side_subscriptions_that_cannot_be_keep_a_client_out(
    channels: tuple[str, ...], code: int
) -> None:
    handshake, _, effect = begin(replace(ANN, channels=channels))
    assert (effect, handshake.is_under_way, handshake.due_s) == (error(1, code), False, 15.0)


def test_a_client_that_asks_for_what_cannot_be_or_has_too_much_is_ended() -> None:
    assert begin(unknown__a=Since())[2] == Close(3501)
    assert begin(replace(ANN, channels=tuple("abcd")))[2] == Close(3505)
    assert begin(**dict.fromkeys("abcd", Since()))[2] == Close(3505)


@pytest.mark.parametrize(
    ("code", "close"),
    [
        (Code.CREDENTIAL_INVALID, 3500),
        (Code.UNAUTHENTICATED, 3501),
        (Code.ORGANIZATION_SUSPENDED, 3507),
    ],
)
def test_a_bad_credential_ends_the_connection(code: Code, close: int) -> None:
    assert connecting().refused(1, TidingsError(code), 0.0) == Close(close)


@pytest.mark.parametrize("again", [Connect(2), SUBSCRIBE, Pong()])
@pytest.mark.parametrize(
    ("code", "reply"),
    [
        (Code.CREDENTIAL_EXPIRED, 109),
        (Code.EXPIRED, 110),
        (Code.UNAVAILABLE, 100),
        (Code.CONCURRENCY_LIMITED, 111),
    ],
)
def test_after_an_error_that_may_pass_the_client_must_come_anew(
    code: Code, reply: int, again: Command
) -> None:
    handshake = connecting()
    handshake.receive(SUBSCRIBE)
    assert handshake.refused(1, TidingsError(code), 1.0) == error(1, reply)
    assert (handshake.is_under_way, handshake.due_s) == (False, 16.0)
    assert (handshake.tick(15.9), handshake.tick(16.0)) == ([], [Close(3502)])
    assert handshake.receive(again) == [Close(3501)]


def test_a_connect_may_fail_in_the_words_of_the_backend() -> None:
    no = ErrorReply(1000, "not today")
    handshake = connecting()
    assert handshake.failed(1, no, 1.0) == Send(1, no)
    assert (handshake.is_under_way, handshake.due_s) == (False, 16.0)


@pytest.mark.parametrize(
    ("code", "close"),
    [
        (Code.CREDENTIAL_EXPIRED, 3005), (Code.EXPIRED, 3005), (Code.CONCURRENCY_LIMITED, 3013),
        (Code.UNAVAILABLE, 3004), (Code.CREDENTIAL_INVALID, 3500), (Code.UNAUTHENTICATED, 3501),
    ],
)  # fmt: skip
def test_a_client_that_gets_no_replies_is_ended_where_others_get_an_error(code: Code, close: int) -> None:
    assert connecting(gets_replies=False).refused(1, TidingsError(code), 0.0) == Close(close)


@pytest.mark.parametrize(("code", "close"), [(103, 3507), (111, 3013), (1000, 3004)])
def test_a_refusal_of_the_backend_ends_a_client_that_gets_no_replies(code: int, close: int) -> None:
    assert connecting(gets_replies=False).failed(1, ErrorReply(code), 0.0) == Close(close)


def test_whoever_does_not_connect_in_time_is_stale() -> None:
    silent = begun()
    assert (silent.due_s, silent.tick(14.9), silent.tick(15.0)) == (15.0, [], [Close(3502)])


def test_a_client_is_not_stale_while_it_is_us_who_take_the_time() -> None:
    waiting = connecting()
    assert (waiting.due_s, waiting.tick(1e9)) == (inf, [])
