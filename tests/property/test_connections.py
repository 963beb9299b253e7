"""Whatever a client says in whatever order: its commands keep their order, its limits hold, it ends once."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.connections.connection import Authenticate, Close, Effect, Join, Read, Reauthenticate, Send, Write
from core.connections.frames import Connect, History, Pong, Publish, Refresh, Subscribe, Unserved, Unsubscribe
from core.errors import Code
from tests.unit.core.connections.test_connection import (
    LIMITS,
    NOW_S,
    A,
    B,
    connected,
    joined,
    not_joined,
    until,
)

INPUTS = st.one_of(
    st.sampled_from([A, B, "room:c", "room:d", "$room:1"]).flatmap(
        lambda channel: st.sampled_from(
            [Subscribe(0, channel), Unsubscribe(0, channel), Publish(0, channel, b"1"), History(0, channel)]
        )
    ),
    st.sampled_from([Pong(), Refresh(0, "t"), Unserved(0, "rpc"), Connect(0)]),
    st.sampled_from([joined, lambda channel: not_joined(0, Code.UNAVAILABLE, channel)]),
    st.floats(0.1, 9),
)


def numbered(commands: list[Any]) -> list[Any]:
    """Give each command that has an id one of its own."""
    return [replace(said, id=n) if hasattr(said, "id") else said for n, said in enumerate(commands, 1)]


def id_of(effect: Effect) -> int | None:
    """Return the command to which an effect is the first and only answer of the machine."""
    match effect:
        case Join(command) | Write(command) | Read(command):
            return command.id
        case Send(id_) | Authenticate(id_) | Reauthenticate(id_):
            return id_
        case _:
            return None


@given(
    st.lists(
        st.sampled_from([Subscribe(0, A), Unsubscribe(0, A), Publish(0, A, b"1"), History(0, A), None]),
        max_size=30,
    )
)
def test_commands_of_one_channel_take_effect_in_the_order_received(commands: list[Any]) -> None:
    connection = connected()
    effects: list[Effect] = []
    answered = 0

    def answer() -> bool:
        """Report what became of the oldest effect that is not settled; False when there is none."""
        nonlocal answered
        begun = [effect for effect in effects if isinstance(effect, Join | Write)]
        if answered == len(begun) or connection.is_closed:
            return False
        settle = connection.finished if isinstance(begun[answered], Join) else connection.written
        answered += 1
        new = settle(A)
        for effect in new:  # whatever takes effect now had to wait for all publishes before it
            assert isinstance(effect, Write) or all(isinstance(b, Join) for b in begun[answered:])
            if isinstance(effect, Write):
                break
        effects.extend(new)
        return True

    for said in numbered(commands):
        if said is None:
            answer()
        else:
            effects += connection.receive([said])
    while answer():
        pass
    served = [number for effect in effects if (number := id_of(effect)) is not None]
    sent = [number for number, said in enumerate(commands, 1) if said is not None]
    assert served == (sent[: len(served)] if connection.is_closed else sent)


@given(st.lists(INPUTS, max_size=40))
def test_whatever_happens_the_machine_stays_within_its_limits_and_ends_once(inputs: list[Any]) -> None:
    connection, now_s, joining = connected(until(NOW_S + 30)), 0.0, list[str]()
    effects: list[Effect] = []
    for said in numbered(inputs):
        if isinstance(said, float):
            now_s += said
            new = connection.tick(now_s)
        elif callable(said):
            new = said(joining.pop(0))(connection) if joining else []
        else:
            new = connection.receive([said])
        joining += [effect.command.channel for effect in new if isinstance(effect, Join)]
        effects += new
        assert len(joining) == len(set(joining))
        assert len(connection.subscriptions) <= LIMITS.channels_max
        assert connection.is_closed or set(joining) <= connection.subscriptions
        assert connection.is_closed or connection.due_s > now_s - 9
    ends = [number for number, effect in enumerate(effects) if isinstance(effect, Close)]
    assert ends == ([len(effects) - 1] if connection.is_closed else [])
