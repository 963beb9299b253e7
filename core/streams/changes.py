"""Changes of resources.

Decided one after the other against what was read and what the batch has changed so far.

A change is worked out completely before any of it counts: it either returns what to write, or raises and
leaves no trace.
"""

from typing import Any, Final

import orjson

from core.errors import Code, TidingsError
from core.ids import encode
from core.instants import Instant
from core.resources.document import DOCUMENT_BYTES_MAX, invalid, validate, without_nulls
from core.resources.patch import is_same, merge, previous_attributes
from core.resources.resource import Change, event_data, event_type, render
from core.resources.schema import Catalog, ResourceType
from core.streams.append import REFERRERS_MAX, ResourceKey, ResourceRow
from core.streams.command import Condition, Create, Delete, Patch, Put, Target
from core.streams.outcome import Effect
from core.streams.references import resolved, target_of
from core.streams.view import Draft, Result, View

_TOO_MANY: Final = f"More than {REFERRERS_MAX} resources refer to it"


class Changes:
    """Decides changes of one organization's resources at one instant."""

    def __init__(self, catalog: Catalog, view: View, organization_id: bytes, now: Instant) -> None:
        self._catalog = catalog
        self._view = view
        self._organization_id = organization_id
        self._now = now

    def decide(self, change: Create | Put | Patch | Delete) -> Result:
        """Work out one change.

        Raises:
            TidingsError: refused, with no trace in the view.
        """
        match change:
            case Create():
                return self._create(change)
            case Put():
                return self._put(change)
            case Patch():
                return self._patch(change)
            case Delete():
                return self._delete(change)

    def _type(self, name: str) -> ResourceType:
        type_ = self._catalog.by_name.get(name)
        if type_ is None:
            raise TidingsError(Code.NOT_FOUND)
        return type_

    def _row(self, target: Target) -> ResourceRow | None:
        if target.id:
            return self._view.row((self._organization_id, target.type, target.id))
        return self._view.by_external((self._organization_id, target.type, target.external_id))

    def _create(self, change: Create) -> Result:
        type_ = self._type(change.type)
        if change.external_id:
            key = (self._organization_id, change.type, change.external_id)
            if self._view.by_external(key) is not None:
                raise TidingsError(Code.ALREADY_EXISTS, f"external_id {change.external_id} is taken.")
        document = without_nulls(orjson.loads(change.document))
        return self._write(type_, change.id, change.external_id, document, None, "created")

    def _put(self, change: Put) -> Result:
        type_ = self._type(change.target.type)
        row = self._row(change.target)
        document = without_nulls(orjson.loads(change.document))
        if row is None:
            if change.condition.if_match:
                raise TidingsError(Code.PRECONDITION_FAILED, "If-Match was sent; there is no such resource.")
            if change.target.id and change.target.id != change.new_id:
                raise TidingsError(Code.NOT_FOUND)
            return self._write(type_, change.new_id, change.target.external_id, document, None, "created")
        if change.condition.must_not_exist:
            raise TidingsError(Code.PRECONDITION_FAILED, "It exists already.", version=row.version)
        _check_condition(type_, row, change.condition)
        return self._write(type_, row.id, row.external_id, document, row, "replaced")

    def _patch(self, change: Patch) -> Result:
        type_, row = self._type(change.target.type), self._row(change.target)
        if row is None:
            raise TidingsError(Code.NOT_FOUND)
        _check_condition(type_, row, change.condition)
        document = merge(orjson.loads(row.data), orjson.loads(change.patch))
        return self._write(type_, row.id, row.external_id, document, row, "patched")

    def _write(
        self,
        type_: ResourceType,
        id_: bytes,
        external_id: str,
        document: dict[str, Any],
        before: ResourceRow | None,
        effect: Effect,
    ) -> Result:
        validate(type_, document)
        linked = self._with_references(type_, document)
        if linked is not document:
            document = linked
            validate(type_, document)
        old = None if before is None else orjson.loads(before.data)
        if before is not None and old is not None and is_same(old, document):
            rendered = render(type_, before, old)
            return Result("unchanged", id_, rendered, before.version)
        if old is not None:
            _check_immutable(type_, old, document)
        data = orjson.dumps(document)
        if len(data) > DOCUMENT_BYTES_MAX:
            raise TidingsError(Code.BODY_TOO_LARGE, f"A resource has at most {DOCUMENT_BYTES_MAX} bytes.")
        version = 1 if before is None else before.version + 1
        created_at = self._now if before is None else before.created_at
        row = ResourceRow(
            self._organization_id, type_.name, id_, external_id, data, version, created_at, self._now
        )
        rendered = render(type_, row, document)
        previous = None if old is None else previous_attributes(old, document)
        draft = self._draft(
            type_, "created" if old is None else "updated", id_, document, event_data(rendered, previous)
        )
        return Result(effect, id_, rendered, version, [row], [], [draft])

    def _draft(
        self, type_: ResourceType, change: Change, id_: bytes, document: dict[str, Any], data: bytes
    ) -> Draft:
        public = encode(type_.id_prefix, id_)
        channels = type_.channels_of(public, document)
        return Draft(event_type(type_, change), data, channels, f"{type_.name}/{public}")

    def _with_references(self, type_: ResourceType, document: dict[str, Any]) -> dict[str, Any]:
        """Return the document with `ext:` references replaced by ids.

        Each must name a resource of its type.
        """
        faults = []
        resolved_document = document
        for name, target_name in type_.references.items():
            value = document.get(name)
            if not isinstance(value, str):
                continue
            target_type = self._catalog.by_name[target_name]
            target = target_of(target_type, value)
            row = None if target is None else self._row(target)
            if row is None:
                faults.append((f"#/{name}", "not_found", f"There is no such {target_name}."))
            else:
                resolved_document = resolved(resolved_document, name, encode(target_type.id_prefix, row.id))
        if faults:
            raise invalid("A reference names nothing.", faults)
        return resolved_document

    def _delete(self, change: Delete) -> Result:
        type_, row = self._type(change.target.type), self._row(change.target)
        if row is None:
            raise TidingsError(Code.NOT_FOUND)
        _check_condition(type_, row, change.condition)
        result = Result("deleted", row.id, b"", row.version)
        # Step by step on a view of its own: one resource may refer to several that go.
        view = self._view.above()
        Changes(self._catalog, view, self._organization_id, self._now).remove(type_, row, result)
        result.rows = [row for row in view.rows.values() if row is not None]
        public = encode(type_.id_prefix, row.id)
        result.document = orjson.dumps({"id": public, "object": type_.name, "deleted": True})
        return result

    def remove(self, type_: ResourceType, row: ResourceRow, result: Result) -> None:
        """Take a resource out of the view, with what must go along, and note in `result` what that makes.

        Raises:
            TidingsError: `conflict`, others refer to it and stay, or too many do.
        """
        document = orjson.loads(row.data)
        rendered = render(type_, row, document)
        draft = self._draft(type_, "deleted", row.id, document, event_data(rendered, None))
        step = Result("deleted", row.id, b"", row.version, [], [row], [draft])
        self._view.apply(step)
        result.deletions.append(row)
        result.drafts.append(draft)
        public = encode(type_.id_prefix, row.id)
        by_type: dict[str, list[str]] = {}
        for referring, name in self._catalog.referrers_of(type_.name):
            by_type.setdefault(referring.name, []).append(name)
        for type_name, names in by_type.items():
            self._let_go_all(self._catalog.by_name[type_name], names, row, public, result)

    def _let_go_all(
        self, type_: ResourceType, names: list[str], target: ResourceRow, public: str, result: Result
    ) -> None:
        fields: dict[ResourceKey, list[str]] = {}
        for name in names:
            referrers, are_all = self._view.referrers(target, type_.name, name, public)
            if not are_all:
                also = f", {encode(type_.id_prefix, referrers[0].id)} among them" if referrers else ""
                raise TidingsError(Code.CONFLICT, f"{_TOO_MANY}{also}.")
            for referrer in referrers:
                fields.setdefault(referrer.key, []).append(name)
        for key, through in fields.items():
            now = self._view.row(key)
            if now is None:
                continue  # gone meanwhile, with another one that it refers to
            if len(self._view.rows) > REFERRERS_MAX:
                raise TidingsError(Code.CONFLICT, f"{_TOO_MANY}.")
            self._let_go(type_, through, now, result)

    def _let_go(self, type_: ResourceType, names: list[str], referrer: ResourceRow, result: Result) -> None:
        policies = {type_.on_delete.get(name, "refuse"): name for name in names}
        if "refuse" in policies:
            public = encode(type_.id_prefix, referrer.id)
            raise TidingsError(Code.CONFLICT, f"{public} refers to it in {policies['refuse']}.")
        if "cascade" in policies:
            self.remove(type_, referrer, result)
            return
        document = {key: value for key, value in orjson.loads(referrer.data).items() if key not in names}
        change = self._write(type_, referrer.id, referrer.external_id, document, referrer, "patched")
        self._view.apply(change)
        result.drafts += change.drafts


def _check_condition(type_: ResourceType, row: ResourceRow, condition: Condition) -> None:
    if condition.if_match > 0 and condition.if_match != row.version:
        detail = f"If-Match named r{condition.if_match}; the resource is at r{row.version}."
        raise TidingsError(Code.PRECONDITION_FAILED, detail, version=row.version)
    if condition.if_match == 0 and type_.require_if_match:
        raise TidingsError(Code.PRECONDITION_REQUIRED)


def _check_immutable(type_: ResourceType, before: dict[str, Any], after: dict[str, Any]) -> None:
    own = (name for name in type_.fields if name in type_.immutable)
    names = (name for name in own if not is_same(before.get(name), after.get(name)))
    faults = [(f"#/{name}", "not_allowed", "Can't be changed once set.") for name in names]
    if faults:
        raise invalid("An immutable field was changed.", faults)
