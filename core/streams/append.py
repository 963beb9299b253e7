"""What one batch needs to read before it is decided, and what it writes when it is.

The shell fetches `Needs` in one statement, `core.streams.partition` decides, and the shell writes an
`Append` in one statement that proves the partition's epoch (reliability rule R2). Both are sets: their cost
in statements is constant.
"""

from dataclasses import dataclass, field
from typing import Final

from core.resources.row import ExternalKey, ResourceKey, ResourceRow
from core.streams.event import Event

__all__ = [
    "Append",
    "ExternalKey",
    "Found",
    "KeyRow",
    "Needs",
    "ReferrerKey",
    "ResourceKey",
    "ResourceRow",
    "StreamMove",
    "StreamState",
    "Version",
]

ReferrerKey = tuple[bytes, str, str, str]
"""(organization id, referring type, its field, the public id that it refers to)."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One used idempotency key. `answer` is the msgpack of the outcome that every repeat gets."""

    organization_id: bytes
    key: str
    fingerprint: bytes
    answer: bytes


@dataclass(frozen=True, slots=True)
class Version:
    """The newest version of what a channel's publishers publish, and the epoch that they count it in."""

    version: int
    epoch: str

    def is_above(self, last: "Version | None") -> bool:
        """Say whether this one comes after the last: in another epoch everything does."""
        return last is None or last.epoch != self.epoch or last.version < self.version


@dataclass(slots=True)
class StreamState:
    """Where one organization's stream stands, in its owner's memory."""

    epoch: str
    last_seq: int
    last_day: int
    """Day number of the newest event: neither it nor `last_created_at` ever falls along `seq`."""
    last_created_at: int = 0


NEEDS: Final = ("organizations", "channels", "keys", "resources", "externals", "referrers", "versions")


@dataclass(slots=True)
class Needs:
    """What the decisions of one batch depend on and memory does not hold."""

    organizations: set[bytes] = field(default_factory=set)
    channels: set[tuple[bytes, str]] = field(default_factory=set)
    keys: set[tuple[bytes, str]] = field(default_factory=set)
    resources: set[ResourceKey] = field(default_factory=set)
    externals: set[ExternalKey] = field(default_factory=set)
    referrers: set[ReferrerKey] = field(default_factory=set)
    versions: set[tuple[bytes, str]] = field(default_factory=set)

    def add(self, more: "Needs") -> None:
        """Need that, too."""
        for name in NEEDS:
            getattr(self, name).update(getattr(more, name))

    def __bool__(self) -> bool:
        return bool(
            self.organizations
            or self.channels
            or self.keys
            or self.resources
            or self.externals
            or self.referrers
            or self.versions
        )


@dataclass(slots=True)
class Found:
    """What the database answered. Asked for (see `asked`) and absent from its mapping means: not there."""

    streams: dict[bytes, StreamState] = field(default_factory=dict)
    channels: dict[tuple[bytes, str], int] = field(default_factory=dict)
    """Last offset of each channel."""
    keys: dict[tuple[bytes, str], KeyRow] = field(default_factory=dict)
    resources: dict[ResourceKey, ResourceRow] = field(default_factory=dict)
    """Those asked for by key, by external id, and the referrers found, all under their keys."""
    externals: dict[ExternalKey, ResourceKey] = field(default_factory=dict)
    referrers: dict[ReferrerKey, list[ResourceKey]] = field(default_factory=dict)
    """At most `REFERRERS_MAX` + 1 of each, so that "too many" can be told."""
    versions: dict[tuple[bytes, str], Version] = field(default_factory=dict)
    asked: Needs = field(default_factory=Needs)

    def add(self, needs: Needs, more: "Found") -> None:
        """Take in the answer to one more read."""
        self.asked.add(needs)
        for name in ("streams", "channels", "keys", "resources", "externals", "referrers", "versions"):
            getattr(self, name).update(getattr(more, name))


REFERRERS_MAX = 100
"""A delete that would take more referrers along is refused: one command stays one small batch."""


@dataclass(slots=True)
class StreamMove:
    """One organization's head: what it was read as, and what it becomes."""

    organization_id: bytes
    read_seq: int
    last_seq: int
    day: int


@dataclass(slots=True)
class Append:
    """The rows of one batch. Empty lists are legal: a batch of refusals writes only keys, or nothing."""

    streams: list[StreamMove] = field(default_factory=list)
    channels: dict[tuple[bytes, str], int] = field(default_factory=dict)
    """New last offset of each channel touched."""
    events: list[tuple[bytes, int, Event]] = field(default_factory=list)
    """(organization id, day number, event), ascending by seq within an organization."""
    keys: list[tuple[int, KeyRow]] = field(default_factory=list)
    """(day number, row)."""
    resources: list[ResourceRow] = field(default_factory=list)
    """Final state of each resource created or changed; one row a resource."""
    deletions: list[ResourceKey] = field(default_factory=list)
    versions: dict[tuple[bytes, str], Version] = field(default_factory=dict)
    """The newest version of each channel whose publishers count them."""

    def __bool__(self) -> bool:
        return bool(self.streams or self.keys)
