"""Who listens to which organization's committed events."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import structlog

from core.ports import LiveListener
from core.streams.event import EphemeralPublication, Head, LiveBatch

T = TypeVar("T")


class Watchers:
    """Hands every acknowledged batch to its organization's listeners, in the order of their coming."""

    def __init__(self) -> None:
        self._listeners: dict[bytes, dict[LiveListener, None]] = {}
        self._log = structlog.get_logger()

    @property
    def organizations(self) -> set[bytes]:
        """The organizations that somebody listens to."""
        return set(self._listeners)

    def add(self, organization_id: bytes, listener: LiveListener) -> None:
        """Deliver to `listener` from now on; twice is once."""
        self._listeners.setdefault(organization_id, {})[listener] = None

    def has(self, organization_id: bytes, listener: LiveListener) -> bool:
        """Say whether `listener` still listens."""
        return listener in self._listeners.get(organization_id, {})

    def remove(self, organization_id: bytes, listener: LiveListener) -> None:
        """Deliver to `listener` no more."""
        listeners = self._listeners.get(organization_id)
        if listeners is not None:
            listeners.pop(listener, None)
            if not listeners:
                del self._listeners[organization_id]

    def on_live(self, batch: LiveBatch) -> None:
        """Deliver one organization's share of a commit."""
        for listener in self._present(batch.organization_id):
            self._tell(listener.on_live, batch)

    def on_head(self, head: Head) -> None:
        """Deliver an announced head."""
        for listener in self._present(head.organization_id):
            self._tell(listener.on_head, head)

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        """Deliver a publication that is not in the log."""
        for listener in self._present(publication.organization_id):
            self._tell(listener.on_ephemeral, publication)

    def _tell(self, listener: Callable[[T], None], what: T) -> None:
        try:
            listener(what)
        except Exception:  # noqa: BLE001 (logged whole: a listener's bug must not end the writer of all)
            self._log.exception("listener.failed")

    def _present(self, organization_id: bytes) -> Iterator[LiveListener]:
        """Yield the listeners one after the other, but none that an earlier one has taken away."""
        for listener in list(self._listeners.get(organization_id, ())):
            if self.has(organization_id, listener):
                yield listener
