"""Resources as the next change of a batch sees them, and what a change wants to write."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import orjson

from core.errors import Code, TidingsError
from core.streams.append import REFERRERS_MAX, ExternalKey, Found, Needs, ResourceKey, ResourceRow
from core.streams.memory import Memory
from core.streams.outcome import Effect


class UnreadError(TidingsError):
    """What a change depends on was never read: it is noted, and read before the batch is decided again.

    Reaches a client only when the rounds of reading are used up.
    """

    def __init__(self) -> None:
        super().__init__(Code.CONFLICT, "Too many resources depend on it: delete those first.")


@dataclass(slots=True)
class Draft:
    """One event that a change wants to append, before it has a number."""

    type: str
    data: bytes
    channels: tuple[str, ...]
    subject: str


@dataclass(slots=True)
class Result:
    """What a change does: its rows, its events (the change's own first), and what its caller is told."""

    effect: Effect
    resource_id: bytes
    document: bytes
    version: int
    rows: list[ResourceRow] = field(default_factory=list)
    deletions: list[ResourceRow] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)


class View:
    """Resources as the next change sees them: what was read, overlaid by what the batch has done.

    A view on top of another belongs to one atomic command: it is merged down when all of it succeeded.
    """

    def __init__(self, found: Found, below: "View | None" = None) -> None:
        self._found = found
        self._below = below
        self.unread: Needs = Needs() if below is None else below.unread
        """What changes asked for and nobody has read."""
        self.rows: dict[ResourceKey, ResourceRow | None] = {}
        self.externals: dict[ExternalKey, ResourceKey | None] = {}

    def above(self) -> "View":
        """Return a view on top of this one."""
        return View(self._found, self)

    def row(self, key: ResourceKey) -> ResourceRow | None:
        """Return a resource, or None."""
        if key in self.rows:
            return self.rows[key]
        return self._below.row(key) if self._below is not None else self._found.resources.get(key)

    def by_external(self, key: ExternalKey) -> ResourceRow | None:
        """Return a resource by its own id, or None."""
        if key in self.externals:
            target = self.externals[key]
            return None if target is None else self.row(target)
        if self._below is not None:
            found = self._below.by_external(key)
            return None if found is None else self.row(found.key)
        target = self._found.externals.get(key)
        return None if target is None else self.row(target)

    def overlaid(self) -> Iterator[ResourceKey]:
        """Yield the keys of what the batch has touched."""
        yield from self.rows
        if self._below is not None:
            yield from self._below.overlaid()

    def referrers(
        self, target: ResourceRow, type_: str, name: str, refers_to: str
    ) -> tuple[list[ResourceRow], bool]:
        """Return the resources whose field refers to `target` by its public id, and whether these are all.

        Those of the batch are among them; of the others at most `REFERRERS_MAX` + 1 were read.

        Raises:
            UnreadError: nobody has read which they are.
        """
        asked = (target.organization_id, type_, name, refers_to)
        # What the batch itself has made has no referrer in the database.
        if asked not in self._found.asked.referrers and target.key in self._found.resources:
            self.unread.referrers.add(asked)
            raise UnreadError
        found = self._found.referrers.get(asked, [])
        keys = dict.fromkeys(found)
        keys.update(dict.fromkeys(k for k in self.overlaid() if k[:2] == asked[:2]))
        rows = [row for key in keys if (row := self.row(key)) is not None]
        living = [row for row in rows if orjson.loads(row.data).get(name) == refers_to]
        return living, len(found) <= REFERRERS_MAX

    def require_channels(self, organization_id: bytes, channels: Iterable[str], memory: Memory) -> None:
        """Accept an event of these channels: without the last offset of each nothing may be numbered.

        Raises:
            UnreadError: one is not known.
        """
        keys = ((organization_id, channel) for channel in channels)
        unknown = {k for k in keys if memory.offset_of(k) is None and k not in self._found.asked.channels}
        if unknown:
            self.unread.channels |= unknown
            raise UnreadError

    def apply(self, result: Result) -> None:
        """Let the next change see what this one did."""
        for row in result.rows:
            self.rows[row.key] = row
            if row.external_id:
                self.externals[row.organization_id, row.type, row.external_id] = row.key
        for row in result.deletions:
            self.rows[row.key] = None
            if row.external_id:
                self.externals[row.organization_id, row.type, row.external_id] = None

    def merge_down(self) -> None:
        """Give everything to the view below: the atomic command succeeded."""
        assert self._below is not None  # noqa: S101 (only views of atomic commands are merged)
        self._below.rows.update(self.rows)
        self._below.externals.update(self.externals)
