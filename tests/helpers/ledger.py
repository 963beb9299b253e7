"""The log as plain dictionaries: what a database would answer and hold, for tests of decisions alone."""

import copy
import itertools
from collections.abc import Sequence
from pathlib import Path

import orjson

from adapters.schemas import load_catalog
from core.instants import Instant
from core.resources.schema import Catalog
from core.streams.append import (
    REFERRERS_MAX,
    Append,
    Found,
    KeyRow,
    Needs,
    ResourceKey,
    ResourceRow,
    StreamState,
    Version,
)
from core.streams.command import Command, Operation, Publish
from core.streams.event import Event
from core.streams.memory import Memory
from core.streams.needs import ROUNDS_MAX, needs_of
from core.streams.outcome import Committed, Outcome, Refused
from core.streams.partition import Decision, decide

CATALOG = load_catalog(Path(__file__).parents[2] / "schemas")
ORG, OTHER = b"o" * 16, b"p" * 16
NOW = Instant(1_800_000_000_000_000)
_numbers = itertools.count(1)


def new_id() -> bytes:
    """Return an id that no other has."""
    return next(_numbers).to_bytes(16, "big")


def command(operation: Operation, *, org: bytes = ORG, key: str = "", fingerprint: bytes = b"f") -> Command:
    """Return a command with a new event id."""
    return Command(org, new_id(), operation, 10_000, key, fingerprint if key else b"", "key_1")


def publish(channel: str, data: bytes = b"{}", *, org: bytes = ORG, key: str = "") -> Command:
    """Return a command that publishes to one channel."""
    return command(Publish((channel,), data), org=org, key=key)


def committed(outcome: Outcome) -> Committed:
    """Return the effect of a command that must have one."""
    assert isinstance(outcome, Committed), outcome
    return outcome


def refused(outcome: Outcome) -> Refused:
    """Return the refusal of a command that must have none."""
    assert isinstance(outcome, Refused), outcome
    return outcome


class Ledger:
    """One partition's rows, and the owner's memory beside them.

    Args:
        catalog: resource types.
        channels_max: channel heads in memory.
    """

    def __init__(self, catalog: Catalog = CATALOG, *, channels_max: int = 1_000) -> None:
        self.catalog = catalog
        self.streams = {org: StreamState("epochone", 0, 0) for org in (ORG, OTHER)}
        self.channels: dict[tuple[bytes, str], int] = {}
        self.keys: dict[tuple[bytes, str], KeyRow] = {}
        self.versions: dict[tuple[bytes, str], Version] = {}
        self.resources: dict[ResourceKey, ResourceRow] = {}
        self.events: dict[bytes, list[Event]] = {ORG: [], OTHER: []}
        self.memory = Memory(copy.deepcopy(self.streams), channels_max)
        self.rounds = 0

    def write(self, commands: Sequence[Command], now: Instant = NOW) -> Decision:
        """Read, decide and append one batch, as an owner does."""
        found = Found()
        self.rounds = 0
        while True:
            needs = needs_of(commands, self.memory, found, self.catalog)
            if not needs or self.rounds == ROUNDS_MAX:
                decision = decide(list(commands), self.memory, found, self.catalog, now)
                needs = decision.unread
            if not needs or self.rounds == ROUNDS_MAX:
                break
            self.rounds += 1
            found.add(needs, self.read(needs))
        self.append(decision.append)
        self.memory.commit(decision.append, decision.streams)
        return decision

    def one(self, operation: Operation, now: Instant = NOW, *, key: str = "") -> Outcome:
        """Write one operation and return its outcome."""
        (outcome,) = self.write([command(operation, key=key)], now).outcomes
        return outcome

    def read(self, needs: Needs) -> Found:
        """Return what is there of what is asked for."""
        found = Found()
        found.streams = {
            org: copy.copy(self.streams[org]) for org in needs.organizations if org in self.streams
        }
        found.channels = {key: self.channels[key] for key in needs.channels if key in self.channels}
        found.keys = {key: self.keys[key] for key in needs.keys if key in self.keys}
        found.versions = {key: self.versions[key] for key in needs.versions if key in self.versions}
        found.resources = {key: self.resources[key] for key in needs.resources if key in self.resources}
        for row in self.resources.values():
            external = (row.organization_id, row.type, row.external_id)
            if row.external_id and external in needs.externals:
                found.externals[external] = row.key
                found.resources[row.key] = row
        for referrer in needs.referrers:
            org, type_, name, public_id = referrer
            rows = [
                row
                for row in self.resources.values()
                if (row.organization_id, row.type) == (org, type_)
                and orjson.loads(row.data).get(name) == public_id
            ][: REFERRERS_MAX + 1]
            found.referrers[referrer] = [row.key for row in rows]
            found.resources.update({row.key: row for row in rows})
        return found

    def append(self, append: Append) -> None:
        """Take the rows of a batch, and fail where a database would."""
        self.versions |= append.versions
        for move in append.streams:
            state = self.streams[move.organization_id]
            assert state.last_seq == move.read_seq
            state.last_seq, state.last_day = move.last_seq, move.day
        for org, day, event in append.events:
            assert event.seq == len(self.events[org]) + 1
            assert day >= event.created_at // 86_400_000_000
            for channel, offset in event.entries:
                assert offset == self.channels.get((org, channel), 0) + 1
                self.channels[org, channel] = offset
            self.events[org].append(event)
        assert append.channels.items() <= self.channels.items()
        for _, row in append.keys:
            assert (row.organization_id, row.key) not in self.keys
            self.keys[row.organization_id, row.key] = row
        self.resources.update({row.key: row for row in append.resources})
        for key in append.deletions:
            self.resources.pop(key, None)
