"""Who in this process listens to which organization."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from adapters.links.liveness import Liveness
from core.ids import encode
from core.ports import LiveListener
from core.streams.event import EphemeralPublication, Head, LiveBatch

T = TypeVar("T")


class _Listening:
    """One listener; it hears nothing before its first head."""

    __slots__ = ("has_head", "listener")

    def __init__(self, listener: LiveListener) -> None:
        self.listener = listener
        self.has_head = False


class Watched:
    """One organization that this process watches, and its listeners."""

    def __init__(self, organization_id: bytes, liveness: Liveness) -> None:
        self.liveness = liveness
        self._listeners: dict[int, _Listening] = {}
        self._head: Head | None = None
        self._log = structlog.get_logger().bind(organization_id=encode("org", organization_id))

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def join(self, listener: LiveListener) -> bool:
        """Add a listener; return whether it is new."""
        if id(listener) in self._listeners:
            return False
        self._listeners[id(listener)] = _Listening(listener)
        return True

    def leave(self, listener: LiveListener) -> None:
        """Remove a listener; nothing happens when it is not there."""
        self._listeners.pop(id(listener), None)

    def greet(self) -> None:
        """Give the head to those who joined late, if it is known and what follows it will come."""
        if self._head is not None:
            for listening in self._fresh():
                self._tell_head(listening, self._head)

    def interrupted(self) -> None:
        """The link was lost: what follows the last head may be missed, so it greets nobody any more."""
        self._head = None

    def on_head(self, head: Head) -> None:
        """Tell every listener."""
        self.liveness.heard()
        self._head = head
        for listening in list(self._listeners.values()):
            self._tell_head(listening, head)

    def on_live(self, batch: LiveBatch) -> None:
        """Tell every listener who has a head."""
        self.liveness.heard()
        if batch.events and self._head is not None:
            self._head = Head(batch.organization_id, batch.epoch, batch.events[-1].seq)
        for listening in self._ready():
            self._tell(listening, listening.listener.on_live, batch)

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        """Tell every listener who has a head."""
        for listening in self._ready():
            self._tell(listening, listening.listener.on_ephemeral, publication)

    def _tell_head(self, listening: _Listening, head: Head) -> None:
        listening.has_head = True
        self._tell(listening, listening.listener.on_head, head)

    def _tell(self, listening: _Listening, listener: Callable[[T], None], what: T) -> None:
        if self._listeners.get(id(listening.listener)) is not listening:
            return  # one that was told before has taken it away
        try:
            listener(what)
        except Exception:  # noqa: BLE001 (logged whole: one gateway's bug must not end the link that all share)
            self._log.exception("listener.failed")

    def _ready(self) -> list[_Listening]:
        return [listening for listening in self._listeners.values() if listening.has_head]

    def _fresh(self) -> list[_Listening]:
        return [listening for listening in self._listeners.values() if not listening.has_head]
