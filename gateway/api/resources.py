"""Resources over REST: each schema file's type with create, read, list, upsert, patch, delete and batch."""

from typing import Any, Final

import orjson
from msgspec.structs import replace

from adapters.postgres.resources import ResourceReader
from core.errors import Code, TidingsError
from core.ids import decode
from core.resources.document import (
    EXTERNAL,
    EXTERNAL_ID,
    FieldFault,
    as_stored,
    faults_of,
    invalid,
    read_document,
    without_nulls,
)
from core.resources.expansion import EXPAND, Expansion, parse_expand
from core.resources.filter import ListQuery, Place, parse_list_query
from core.resources.resource import render
from core.resources.row import ResourceRow
from core.resources.schema import Catalog, ResourceType
from core.streams.command import Atomic, Create, Delete, Operation, Patch, Put, Target
from core.streams.command import Item as AtomicItem
from core.streams.outcome import Committed, Refused
from gateway.api.batches import Batch, Item, Result, batch_answer, items_of
from gateway.api.call import JSON, MERGE_PATCH, PRIVATE, Answer, Call, Endpoint, Route
from gateway.api.conditions import etag, is_known, match_condition, write_condition
from gateway.api.expanding import expanded, require_all
from gateway.api.idempotency import check_key, fingerprint, key_of, own_key
from gateway.api.outcomes import committed, id_of, resource_answer, status_of
from gateway.api.pages import CURSOR, LIMIT, Cursors, limit_of, list_answer
from gateway.api.writing import Writing
from gateway.problems import problem_of

LIMIT_DEFAULT: Final = 25
LIMIT_MAX: Final = 100
ITEMS_MAX: Final = 500
EXTERNAL_ID_FIELD: Final = "external_id"
KEY_FIELD: Final = "idempotency_key"

_NOT_MODIFIED: Final = 304


class Collection:
    """Serves `/v1/{collection}` of one type.

    Args:
        type_: whose resources.
        catalog: all types, which references name.
        writing: hands writes to the log.
        reader: reads resources.
        cursors: of lists.
        origin: of this installation, for problems inside of batches.
    """

    def __init__(
        self,
        type_: ResourceType,
        catalog: Catalog,
        writing: Writing,
        reader: ResourceReader,
        cursors: Cursors,
        origin: str,
    ) -> None:
        self._type = type_
        self._catalog = catalog
        self._writing = writing
        self._reader = reader
        self._cursors = cursors
        self._origin = origin
        self._path = f"/v1/{type_.collection}"

    def routes(self) -> list[Route]:
        """Return the collection, the item and the batch."""
        read, write = f"resources.{self._type.name}:read", f"resources.{self._type.name}:write"
        json, patch = frozenset({JSON}), frozenset({JSON, MERGE_PATCH})
        return [
            Route(
                self._path,
                {
                    "GET": Endpoint(self._list, read, None),
                    "POST": Endpoint(self._create, write, media_types=json),
                },
            ),
            Route(f"{self._path}/batch", {"POST": Endpoint(self._batch, write, media_types=json)}),
            Route(
                f"{self._path}/{{id:str}}",
                {
                    "GET": Endpoint(self._get, read, frozenset({EXPAND})),
                    "PUT": Endpoint(self._put, write, media_types=json),
                    "PATCH": Endpoint(self._patch, write, media_types=patch),
                    "DELETE": Endpoint(self._delete, write),
                },
            ),
        ]

    # Writes.

    async def _create(self, call: Call) -> Answer:
        key = key_of(call.headers)
        document = read_document(call.body)
        external_id = _external_id(document)
        self._check(document, key)
        operation = Create(self._type.name, self._writing.new_id(), orjson.dumps(document), external_id)
        return await self._write(call, key, operation)

    async def _put(self, call: Call) -> Answer:
        key = key_of(call.headers)
        document = without_nulls(read_document(call.body))
        target = self._target(call)
        self._check(document, key)
        # An id is ours to give: by one only what exists can be replaced, by an own id it is made, too.
        new_id = self._writing.new_id()
        condition = write_condition(call.headers)
        return await self._write(call, key, Put(target, new_id, orjson.dumps(document), condition))

    async def _patch(self, call: Call) -> Answer:
        key = key_of(call.headers)
        patch = read_document(call.body)
        operation = Patch(self._target(call), orjson.dumps(patch), match_condition(call.headers))
        return await self._write(call, key, operation)

    async def _delete(self, call: Call) -> Answer:
        key = key_of(call.headers)
        return await self._write(call, key, Delete(self._target(call), match_condition(call.headers)))

    async def _write(self, call: Call, key: str, operation: Operation) -> Answer:
        outcome = await self._writing.submit(
            call, operation, key=key, fingerprint=fingerprint(call) if key else b""
        )
        return resource_answer(committed(outcome), self._path)

    def _check(self, document: dict[str, Any], key: str) -> None:
        # With a key the writer judges, since it alone knows whether the key has an answer already.
        if not key and (faults := faults_of(self._type, without_nulls(document))):
            raise self._invalid(faults)

    def _invalid(self, faults: list[FieldFault]) -> TidingsError:
        return invalid(f"The body does not fit the {self._type.name} type.", faults)

    def _target(self, call: Call) -> Target:
        text = call.params["id"]
        if text.startswith(EXTERNAL):
            external_id = text.removeprefix(EXTERNAL)
            if EXTERNAL_ID.fullmatch(external_id) is None:
                raise TidingsError(Code.NOT_FOUND)
            return Target(self._type.name, external_id=external_id)
        return Target(self._type.name, decode(self._type.id_prefix, text))

    # Batches.

    async def _batch(self, call: Call) -> Answer:
        key = key_of(call.headers)
        members, pairs = items_of(call.body, ITEMS_MAX, frozenset({"items", "atomic"}))
        items = [self._item(raw, value) for raw, value in pairs]
        if members.get("atomic"):
            return await self._atomic(call, key, items)
        results = await Batch(self._writing, call, key).run(items)
        shown = [self._entry(index, result) for index, result in enumerate(results)]
        return batch_answer("batch_result", results, shown)

    def _item(self, raw: bytes, value: Any) -> Item:
        if not isinstance(value, dict):
            return Item(raw, error=_no_resource("#", "Must be an object."))
        try:
            key = value.pop(KEY_FIELD, None)
            if not isinstance(key, str | None):
                raise _no_resource(f"#/{KEY_FIELD}", "Must be a string.")
            external_id = _external_id(as_stored(value))
            own = "" if key is None else check_key(key)
        except TidingsError as error:
            return Item(raw, error=error)
        operation = Create(self._type.name, self._writing.new_id(), orjson.dumps(value), external_id)
        return Item(raw, operation, key=own)

    async def _atomic(self, call: Call, key: str, items: list[Item]) -> Answer:
        changes: list[AtomicItem] = []
        broken: TidingsError | None = None
        for item in items:
            broken = _error_in_atomic(item)
            operation = item.operation if broken is None else self._impossible()
            assert isinstance(operation, Create)  # noqa: S101 (an item is an operation or an error)
            changes.append(AtomicItem(self._writing.new_id(), operation))
            if broken is not None:
                break  # what follows is refused with it
        # An answer that got lost on a link is told again by its key: events don't say what was asked.
        outcome = await self._writing.submit(
            call,
            Atomic(tuple(changes)),
            key=key or own_key(call.request_id),
            fingerprint=fingerprint(call),
        )
        if broken is not None and isinstance(outcome, Refused) and outcome.index == len(changes) - 1:
            raise _at_item(outcome.index, broken)
        effect = committed(outcome)
        results: list[Result] = [replace(member, replayed=effect.replayed) for member in effect.items]
        shown = [self._entry(index, result) for index, result in enumerate(results)]
        return batch_answer("batch_result", results, shown)

    def _impossible(self) -> Create:
        """Return what the writer refuses as not valid, in place of an item that is known not to be.

        The writer alone can tell whether one before it fails, which is the one to be named, and whether the
        key has an answer already.
        """
        return Create(self._type.name, self._writing.new_id(), b'{"id":true}')

    def _entry(self, index: int, result: Result) -> dict[str, Any]:
        if isinstance(result, Committed):
            return {"index": index, "status": status_of(result), "id": id_of(result), "seq": result.seq}
        return {"index": index, "status": result.row.status, "error": problem_of(result, origin=self._origin)}

    # Reads.

    async def _get(self, call: Call) -> Answer:
        target = self._target(call)
        expansion = self._expansion(call)
        row = await self._reader.get(call.organization_id, self._type.name, target.id, target.external_id)
        if row is None:
            raise TidingsError(Code.NOT_FOUND)
        if expansion.fields:  # what is shown then has no one version, so no ETag
            return Answer(200, (await self._shown(call, expansion, [row]))[0], cache=PRIVATE)
        headers = ((b"etag", etag(row.version)),)
        if is_known(call.headers, row.version):
            return Answer(_NOT_MODIFIED, b"", headers, cache=PRIVATE)
        return Answer(200, render(self._type, row), headers, cache=PRIVATE)

    async def _list(self, call: Call) -> Answer:
        limit = limit_of(call.query, LIMIT_DEFAULT, LIMIT_MAX)
        expansion = self._expansion(call)
        apart = (CURSOR, LIMIT, EXPAND)
        parameters = {name: text for name, text in call.query.items() if name not in apart}
        query = parse_list_query(self._catalog, self._type, parameters)
        raw = self._cursors.read(call)
        place = None if raw is None else Place.of_bytes(raw)
        rows = await self._reader.page(call.organization_id, query, place, limit + 1)
        more, rows = len(rows) > limit, rows[:limit]
        backward = place is not None and place.backward
        if backward:
            rows.reverse()
        before = more if backward else place is not None
        entries = await self._shown(call, expansion, rows)
        return list_answer(
            call,
            entries,
            next_cursor=self._cursor(call, query, rows, -1, exists=more or backward),
            previous_cursor=self._cursor(call, query, rows, 0, exists=before),
        )

    def _expansion(self, call: Call) -> Expansion:
        expansion = parse_expand(self._catalog, self._type, call.query.get(EXPAND))
        require_all(call, expansion)
        return expansion

    async def _shown(self, call: Call, expansion: Expansion, rows: list[ResourceRow]) -> list[bytes]:
        if not expansion.fields:
            return [render(self._type, row) for row in rows]
        documents = await expanded(self._reader, call.organization_id, expansion, rows)
        return [orjson.dumps(document) for document in documents]

    def _cursor(
        self, call: Call, query: ListQuery, rows: list[ResourceRow], at: int, *, exists: bool
    ) -> str | None:
        if not exists or not rows:
            return None
        return self._cursors.write(call, query.place_of(rows[at], backward=at == 0).to_bytes())


def _no_resource(pointer: str, detail: str) -> TidingsError:
    return invalid("The item is no resource.", [(pointer, "wrong_type", detail)])


def _error_in_atomic(item: Item) -> TidingsError | None:
    if item.key and item.error is None:
        fault = (f"#/{KEY_FIELD}", "not_allowed", "The one key of an atomic batch stands in the header.")
        return invalid("The item has a key of its own.", [fault])
    return item.error


def _at_item(index: int, error: TidingsError) -> TidingsError:
    """Return the refusal of an atomic batch by what is wrong with one item."""
    faults = error.members.get("errors", [])
    moved = [{**fault, "pointer": f"#/items/{index}{fault['pointer'].removeprefix('#')}"} for fault in faults]
    if not moved:
        detail = error.detail or error.row.title
        moved = [{"pointer": f"#/items/{index}", "code": "not_allowed", "detail": detail}]
    return TidingsError(
        Code.VALIDATION_FAILED, f"Item {index} was refused, and with it all others.", errors=moved
    )


def _external_id(document: dict[str, Any]) -> str:
    """Take a document's own id out of it; "" when it has none."""
    external_id = document.pop(EXTERNAL_ID_FIELD, None)
    if external_id is None:
        return ""
    if not isinstance(external_id, str) or EXTERNAL_ID.fullmatch(external_id) is None:
        fault = (f"#/{EXTERNAL_ID_FIELD}", "pattern", "1 to 128 of A-Z, a-z, 0-9, _, : and -.")
        raise invalid("The own id is not valid.", [fault])
    return external_id
