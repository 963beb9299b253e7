"""The links that watch one organization: each batch is encoded once, and the same bytes go to all."""

from typing import Protocol

import msgspec
import structlog

from adapters.links.frames import ENCODER, Announced, Ephemeral, FromOwner, Live
from adapters.links.outbox import MessageTooLongError
from core.ids import encode
from core.streams.event import EphemeralPublication, Head, LiveBatch


class Watcher(Protocol):
    """One link, as an audience sees it."""

    def push(self, encoded: bytes) -> None:
        """Send one encoded message in this tick's frame.

        Raises:
            MessageTooLongError: it can never be sent.
        """
        ...


class Audience:
    """The one listener that a server has towards its handler for an organization."""

    def __init__(self, organization_id: bytes) -> None:
        self.organization_id = organization_id
        self._watchers: dict[Watcher, None] = {}
        self._head: Head | None = None
        self._log = structlog.get_logger()

    def __bool__(self) -> bool:
        return bool(self._watchers)

    def join(self, watcher: Watcher) -> None:
        """Add a link. It hears the head first: at once when there is one, else when the handler tells it."""
        self._watchers[watcher] = None
        if self._head is not None:
            watcher.push(ENCODER.encode(Announced(self._head)))

    def leave(self, watcher: Watcher) -> None:
        """Remove a link; nothing happens when it is not there."""
        self._watchers.pop(watcher, None)

    def on_live(self, batch: LiveBatch) -> None:
        """Send a batch to every link.

        One that no frame can hold leaves in halves; a single event that long is only announced, and its
        readers find it in the log.
        """
        if not batch.events:
            return
        head = Head(batch.organization_id, batch.epoch, batch.events[-1].seq)
        try:
            self._push(Live(batch))
            self._head = head
        except MessageTooLongError:
            if len(batch.events) == 1:
                organization_id = encode("org", batch.organization_id)
                self._log.warning("event.announced_only", organization_id=organization_id, seq=head.seq)
                self.on_head(head)
                return
            middle = len(batch.events) // 2
            self.on_live(msgspec.structs.replace(batch, events=batch.events[:middle]))
            self.on_live(msgspec.structs.replace(batch, events=batch.events[middle:]))

    def on_head(self, head: Head) -> None:
        """Send the announced head to every link."""
        self._head = head
        self._push(Announced(head))

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        """Send a publication that is not in the log to every link."""
        self._push(Ephemeral(publication))

    def _push(self, message: FromOwner) -> None:
        encoded = ENCODER.encode(message)
        for watcher in self._watchers:
            watcher.push(encoded)
