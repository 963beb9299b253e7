"""A client, as those files know it that do something for it while it waits."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from core.auth.principal import Principal
from core.connections.connection import Connection
from core.connections.effects import Effect
from core.connections.frames import Push, Reply
from core.connections.subscription import Grant
from core.streams.event import ClientInfo
from gateway.realtime.channel import Channel
from gateway.realtime.feed import Feed
from gateway.realtime.forms import Form
from gateway.realtime.lane import Wire
from gateway.realtime.opening import Opening
from gateway.realtime.parts import Replica


class Participant(Protocol):
    """What there is to know and to tell of one client."""

    replica: Replica
    connection: Connection
    opening: Opening
    feed: Feed | None
    told: set[str] | None
    counted: str
    seat: str
    due_slot: int

    @property
    def due_s(self) -> float: ...  # noqa: D102

    def tick(self) -> None: ...  # noqa: D102

    @property
    def client_id(self) -> str: ...  # noqa: D102

    @property
    def form(self) -> Form: ...  # noqa: D102

    @property
    def wire(self) -> Wire: ...  # noqa: D102

    @property
    def session(self) -> str: ...  # noqa: D102

    def run(self, effects: list[Effect]) -> None:
        """Do what the state machine wants."""
        ...

    def reply(self, id_: int, reply: Reply) -> None:
        """Answer one command."""
        ...

    def answered(self) -> None:
        """A command without answer is done."""
        ...

    def send_push(self, push: Push) -> None:
        """Send a push to this client alone."""
        ...

    def push(self, messages: list[bytes]) -> None:
        """Send messages that are encoded already."""
        ...

    def go_live(self, channel: Channel, grant: Grant, messages: list[bytes], *, has_last: bool) -> None:
        """Send the last of its own pushes, and from then on what all subscribers of the channel get."""
        ...

    def insufficient(self, feed: Feed, name: str) -> None:
        """A subscription can't go on without a hole."""
        ...

    def refuse_payload(self) -> None:
        """A payload that is not JSON can't be shown to it."""
        ...

    def end(self, code: int, reason: str = "") -> None:
        """End the connection."""
        ...

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Do something that must wait for others."""
        ...

    def turn(self) -> asyncio.Lock:
        """Return what pages take turns by."""
        ...

    async def drained(self) -> None:
        """Return when one more page may wait for the client."""
        ...

    def hold(self) -> None:
        """Read nothing more from it."""
        ...

    def release(self) -> None:
        """Read on."""
        ...


def principal_of(client: Participant) -> Principal:
    """Return who is connected; only for those who are."""
    asking = client.connection.asking
    assert asking is not None  # noqa: S101 (what is asked of a connected client alone)
    return asking.principal


def info_of(client: Participant, channel_info: bytes = b"") -> ClientInfo:
    """Return what others see of a connected client."""
    principal = principal_of(client)
    return ClientInfo(principal.id, client.client_id, principal.info, channel_info)
