"""What a link server hands on: the methods of an organization's single writer."""

from collections.abc import Awaitable
from typing import Protocol

from core.ports import LiveListener
from core.streams.command import Command
from core.streams.event import Head
from core.streams.outcome import Outcome


class Handler(Protocol):
    """Satisfied by the plain owner actor. Runs on the loop of the server."""

    def submit(self, command: Command, source: object | None = None) -> Awaitable[Outcome]:
        """Run one command; `source` is the link that it came by."""
        ...

    def forget(self, source: object) -> None:
        """Drop what `source` submitted and no append has begun with: it will never take effect."""
        ...

    def watch(self, organization_id: bytes, listener: LiveListener) -> None:
        """Call `listener.on_head`, then deliver what is committed after it, and a head each second."""
        ...

    def unwatch(self, organization_id: bytes, listener: LiveListener) -> None:
        """Stop delivering."""
        ...

    async def head(self, organization_id: bytes) -> Head:
        """Return a head that covers everything acknowledged before this call.

        Raises:
            TidingsError: `partition_moving`, another owner knows it; `unavailable`.
        """
        ...

    async def find(self, organization_id: bytes, event_id: bytes) -> Outcome | None:
        """Return what became of a command; None only when it surely never takes effect (rule R13).

        Raises:
            TidingsError: `partition_moving`, another owner knows it; `unavailable`.
        """
        ...

    async def suspect(self, partition_id: int, epoch: int) -> None:
        """Take a partition over whose owner under `epoch` refuses connections."""
        ...
