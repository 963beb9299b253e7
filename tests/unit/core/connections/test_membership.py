"""The channels of one connection, told as conversations: nothing is overtaken, and everything ends."""

from dataclasses import replace

from core.auth.tokens import SubClaims
from core.connections.admission import ServerSide, Terms
from core.connections.effects import Admit, Close, Join, Leave, Read, Renew, See, Send, Write
from core.connections.frames import (
    History,
    Presence,
    PresenceStats,
    Publish,
    SubRefresh,
    SubRefreshed,
    Subscribe,
    Unsubscribe,
    Unsubscribed,
)
from core.connections.membership import Membership
from core.connections.subscription import Grant
from core.errors import Code
from core.streams.position import Position
from tests.helpers.connections import (
    ANN,
    ASKING,
    CHATTING,
    LIMITS,
    RENEW,
    RENEWABLE,
    ROOM,
    SECRET,
    TOKEN,
    A,
    B,
    Said,
    added,
    admitted,
    asking,
    demanding,
    ended,
    error,
    evicted,
    instant,
    joined,
    lasting,
    left,
    members,
    moment,
    not_admitted,
    not_joined,
    not_renewed,
    of_channel,
    renewed,
    ruled,
    talk,
    tokened,
    wrote,
)

SUBSCRIBE, UNSUBSCRIBE = Subscribe(2, A), Unsubscribe(3, A)
PUBLISH, HISTORY = Publish(4, A, b"1"), History(5, A, 10)
JOIN, LEAVE, LEFT = Join(SUBSCRIBE, ROOM), Leave(A, ROOM), Send(3, Unsubscribed())
WRITE, READ = Write(PUBLISH), Read(HISTORY)
ADMIT = Admit(TOKEN, ask_backend=False)
LISTED = Leave("chat:a", CHATTING)


def at(now_s: float) -> Said:
    return of_channel("expire", now_s)


def subscribed(*channels: str) -> Membership:
    """Return who is subscribed to these channels, by its own wish."""
    machine = members()
    for channel in channels:
        machine.receive(Subscribe(1, channel))
        machine.finished(channel)
    return machine


def expiring(ends_s: float = 60) -> Membership:
    """Return who is subscribed by a token that ends."""
    machine = members()
    machine.receive(TOKEN)
    machine.admitted(TOKEN, lasting(ends_s), moment())
    machine.finished(SECRET)
    return machine


# --- subscribe, and what waits for it


def test_a_client_subscribes_from_where_it_was_and_leaves() -> None:
    machine = members()
    recovering = Subscribe(2, A, Position("e", 7), reject_unrecoverable=True)
    talk(
        machine,
        (recovering, [Join(recovering, ROOM)]),
        (joined(), []),
        (Subscribe(6, A), [error(6, 105)]),
        (UNSUBSCRIBE, [LEAVE, LEFT]),
        (UNSUBSCRIBE, [LEFT]),
        (SUBSCRIBE, [JOIN]),
    )
    assert list(machine.subscriptions) == [A]


def test_what_names_a_channel_waits_for_its_subscribe_and_nothing_else_does() -> None:
    talk(
        members(),
        (SUBSCRIBE, [JOIN]),
        (PUBLISH, []),
        (HISTORY, []),
        (Publish(6, B, b"2"), [Write(Publish(6, B, b"2"))]),
        (joined(), [WRITE]),
        (wrote(), [READ]),
        (joined(), []),
        (PUBLISH, [WRITE]),
    )


def test_what_is_read_shows_nothing_of_what_comes_later() -> None:
    """A history told of a publish that was sent behind it, since nothing waited for its answer."""
    count = PresenceStats(6, "chat:a")
    publish, leave = Publish(7, "chat:a", b"1"), Unsubscribe(8, "chat:a")
    gone = Leave("chat:a", CHATTING, 8)
    talk(members(), (HISTORY, [READ]), (PUBLISH, []), (joined(), [WRITE]))
    talk(
        subscribed("chat:a"),
        (count, [See(count)]),
        *[(waiting, []) for waiting in (leave, publish)],
        (joined("chat:a"), [gone]),
        (left("chat:a", 8), [Send(8, Unsubscribed()), error(7, 103)]),
    )


def test_what_is_no_publish_waits_for_the_publishes_before_it() -> None:
    second, third = Publish(6, A, b"2"), Publish(7, A, b"3")
    for later, effects in (
        (HISTORY, [READ]),
        (UNSUBSCRIBE, [LEFT, Write(third)]),
        (SUBSCRIBE, [JOIN]),
    ):
        talk(
            members(),
            (PUBLISH, [WRITE]),
            (second, [Write(second)]),
            (later, []),
            (third, []),
            (wrote(), []),
            (wrote(), effects),
            (wrote(), []) if later is UNSUBSCRIBE else (joined(), [Write(third)]),
        )


def test_a_subscribe_that_waited_makes_the_rest_wait_anew() -> None:
    again, last = Subscribe(6, A), Unsubscribe(7, A)
    machine = members()
    talk(
        machine,
        (SUBSCRIBE, [JOIN]),
        *[(waiting, []) for waiting in (UNSUBSCRIBE, again, PUBLISH, last)],
        (joined(), [LEAVE, LEFT, Join(again, ROOM)]),
        (joined(), [WRITE]),
        (wrote(), [LEAVE, Send(7, Unsubscribed())]),
    )
    assert list(machine.subscriptions) == []


def test_ten_pairs_of_subscribe_and_unsubscribe_are_each_answered_in_turn() -> None:
    """One wrong 105 would end the subscription of a JavaScript client for good."""
    machine = members()
    for number in range(2, 22, 2):
        subscribe, unsubscribe = Subscribe(number, A), Unsubscribe(number + 1, A)
        talk(
            machine,
            (subscribe, [Join(subscribe, ROOM)]),
            (unsubscribe, []),
            (joined(), [LEAVE, Send(number + 1, Unsubscribed())]),
        )


def test_a_subscribe_that_failed_lets_the_next_try() -> None:
    again = Subscribe(6, A)
    machine = members()
    talk(
        machine,
        (SUBSCRIBE, [JOIN]),
        (again, []),
        (not_joined(2, Code.UNRECOVERABLE_POSITION), [error(2, 112), Join(again, ROOM)]),
        (not_joined(6, Code.UNAVAILABLE), [error(6, 100)]),
    )
    assert list(machine.subscriptions) == []


def test_a_repeat_that_waited_is_told_that_it_is_subscribed_already() -> None:
    talk(members(), (SUBSCRIBE, [JOIN]), (Subscribe(6, A), []), (joined(), [error(6, 105)]))


def test_only_so_many_commands_wait_for_a_channel() -> None:
    waiting = [(Publish(number, A, b"1"), []) for number in range(LIMITS.pending_commands_max)]
    talk(members(), (SUBSCRIBE, [JOIN]), *waiting, (PUBLISH, [Close(3501)]))


def test_nothing_that_waited_follows_the_end_of_the_connection() -> None:
    renewal, reading = SubRefresh(7, A, "t"), History(8, SECRET)
    talk(subscribed(A), (PUBLISH, [WRITE]), (renewal, []), (HISTORY, []), (wrote(), [Close(3501)]))
    talk(members(), (TOKEN, [ADMIT]), (reading, []), (admitted(None), [Close(3500)]))
    for verdict, close in ((renewed(None), 3500), (not_renewed(Code.CREDENTIAL_EXPIRED), 3006)):
        talk(expiring(), (RENEW, [Renew(RENEW)]), (reading, []), (verdict, [Close(close)]))


def test_what_is_refused_at_once_holds_nothing_up() -> None:
    refusals = [(Subscribe(6, A), [error(6, 105)]), (SubRefresh(7, A, ""), [error(7, 107)])]
    talk(subscribed(A), *refusals, (UNSUBSCRIBE, [LEAVE, LEFT]), (HISTORY, [READ]))


def test_an_organization_may_allow_fewer_channels_and_never_more() -> None:
    for of_organization, allowed in ((1, 1), (9, 3), (0, 3)):
        machine = members(organization=demanding(channels_max=of_organization))
        for number in range(allowed):
            command = Subscribe(2, f"plain-{number}")
            talk(machine, (command, [Join(command, ROOM)]))
        talk(machine, (Subscribe(6, "one-more"), [error(6, 106)]))


# --- subscription tokens


def test_while_a_token_is_verified_the_channel_is_taken_and_what_names_it_waits() -> None:
    machine, again, reading = members(), tokened(6, SECRET), History(7, SECRET)
    talk(
        machine,
        (Subscribe(1, A), [Join(Subscribe(1, A), ROOM)]),
        (TOKEN, [ADMIT]),
        (again, []),
        (reading, []),
        (Subscribe(8, B), [Join(Subscribe(8, B), ROOM)]),
        (Subscribe(9, "room:c"), [error(9, 106)]),
        (admitted(Terms(SECRET)), [Join(TOKEN, ROOM)]),
        (joined(SECRET), [error(6, 105), Read(reading)]),
    )


def test_a_refused_token_gives_the_place_back_and_lets_the_next_try() -> None:
    machine, again = members(), tokened(6, SECRET, "better")
    talk(
        machine,
        (TOKEN, [ADMIT]),
        (again, []),
        (not_admitted(109), [error(2, 109), Admit(again, ask_backend=False)]),
        (not_admitted(103, again), [error(6, 103)]),
    )
    assert list(machine.subscriptions) == []


def test_a_namespace_that_went_away_meanwhile_is_unknown_to_those_who_wait_too() -> None:
    command, waiting = tokened(2, "closed:a"), Subscribe(6, "closed:a")
    machine = members()
    talk(machine, (command, [Admit(command, ask_backend=False)]), (waiting, []))
    machine.asking = replace(machine.asking, organization=ruled(namespaces={}))
    talk(machine, (admitted(Terms("closed:a"), command), [error(2, 102), error(6, 102)]))


# --- the backend decides


def test_where_the_backend_is_asked_it_decides() -> None:
    command, grant, limited = Subscribe(2, "asking:a"), Grant(ASKING), lasting(60, refreshable=False)
    asked = (command, [Admit(command, ask_backend=True)])
    talk(
        members(),
        asked,
        (admitted(limited, command), [Join(command, grant)]),
        (joined("asking:a"), []),
        (at(85.0), [ended("asking:a", 2501), Leave("asking:a", grant)]),
    )
    talk(members(), asked, (not_admitted(404, command), [error(2, 404)]))


def test_publishes_that_the_backend_sees_go_one_after_the_other() -> None:
    first, second = (Publish(number, "asking:a", b"1") for number in (1, 2))
    reading = Presence(4, "asking:a")
    talk(
        members(),
        (first, [Write(first, ask_backend=True)]),
        (reading, []),
        (second, []),
        (wrote("asking:a"), [error(4, 108), Write(second, ask_backend=True)]),
        (wrote("asking:a"), []),
    )


# --- presence and history


def test_a_subscriber_publishes_and_sees_who_is_there_whoever_subscribed_it() -> None:
    publish, question, count = Publish(4, "chat:a", b"1"), Presence(5, "chat:a"), PresenceStats(6, "chat:a")
    by_server = members()
    by_server.begin([ServerSide(Subscribe(0, "chat:a"), replace(CHATTING, is_server_side=True))], moment())
    for machine in (subscribed("chat:a"), by_server):
        talk(
            machine,
            (question, [See(question)]),
            (joined("chat:a"), []),
            (publish, [Write(publish)]),
            (count, []),
            (wrote("chat:a"), [See(count)]),
        )
    talk(members(), (question, [error(5, 103)]), (publish, [error(4, 103)]))


def test_a_binary_client_may_publish_what_is_no_json() -> None:
    publish = Publish(4, "open:a", b"\xff")
    talk(members(is_json=False), (publish, [Write(publish, is_opaque=True)]))


def test_whoever_was_listed_has_left_before_the_reply() -> None:
    machine, leave, again = subscribed("chat:a"), Unsubscribe(3, "chat:a"), Subscribe(4, "chat:a")
    talk(
        machine,
        (leave, [Leave("chat:a", CHATTING, 3)]),
        (again, []),
        (Unsubscribe(5, "chat:a"), []),
        (left("chat:a"), [LEFT, Join(again, CHATTING)]),
        (joined("chat:a"), [Leave("chat:a", CHATTING, 5)]),
        (left("chat:a", 5), [Send(5, Unsubscribed())]),
    )


# --- sub_refresh


def test_what_names_the_channel_waits_for_the_renewal() -> None:
    reading, leave = History(8, SECRET), Unsubscribe(9, SECRET)
    talk(
        expiring(),
        (RENEW, [Renew(RENEW)]),
        (reading, []),
        (leave, []),
        (renewed(lasting(120)), [Send(7, SubRefreshed(120)), Read(reading)]),
        (joined(SECRET), [Leave(SECRET, RENEWABLE), Send(9, Unsubscribed())]),
    )


def test_for_a_renewal_without_channel_nothing_waits() -> None:
    nameless, reading = SubRefresh(7, "", "new"), History(8, SECRET)
    talk(
        expiring(),
        (nameless, [Renew(nameless)]),
        (reading, [Read(reading)]),
        (nameless, [Renew(nameless)]),
        (Unsubscribe(9, SECRET), []),
        (renewed(lasting(120), nameless), [Send(7, SubRefreshed(120))]),
        (not_renewed(Code.UNAVAILABLE, nameless), [error(7, 100)]),
        (joined(SECRET), [Leave(SECRET, RENEWABLE), Send(9, Unsubscribed())]),
    )


def test_a_renewal_that_failed_by_our_fault_may_be_tried_again() -> None:
    again = SubRefresh(8, SECRET, "new")
    talk(
        expiring(),
        (RENEW, [Renew(RENEW)]),
        (again, []),
        (not_renewed(Code.UNAVAILABLE), [error(7, 100), Renew(again)]),
    )


def test_a_renewal_of_what_the_shell_ended_meanwhile_is_refused() -> None:
    machine = expiring()
    talk(machine, (RENEW, [Renew(RENEW)]))
    machine.subscriptions.drop(SECRET)
    talk(machine, (History(8, SECRET), []), (renewed(lasting(120)), [error(7, 103), error(8, 103)]))


# --- the end of a subscription by its token


def test_a_renewal_under_way_saves_a_subscription_whose_grace_is_over() -> None:
    machine = expiring(60)
    talk(
        machine,
        (RENEW, [Renew(RENEW)]),
        (at(85.0), []),
        (at(86.0), []),
        (renewed(lasting(120), at_s=87.0), [Send(7, SubRefreshed(33))]),
    )
    assert (list(machine.subscriptions), machine.subscriptions.due_s) == ([SECRET], 145.0)


def test_a_renewal_that_fails_does_not_save_it() -> None:
    talk(
        expiring(60),
        (RENEW, [Renew(RENEW)]),
        (at(85.0), []),
        (not_renewed(Code.UNAVAILABLE), [error(7, 100), ended(SECRET, 2501), Leave(SECRET, RENEWABLE)]),
    )


# --- server-side subscriptions


def test_a_new_token_has_the_server_side_subscriptions_that_are_live() -> None:
    machine = subscribed(A)
    machine.asking = asking(replace(ANN, channels=(A, B)))
    assert machine.are_of(replace(ANN, subs={A: SubClaims()}))
    assert not machine.are_of(replace(ANN, channels=(A, B)))
    assert not machine.are_of(ANN)


def test_a_client_may_leave_what_it_did_not_ask_for() -> None:
    machine, grant = members(), replace(ROOM, is_server_side=True)
    machine.begin([ServerSide(Subscribe(0, A), grant)], moment())
    talk(machine, (UNSUBSCRIBE, [Leave(A, grant), LEFT]))


def test_the_server_adds_a_subscription_once() -> None:
    command, grant = Subscribe(0, A, Position("e", 7)), replace(ROOM, is_server_side=True, info=b"1")
    machine = members()
    talk(
        machine,
        (added(command, Terms(A, b"1", b"2", expires_at=instant(60))), [Join(command, grant, b"2")]),
        (added(command), []),
        (Subscribe(3, A), []),
        (joined(), [error(3, 105)]),
        (added(command), []),
        (at(85.0), [Close(3006)]),
    )


def test_an_addition_that_could_not_be_read_says_nothing() -> None:
    machine, command = members(), Subscribe(0, A)
    talk(machine, (added(command), [Join(command, replace(ROOM, is_server_side=True))]))
    talk(machine, (not_joined(0, Code.UNAVAILABLE), []), (SUBSCRIBE, [JOIN]))


def test_an_addition_takes_its_turn_behind_what_is_under_way() -> None:
    command = Subscribe(0, "chat:a")
    talk(
        subscribed("chat:a"),
        (Unsubscribe(3, "chat:a"), [Leave("chat:a", CHATTING, 3)]),
        (added(command), []),
        (left("chat:a"), [LEFT, Join(command, replace(CHATTING, is_server_side=True))]),
    )


# --- evictions


def test_the_server_ends_one_subscription_or_all_and_the_client_is_told() -> None:
    machine = subscribed(A, "chat:a")
    talk(
        machine,
        (evicted("chat:a"), [ended("chat:a"), LISTED]),
        (evicted("chat:a"), []),
        (evicted("nowhere"), []),
        (evicted("", 2500), [ended(A, 2500), LEAVE]),
        (UNSUBSCRIBE, [LEFT]),
    )


def test_an_eviction_takes_its_turn_and_spares_nobody() -> None:
    talk(
        members(),
        (TOKEN, [ADMIT]),
        (evicted(SECRET), []),
        (History(5, SECRET), []),
        (admitted(Terms(SECRET)), [Join(TOKEN, ROOM)]),
        (joined(SECRET), [ended(SECRET), Leave(SECRET, ROOM), error(5, 103)]),
    )
    talk(members(), (TOKEN, [ADMIT]), (evicted(SECRET), []), (not_admitted(103), [error(2, 103)]))


def test_a_publish_that_is_written_is_answered_before_the_eviction() -> None:
    talk(subscribed(A), (PUBLISH, [WRITE]), (evicted(A), []), (wrote(), [ended(A), LEAVE]))


def test_orders_for_a_line_that_is_full_send_the_client_back_to_begin_anew() -> None:
    """Terminal is only what a client does itself, and nothing follows the end."""
    waiting = [(Publish(number, A, b"1"), []) for number in range(LIMITS.pending_commands_max)]
    for order in (evicted(A), evicted(""), added(Subscribe(0, A))):
        machine, elsewhere = members(), Subscribe(6, B)
        talk(machine, (SUBSCRIBE, [JOIN]), (elsewhere, [Join(elsewhere, ROOM)]), (joined(B), []))
        talk(machine, *waiting, (order, [Close(3013)]))
