"""A replica in memory whose clients are told of each other, and what each of them heard."""

from typing import Any

from core.channels.namespace import ChannelRules, Options
from gateway.realtime.client import Client
from gateway.realtime.forms import Form
from tests.helpers.memory_log import MemoryLog
from tests.helpers.recorder import Recorder
from tests.helpers.replica import MemoryReplica, say, settled, token_of, turns

LOUD = Options(
    presence=True,
    join_leave=True,
    force_push_join_leave=True,
    history="whole",
    allow_recovery=True,
    delta_publish=True,
    allowed_delta_types=("fossil",),
)
SHY = Options(presence=True, join_leave=True)
FLEETING = Options(ephemeral=True)
RULES = ChannelRules(namespaces={"loud": LOUD, "shy": SHY, "fleeting": FLEETING})


class Meeting:
    """A log and a replica over it, by `RULES`."""

    def __init__(self, **of: Any) -> None:
        self.log = MemoryLog()
        self.replica = MemoryReplica(self.log, **{"rules": RULES, **of})

    def form(self, name: str) -> Form:
        """Return a form by its name among `gateway.realtime.parts.Forms`."""
        form: Form = getattr(self.replica.parts.forms, name)
        return form

    async def connect(self, **asked: Any) -> tuple[Client, Recorder]:
        """Make one more client, and let it connect if it needs nothing for that."""
        client, socket = self.replica.connect(**asked)
        await turns(5)
        return client, socket

    async def listener(self, channel: str = "loud:a") -> tuple[Client, Recorder]:
        """Give somebody who is in a channel already."""
        return await self.subscribed(channel, token=token_of("listener"))

    async def subscribed(self, *channels: str, **asked: Any) -> tuple[Client, Recorder]:
        """Give a client that is subscribed to channels."""
        client, socket = await self.connect(**asked)
        say(client, *({"subscribe": {"channel": channel}} for channel in channels))
        await self.settle()
        return client, socket

    async def ask(self, client: Client, socket: Recorder, **command: Any) -> dict[str, Any]:
        """Return the reply to a command."""
        (number,) = say(client, command)
        await self.settle()
        return socket.reply(number)

    async def settle(self) -> None:
        """Let everything come that is due."""
        await settled(self.log, self.replica)

    async def close(self) -> None:
        """End what is still under way."""
        await self.replica.tasks.close()

    def present(self, client: Client) -> list[str]:
        """Return the channels in which a client is shown to be."""
        found = self.replica.roster.present
        return sorted(channel for channel, client_id in found if client_id == client.client_id)


def kinds(socket: Recorder, since: int = 0) -> list[str]:
    """Return what was sent, in order, by its kind."""
    found = []
    for line in socket.lines[since:]:
        of = line.get("push") or line
        found += [kind for kind in of if kind not in ("id", "channel")]
    return found


def clients_of(socket: Recorder, kind: str) -> list[str]:
    """Return who joined or left, as a client heard it."""
    return [push[kind]["info"]["client"] for push in socket.pushes(kind)]
