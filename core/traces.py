"""The trace that a request belongs to, as its caller tells it, and whose requests leave a span.

A caller flags the traces that it records. Honouring the flag always would let anybody fill the collector, so
of each organization's requests at most a share is honoured.

Source: W3C Trace Context, level 1.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.instants import Instant

TRACESTATE_CHARACTERS_MAX: Final = 512

_SAMPLED: Final = 0x01
# §3.2: four fields, all in lower case; version ff and ids of zeros are invalid.
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_VERSION: Final = b"00"
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class TraceParent:
    """The caller's span: 16 bytes that name its trace, 8 that name itself, and whether it is recorded."""

    trace_id: bytes
    span_id: bytes
    sampled: bool


@dataclass(frozen=True, slots=True)
class ServerSpan:
    """One request as the trace tells it.

    `tracestate` is as the caller sent it, "" for none. `failed`: the server is to blame. `attributes` have
    the names of OpenTelemetry's conventions for HTTP, and of our own `tidings.…`.
    """

    parent: TraceParent
    tracestate: str
    name: str
    began_at: Instant
    ended_at: Instant
    failed: bool
    attributes: Mapping[str, str | int]


def parse_traceparent(text: bytes) -> TraceParent | None:
    """Read the header `traceparent`; None for what is none, which is to be ignored (§3.2.2.5).

    Args:
        text: the header's value, several of them joined by commas (and then invalid).
    """
    match = _TRACEPARENT.fullmatch(text)
    if match is None or (match[1] == _VERSION and match[5] is not None):  # only later versions may say more
        return None
    trace_id, span_id, flags = (bytes.fromhex(field.decode()) for field in match.group(2, 3, 4))
    return TraceParent(trace_id, span_id, bool(flags[0] & _SAMPLED))


def read_tracestate(text: bytes) -> str:
    """Return the header `tracestate` for a span; "" where it is longer than 512 characters."""
    return text.decode("latin-1") if len(text) <= TRACESTATE_CHARACTERS_MAX else ""


class SampledShare:
    """Whose spans are kept: the flagged requests of each organization, up to a share of all its requests.

    Among any `n` requests of one organization that follow each other, at most `share * n + 1` are kept. Each
    request earns its organization the share of one span, and a span is spent on a flagged request; what is
    saved never exceeds one span, so a long silence buys no burst.

    Args:
        share: 0 (none) to 1 (every flagged request), counted in millionths.
        organizations_max: how many are counted; past it the one that was quiet for longest is forgotten, and
            from then on a new one starts without savings, lest it was one that has spent them.
    """

    def __init__(self, share: float, organizations_max: int) -> None:
        self._earned = int(share * _MILLION)
        self._organizations_max = organizations_max
        self._saved: OrderedDict[bytes, int] = OrderedDict()
        self._at_first = _MILLION if self._earned else 0

    def admits(self, organization_id: bytes, *, flagged: bool) -> bool:
        """Count one request, whether or not its caller flagged it, and return whether its span is kept."""
        saved = min(self._saved.pop(organization_id, self._at_first) + self._earned, _MILLION)
        kept = flagged and saved == _MILLION
        self._saved[organization_id] = 0 if kept else saved
        if len(self._saved) > self._organizations_max:
            self._saved.popitem(last=False)
            self._at_first = 0
        return kept
