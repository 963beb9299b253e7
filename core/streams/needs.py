"""What a batch must know before it can be decided, as far as its commands alone tell.

Asked again after each read, until it needs nothing more: an `ext:` id must be found before the channels
of its resource are known. What only deciding shows, since one command changes what another finds, the
decision itself asks for. Every round is one statement for the whole batch, and there are at most
`ROUNDS_MAX`.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from core.ids import encode
from core.resources.patch import merge
from core.resources.schema import Catalog, ResourceType
from core.streams.append import Found, Needs, ResourceRow
from core.streams.command import (
    Atomic,
    Change,
    Claim,
    Command,
    Create,
    Delete,
    Operation,
    Patch,
    Publish,
    Put,
    Target,
)
from core.streams.memory import Memory
from core.streams.references import target_of

ROUNDS_MAX: Final = 8
"""Chains of cascades longer than this are refused: they would hold up everybody else's batch."""


def changes_in(operation: Operation) -> Iterator[Change]:
    """Yield the changes of a command, of which an atomic one has several and a claim none."""
    if isinstance(operation, Atomic):
        yield from (item.change for item in operation.items)
    elif not isinstance(operation, Claim):
        yield operation


def needs_of(commands: Iterable[Command], memory: Memory, found: Found, catalog: Catalog) -> Needs:
    """Return what must be read before these commands can be decided; empty: nothing more."""
    needs = Needs()
    for command in commands:
        organization_id = command.organization_id
        if organization_id not in memory.streams and organization_id not in found.asked.organizations:
            needs.organizations.add(organization_id)
        if command.key and (organization_id, command.key) not in found.asked.keys:
            needs.keys.add((organization_id, command.key))
        for change in changes_in(command.operation):
            if isinstance(change, Publish):
                if not change.ephemeral:
                    _need_channels(organization_id, change.channels, memory, found, needs)
                    if change.version:
                        needs.versions.update(
                            {(organization_id, c) for c in change.channels} - found.asked.versions
                        )
            else:
                _ResourceNeeds(organization_id, memory, found, catalog, needs).add(change)
    return needs


def _need_channels(
    organization_id: bytes, channels: Iterable[str], memory: Memory, found: Found, needs: Needs
) -> None:
    for channel in channels:
        key = (organization_id, channel)
        if memory.offset_of(key) is None and key not in found.asked.channels:
            needs.channels.add(key)


class _ResourceNeeds:
    """The needs of one organization's changes of resources."""

    def __init__(
        self, organization_id: bytes, memory: Memory, found: Found, catalog: Catalog, needs: Needs
    ) -> None:
        self._organization_id = organization_id
        self._memory = memory
        self._found = found
        self._catalog = catalog
        self._needs = needs

    def add(self, change: Create | Put | Patch | Delete) -> None:
        name = change.type if isinstance(change, Create) else change.target.type
        type_ = self._catalog.by_name.get(name)
        if type_ is None:
            return
        match change:
            case Create():
                if change.external_id:
                    self._row(Target(name, external_id=change.external_id))
                self._document(type_, change.id, orjson.loads(change.document))
            case Put():
                row = self._row(change.target)
                self._document(type_, change.new_id if row is None else row.id, orjson.loads(change.document))
            case Patch():
                row = self._row(change.target)
                if row is not None:
                    self._document(type_, row.id, merge(orjson.loads(row.data), orjson.loads(change.patch)))
            case Delete():
                row = self._row(change.target)
                if row is not None:
                    self._removal(type_, row, set())

    def _row(self, target: Target) -> ResourceRow | None:
        found, needs = self._found, self._needs
        if target.id:
            key = (self._organization_id, target.type, target.id)
            if key not in found.resources and key not in found.asked.resources:
                needs.resources.add(key)
            return found.resources.get(key)
        external = (self._organization_id, target.type, target.external_id)
        if external not in found.asked.externals:
            needs.externals.add(external)
        resource = found.externals.get(external)
        return None if resource is None else found.resources.get(resource)

    def _document(self, type_: ResourceType, id_: bytes, document: dict[str, Any]) -> None:
        values = dict(document)
        for name, target_name in type_.references.items():
            value = document.get(name)
            target_type = self._catalog.by_name[target_name]
            target = target_of(target_type, value) if isinstance(value, str) else None
            if target is not None and (row := self._row(target)) is not None:
                values[name] = encode(target_type.id_prefix, row.id)
        channels = type_.channels_of(encode(type_.id_prefix, id_), values)
        _need_channels(self._organization_id, channels, self._memory, self._found, self._needs)

    def _removal(self, type_: ResourceType, row: ResourceRow, seen: set[bytes]) -> None:
        if row.id in seen:
            return
        seen.add(row.id)
        public = encode(type_.id_prefix, row.id)
        self._document(type_, row.id, orjson.loads(row.data))
        for referring, name in self._catalog.referrers_of(type_.name):
            key = (self._organization_id, referring.name, name, public)
            if key not in self._found.asked.referrers:
                self._needs.referrers.add(key)
            for referrer_key in self._found.referrers.get(key, []):
                referrer = self._found.resources[referrer_key]
                if referring.on_delete.get(name) == "cascade":
                    self._removal(referring, referrer, seen)
                else:
                    document = orjson.loads(referrer.data)
                    self._document(referring, referrer.id, document)
