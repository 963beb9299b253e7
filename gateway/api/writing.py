"""Hands writes to the organization's single writer: every POST, PUT, PATCH and DELETE ends here."""

import re
from collections.abc import Awaitable
from typing import Final

from core.ports import Entropy, StreamWriter
from core.streams.command import Command, Operation
from core.streams.outcome import Outcome
from gateway.api.call import Call

# W3C Trace Context §3.2: four fields, all in lower case; version ff and ids of zeros are invalid.
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)


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
    traceparent = headers.get(b"traceparent")
    match = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent)
    return b"" if match is None else bytes.fromhex(match[1].decode())
