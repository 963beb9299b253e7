"""What every client of a replica shares."""

import asyncio
from collections.abc import Set as AbstractSet
from typing import Protocol

from adapters.postgres.channels import ChannelReader
from adapters.telemetry.tasks import Tasks
from core.connections.connection import Limits
from core.ports import Clock, Entropy, StreamWriter
from gateway.auth import Authenticator
from gateway.realtime.hub import Hub
from gateway.realtime.subscribing import Reader
from gateway.realtime.wheel import Wheel
from settings import Realtime


class Flushable(Protocol):
    """Somebody who gathers what belongs together during a loop tick."""

    def flush(self) -> None:
        """Send it."""
        ...


class Replica:
    """The shared parts of one replica, and the flush at the end of each loop tick."""

    def __init__(
        self,
        *,
        settings: Realtime,
        deadline_ms: int,
        version: str,
        namespaces: AbstractSet[str],
        writer: StreamWriter,
        authenticator: Authenticator,
        hub: Hub,
        reader: Reader,
        channels: ChannelReader,
        wheel: Wheel,
        clock: Clock,
        entropy: Entropy,
        tasks: Tasks,
    ) -> None:
        self.settings = settings
        self.deadline_ms = deadline_ms
        self.version = version
        self.namespaces = namespaces
        self.writer = writer
        self.authenticator = authenticator
        self.hub = hub
        self.reader = reader
        self.channels = channels
        self.wheel = wheel
        self.clock = clock
        self.entropy = entropy
        self.tasks = tasks
        self.limits = Limits(
            settings.ping_s,
            settings.pong_s,
            settings.connect_s,
            settings.expiry_grace_s,
            settings.channels_max,
            # One frame more than that is there before the socket is read no further.
            settings.pending_commands_max + settings.frame_commands_max,
        )
        self._dirty: list[Flushable] = []

    def new_client_id(self) -> str:
        """Return a new UUID in its usual form."""
        digits = self.entropy.id().hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def flush_soon(self, gatherer: Flushable) -> None:
        """Flush at the end of this loop tick."""
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty.append(gatherer)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for gatherer in dirty:
            gatherer.flush()
