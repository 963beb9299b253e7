"""Hands writes to the organization's single writer: every POST, PUT, PATCH and DELETE ends here."""

from collections.abc import Awaitable

from core.ports import Entropy, StreamWriter
from core.streams.command import Command, Operation
from core.streams.outcome import Outcome
from core.traces import parse_traceparent
from gateway.api.call import Call


class Writing:
    """Makes commands of calls.

    Args:
        writer: the way to the log.
        entropy: makes ids.
        deadline_ms: how long a caller waits; then the outcome is unknown.
    """

    def __init__(self, writer: StreamWriter, entropy: Entropy, deadline_ms: int) -> None:
        self._writer = writer
        self._entropy = entropy
        self._deadline_ms = deadline_ms

    def new_id(self) -> bytes:
        """Return the id of something that this write may make."""
        return self._entropy.id()

    def submit(
        self,
        call: Call,
        operation: Operation,
        *,
        key: str = "",
        fingerprint: bytes = b"",
        event_id: bytes = b"",
    ) -> Awaitable[Outcome]:
        """Hand one write to the log, at once; those of one caller take effect in the order of the calls.

        Args:
            call: the request, whose id also names the event that it makes.
            operation: what to write.
            key: idempotency key, "" for none.
            fingerprint: of the request that the key stands on.
            event_id: of the effect, where one request has several.
        """
        return self._writer.submit(
            Command(
                call.organization_id,
                event_id or call.request_id,
                operation,
                self._deadline_ms,
                key,
                fingerprint if key else b"",
                call.principal.id,
                trace_id_of(call.headers),
            )
        )


def trace_id_of(headers: dict[bytes, bytes]) -> bytes:
    """Return the trace that the request belongs to, or nothing; an invalid `traceparent` is ignored."""
    parent = parse_traceparent(headers.get(b"traceparent", b""))
    return b"" if parent is None else parent.trace_id
