"""How a batch of commands becomes rows, answers and live events: the decision at the heart of the log.

Pure: the shell reads what `core.streams.needs` asks for, calls `decide`, and appends the result in one
statement that fails as a whole when memory was wrong. Each command succeeds or fails alone. Numbers are
given last and only to what succeeds, so `seq` and `offset` have no holes.
"""

from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Final

from core.errors import Code, TidingsError
from core.instants import DAY, Instant
from core.resources.schema import Catalog
from core.streams.append import (
    Append,
    Found,
    KeyRow,
    Needs,
    ResourceKey,
    ResourceRow,
    StreamMove,
    StreamState,
    Version,
)
from core.streams.changes import Changes
from core.streams.command import Atomic, Claim, Command, Publish
from core.streams.event import PUBLICATION_CREATED, EphemeralPublication, Event, LiveBatch
from core.streams.idempotency import answer_of, replay
from core.streams.memory import Memory
from core.streams.outcome import Committed, FieldError, Outcome, Refused
from core.streams.view import Draft, Result, View

ATOMIC_ITEMS_MAX: Final = 500


@dataclass(slots=True)
class Decision:
    """What to write, what to answer once that is durable, and what to send after the answers.

    `outcomes` is parallel to the commands. As long as `unread` names something, this is no decision yet:
    read it and decide again.
    """

    append: Append
    outcomes: list[Outcome]
    live: list[LiveBatch]
    ephemeral: list[EphemeralPublication]
    streams: dict[bytes, StreamState]
    unread: Needs


def decide(commands: list[Command], memory: Memory, found: Found, catalog: Catalog, now: Instant) -> Decision:
    """Decide one batch.

    Args:
        commands: in the order in which they take effect; no idempotency key and no event id stands twice.
        memory: heads of this partition; not changed here.
        found: everything that `needs_of` asked for.
        catalog: the resource types.
        now: the database's time as the owner knows it.
    """
    batch = _Batch(memory, found, catalog, now)
    outcomes = [batch.run(command) for command in commands]
    return batch.decision(outcomes)


@dataclass(slots=True)
class _Stream:
    """One organization's stream while a batch moves it."""

    read_seq: int
    state: StreamState
    view: View
    events: list[Event] = field(default_factory=list)


class _Batch:
    def __init__(self, memory: Memory, found: Found, catalog: Catalog, now: Instant) -> None:
        self._memory = memory
        self._found = found
        self._catalog = catalog
        self._now = now
        self._streams: dict[bytes, _Stream] = {}
        self._append = Append()
        self._rows: dict[ResourceKey, ResourceRow | None] = {}
        self._ephemeral: list[EphemeralPublication] = []

    def run(self, command: Command) -> Outcome:
        """Let one command take effect, or refuse it, and remember the answer under its key."""
        stream = self._stream(command.organization_id)
        if stream is None:
            return Refused(Code.NOT_FOUND.value, "There is no such organization.")
        if command.key:
            used = self._found.keys.get((command.organization_id, command.key))
            if used is not None:
                return replay(used, command)
        try:
            outcome = self._effect(command, stream)
        except TidingsError as error:
            outcome = _refused(error)
        if command.key and (answer := answer_of(outcome, command.event_id)) is not None:
            day = max(self._now // DAY, stream.state.last_day)
            row = KeyRow(command.organization_id, command.key, command.fingerprint, answer)
            self._append.keys.append((day, row))
        return outcome

    def _stream(self, organization_id: bytes) -> _Stream | None:
        stream = self._streams.get(organization_id)
        if stream is None:
            state = self._memory.streams.get(organization_id) or self._found.streams.get(organization_id)
            if state is None:
                return None
            stream = _Stream(state.last_seq, replace(state), View(self._found))
            self._streams[organization_id] = stream
        return stream

    def _effect(self, command: Command, stream: _Stream) -> Outcome:
        operation = command.operation
        if isinstance(operation, Publish):
            return self._publish(command, operation, command.event_id, stream)
        if isinstance(operation, Atomic):
            return self._atomic(command, operation, stream)
        if isinstance(operation, Claim):
            return self._claim(operation, stream)
        result = self._changes(command, stream.view).decide(operation)
        self._check_channels(command, result.drafts, stream.view)
        return self._write(command, command.event_id, result, stream, stream.view)

    def _claim(self, claim: Claim, stream: _Stream) -> Committed:
        if claim.is_question:
            raise TidingsError(Code.VALIDATION_FAILED, "Nothing is known under this key.")
        state = stream.state
        return Committed("claimed", b"", state.last_seq, state.epoch, self._now, document=claim.note)

    def _changes(self, command: Command, view: View) -> Changes:
        return Changes(self._catalog, view, command.organization_id, self._now)

    def _publish(self, command: Command, publish: Publish, event_id: bytes, stream: _Stream) -> Committed:
        state = stream.state
        if publish.ephemeral:
            what = (publish.data, publish.info, publish.tags, publish.kind, publish.flags)
            self._ephemeral += [
                EphemeralPublication(command.organization_id, channel, *what) for channel in publish.channels
            ]
            return Committed("published", b"", state.last_seq, state.epoch, self._now)
        if publish.version and not self._is_newer(command, publish):
            offset = self._offset(command.organization_id, publish.channels[0])
            return Committed("unchanged", b"", state.last_seq, state.epoch, self._now, (offset,))
        event = self._log(
            command, event_id, PUBLICATION_CREATED, publish.data, publish.channels, stream, publish=publish
        )
        offsets = tuple(map(itemgetter(1), event.entries))
        return Committed("published", event_id, event.seq, state.epoch, event.created_at, offsets)

    def _log(
        self,
        command: Command,
        event_id: bytes,
        type_: str,
        data: bytes,
        channels: tuple[str, ...],
        stream: _Stream,
        *,
        publish: Publish | None = None,
        subject: str = "",
    ) -> Event:
        """Give an event its numbers and put it into the batch. From here on its command can't fail."""
        organization_id = command.organization_id
        state = stream.state
        # Neither time nor day ever falls along `seq`, even if a clock steps back (rule R3).
        at = max(self._now, state.last_created_at, state.last_day * DAY)
        state.last_seq += 1
        state.last_created_at = at
        state.last_day = at // DAY
        moved = self._append.channels
        entries = []
        for channel in channels:
            offset = self._offset(organization_id, channel) + 1
            moved[organization_id, channel] = offset
            entries.append((channel, offset))
        info, tags, flags = (publish.info, publish.tags, publish.flags) if publish else (None, None, 0)
        event = Event(
            state.last_seq, event_id, type_, at, data, tuple(entries), info, tags, command.actor,
            command.trace_id, subject, flags,
        )  # fmt: skip
        stream.events.append(event)
        self._append.events.append((organization_id, state.last_day, event))
        return event

    def _offset(self, organization_id: bytes, channel: str) -> int:
        """Return how far a channel has come in this batch."""
        key = (organization_id, channel)
        offset = self._append.channels.get(key)
        if offset is None:
            offset = self._memory.offset_of(key)
        return self._found.channels.get(key, 0) if offset is None else offset

    def _is_newer(self, command: Command, publish: Publish) -> bool:
        """Say whether a publication's version is above the last, and let it be the last then."""
        key = (command.organization_id, publish.channels[0])
        version = Version(publish.version, publish.version_epoch)
        if not version.is_above(self._append.versions.get(key) or self._found.versions.get(key)):
            return False
        self._append.versions[key] = version
        return True

    def _check_channels(self, command: Command, drafts: list[Draft], view: View) -> None:
        for draft in drafts:
            view.require_channels(command.organization_id, draft.channels, self._memory)

    def _write(
        self, command: Command, event_id: bytes, result: Result, stream: _Stream, view: View
    ) -> Committed:
        state = stream.state
        first: Event | None = None
        for number, draft in enumerate(result.drafts):
            # A cascade's further events are named after the command's own, so that a repeat names them alike.
            id_ = event_id if number == 0 else _derived(event_id, number)
            event = self._log(
                command, id_, draft.type, draft.data, draft.channels, stream, subject=draft.subject
            )
            first = first or event
        view.apply(result)
        # Only the last state of a resource is written, whatever the batch did to it on the way.
        self._rows.update({row.key: None for row in result.deletions})
        self._rows.update({row.key: row for row in result.rows})
        return Committed(
            result.effect,
            event_id if first else b"",
            first.seq if first else state.last_seq,
            state.epoch,
            first.created_at if first else self._now,
            tuple(offset for _, offset in first.entries) if first else (),
            result.document,
            result.version,
            result.resource_id,
        )

    def _atomic(self, command: Command, operation: Atomic, stream: _Stream) -> Outcome:
        view = stream.view.above()
        results: list[tuple[bytes, Publish | Result]] = []
        for index, item in enumerate(operation.items):
            if isinstance(item.change, Publish):
                results.append((item.event_id, item.change))
                continue
            try:
                result = self._changes(command, view).decide(item.change)
                self._check_channels(command, result.drafts, view)
            except TidingsError as error:
                return _at_index(_refused(error), index)
            view.apply(result)
            results.append((item.event_id, result))
        view.merge_down()
        items = tuple(
            self._publish(command, done, event_id, stream)
            if isinstance(done, Publish)
            else self._write(command, event_id, done, stream, stream.view)
            for event_id, done in results
        )
        state = stream.state
        return Committed("atomic", command.event_id, state.last_seq, state.epoch, self._now, items=items)

    def decision(self, outcomes: list[Outcome]) -> Decision:
        """Return the whole batch."""
        streams, live, unread = {}, [], Needs()
        for organization_id, stream in self._streams.items():
            unread.add(stream.view.unread)
            if stream.events:
                streams[organization_id] = stream.state
                move = StreamMove(
                    organization_id, stream.read_seq, stream.state.last_seq, stream.state.last_day
                )
                self._append.streams.append(move)
                live.append(LiveBatch(organization_id, stream.state.epoch, tuple(stream.events)))
        self._append.resources = [row for row in self._rows.values() if row is not None]
        self._append.deletions = [key for key, row in self._rows.items() if row is None]
        return Decision(self._append, outcomes, live, self._ephemeral, streams, unread)


def _derived(event_id: bytes, number: int) -> bytes:
    """Return the id of a command's further event: the same time and randomness, another low end."""
    low = int.from_bytes(event_id[8:], "big") + number & (1 << 64) - 1
    return event_id[:8] + low.to_bytes(8, "big")


def _at_index(refused: Refused, index: int) -> Refused:
    """Return the refusal of an atomic command, which names its first failing item."""
    return Refused(
        refused.code, refused.detail, refused.errors, refused.version, index, refused.retry_after_s
    )


def _refused(error: TidingsError) -> Refused:
    faults = error.members.get("errors", [])
    errors = tuple(FieldError(fault["pointer"], fault["code"], fault["detail"]) for fault in faults)
    return Refused(error.code.value, error.detail, errors, error.members.get("version", 0))
