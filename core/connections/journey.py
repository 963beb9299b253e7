"""What is remembered of one connection for a while: how it came, what it was sent, how it ended.

A journey is a list of steps, told by the replica at the moment at which each happens. Nothing is noted per
publication: a step says up to which offset a channel had been written to this client, and everything between
two steps follows (`core.connections.verdict`).

Word of a replica may be lost. So each journey bears a tag, under which its replica repeats up to when it has
told everything; at any loss it takes a new tag and tells all its clients anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from core.channels.filter import FilterNode
from core.instants import Instant
from core.streams.event import Wire

FILTER_BYTES_MAX: Final = 2_048
"""A larger filter is not kept: a client could fill the cache with it."""


class Came(Wire, frozen=True, tag="c"):
    """Its credential was good. With `is_retold` that was before, and what it did until now is not known."""

    at: int
    client: str
    user: str
    transport: str
    node: str
    tag: str
    is_retold: bool = False


class Subscribed(Wire, frozen=True, tag="s"):
    """A subscription began behind `start`, and what it was to get up to `sent` stood in its reply.

    `has_filter` without a `filter`: it was too large to be kept.
    """

    at: int
    channel: str
    epoch: str
    start: int
    sent: int
    was_recovering: bool = False
    recovered: bool = False
    is_server_side: bool = False
    delta: bool = False
    max_rate: float = 0.0
    has_filter: bool = False
    filter: FilterNode | None = None


class Paged(Wire, frozen=True, tag="p"):
    """It was sent one more page of what it had missed, up to this offset."""

    at: int
    channel: str
    sent: int


class WentLive(Wire, frozen=True, tag="l"):
    """It had everything up to this offset, and from then on gets what is dispatched."""

    at: int
    channel: str
    offset: int


class Refused(Wire, frozen=True, tag="r"):
    """A subscribe, or without a channel the connect, was answered with an error of this code."""

    at: int
    channel: str
    code: int


class Left(Wire, frozen=True, tag="u"):
    """A subscription ended; the channel had been written up to this offset. Code 0: the client wanted it."""

    at: int
    channel: str
    offset: int
    code: int = 0


class Ended(Wire, frozen=True, tag="d"):
    """The connection ended, with the offset up to which each of its live channels had been written.

    Code 0: it was the client, or the network between.
    """

    at: int
    code: int
    reason: str
    offsets: dict[str, int]


Step = Came | Subscribed | Paged | WentLive | Refused | Left | Ended

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[Step]] = msgspec.msgpack.Decoder(Step)


def encode_step(step: Step) -> bytes:
    """Return a step as it is kept."""
    return _ENCODER.encode(step)


def decode_step(raw: bytes) -> Step:
    """Return a step that was kept.

    Raises:
        msgspec.DecodeError: it is of a release that knows other steps.
    """
    return _DECODER.decode(raw)


def kept_filter(node: FilterNode | None) -> FilterNode | None:
    """Return a filter if it is small enough to be kept."""
    if node is None or len(_ENCODER.encode(node)) > FILTER_BYTES_MAX:
        return None
    return node


@dataclass(frozen=True, slots=True)
class End:
    """How a subscription ended: by itself, or with its connection."""

    at: Instant
    code: int
    reason: str = ""
    of_connection: bool = False


@dataclass(frozen=True, slots=True)
class Stay:
    """One subscription from its beginning to its end, or until now.

    `sent`: up to there the channel was written to it; with `live_offset` and no end also everything since,
    and what came up to `live_offset` was read from the log for this client alone.
    """

    began: Subscribed
    sent: int
    live_offset: int | None = None
    live_at: Instant | None = None
    end: End | None = None

    @property
    def is_live(self) -> bool:
        """Whether it gets what is dispatched."""
        return self.live_offset is not None and self.end is None

    def covers(self, offset: int) -> bool:
        """Say whether it was the turn of this offset while it lasted."""
        return self.began.start < offset and (self.is_live or offset <= self.sent)


@dataclass(frozen=True, slots=True)
class Journey:
    """One connection.

    Attributes:
        came: its beginning, as far as it is known.
        steps: what happened since, in order.
        told_until: everything up to then has been told.
        is_alive: its replica goes on telling.
        is_cut: there were more steps than are kept; the oldest are missing.
    """

    came: Came
    steps: tuple[Step, ...]
    told_until: Instant
    is_alive: bool = True
    is_cut: bool = False

    @property
    def ended(self) -> Ended | None:
        """The end of the connection, if it is known."""
        last = self.steps[-1] if self.steps else None
        return last if type(last) is Ended else None

    @property
    def status(self) -> str:
        """`connected`, `disconnected`, or `refused`; `lost`: its replica is silent, and nobody knows."""
        if self.ended is not None:
            return "disconnected"
        if self.refusal("") is not None:
            return "refused"
        return "connected" if self.is_alive else "lost"

    @property
    def channels(self) -> list[str]:
        """Every channel that it was ever subscribed to, in that order."""
        return list(dict.fromkeys(step.channel for step in self.steps if type(step) is Subscribed))

    def refusal(self, channel: str) -> Refused | None:
        """Return the last refusal of a subscribe to a channel; of "" the last of a connect."""
        found = [step for step in self.steps if type(step) is Refused and step.channel == channel]
        return found[-1] if found else None

    def stays(self, channel: str) -> list[Stay]:
        """Return the subscriptions to a channel, in order."""
        stays: list[Stay] = []
        for step in self._of(channel):
            if type(step) is Subscribed:
                if stays and stays[-1].end is None:
                    del stays[-1]  # it was told twice
                stays.append(Stay(step, step.sent))
            elif stays and stays[-1].end is None:
                stays[-1] = _after(stays[-1], step)
        return stays

    def _of(self, channel: str) -> Iterator[Subscribed | Paged | WentLive | Left | Ended]:
        for step in self.steps:
            if type(step) is Ended or (
                isinstance(step, Subscribed | Paged | WentLive | Left) and step.channel == channel
            ):
                yield step


def _after(stay: Stay, step: Subscribed | Paged | WentLive | Left | Ended) -> Stay:
    match step:
        case WentLive():
            return replace(stay, sent=step.offset, live_offset=step.offset, live_at=Instant(step.at))
        case Left():
            end = End(Instant(step.at), step.code)
            return replace(stay, sent=_written(stay, step.offset), end=end)
        case Ended():
            end = End(Instant(step.at), step.code, step.reason, of_connection=True)
            return replace(stay, sent=_written(stay, step.offsets.get(stay.began.channel, 0)), end=end)
        case _:
            return replace(stay, sent=step.sent)


def _written(stay: Stay, offset: int) -> int:
    """Return up to where the channel was written to a subscription that ends at this offset of it."""
    return stay.sent if stay.live_offset is None else max(stay.sent, offset)
