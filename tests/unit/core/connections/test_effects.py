"""Effects are values: a closed union that the shell runs in order."""

from typing import Any, get_args

import pytest

from core.channels.namespace import OWN
from core.connections.effects import (
    Admit,
    AskToStay,
    Authenticate,
    Call,
    Close,
    Effect,
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
    Connect,
    History,
    Message,
    Presence,
    Publish,
    Rpc,
    ServerMessage,
    SubRefresh,
    Subscribe,
    Unsubscribed,
)
from core.connections.subscription import Grant

JOIN = Join(Subscribe(1, "a"), Grant(OWN))
EFFECTS = [
    Authenticate(Connect(1)),
    Reauthenticate(1, "token"),
    AskToStay(),
    Open(1, (JOIN,)),
    Admit(Subscribe(1, "a"), ask_backend=True),
    JOIN,
    Leave("a", Grant(OWN)),
    Renew(SubRefresh(1, "a", "token")),
    Write(Publish(1, "a", b"1")),
    Read(History(1, "a")),
    See(Presence(1, "a")),
    Call(Rpc(1, "sum")),
    Tell(Message(b"1")),
    Send(1, Unsubscribed()),
    SendPush(ServerMessage(b"1")),
    Ping(),
    Close(3501),
]


def test_effects_are_a_closed_union() -> None:
    assert [type(effect) for effect in EFFECTS] == list(get_args(Effect))


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: type(effect).__name__)
def test_an_effect_cannot_be_changed_and_has_no_room_for_more(effect: Any) -> None:
    assert not hasattr(effect, "__dict__")
    for name in type(effect).__slots__:
        with pytest.raises(AttributeError):
            setattr(effect, name, None)


def test_what_an_effect_leaves_out_is_not_wanted() -> None:
    write = Write(Publish(1, "a", b"1"))
    assert (write.ask_backend, write.is_ephemeral, write.is_opaque) == (False, False, False)
    assert (JOIN.data, JOIN.ttl_s) == (b"", None)
    assert Leave("a", Grant(OWN)).id == 0
    assert Close(3501).reason == ""
