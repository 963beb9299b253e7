"""Reading resources: one by its name, and the indexes that their types ask for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import orjson
import structlog

from adapters.postgres.coalesced import Coalesced
from adapters.postgres.codec import from_timestamp, from_uuid, to_timestamp, to_uuid
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements, to_literal
from adapters.telemetry.tasks import Tasks
from core.ids import encode
from core.resources.filter import TIMES, ListQuery, Place, index_key
from core.resources.row import ExternalKey, ResourceKey, ResourceRow
from core.resources.schema import Catalog

_FIXED_ARGUMENTS: Final = 2  # organization and limit
_OPERATORS: Final = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<"}
_NAME_PART_CHARACTERS: Final = 20  # with the digest an index's name stays below PostgreSQL's 63


class ResourceReader:
    """Reads the resources of one organization at a time, as the last acknowledged commit left them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = statements("resources")
        self._tasks = Tasks("resources")
        self._by_id: Coalesced[ResourceKey, ResourceRow] = Coalesced(self._read_by_id, self._tasks)
        self._by_external_id: Coalesced[ExternalKey, ResourceRow] = Coalesced(
            self._read_by_external_id, self._tasks
        )

    async def get(
        self,
        organization_id: bytes,
        type: str,  # noqa: A002 (the resource's own name for it)
        id: bytes = b"",  # noqa: A002 (the same)
        external_id: str = "",
    ) -> ResourceRow | None:
        """Return a resource by its id or, without one, by its external id; None when there is none.

        Calls of one tick share a statement.
        """
        if id:
            return await self._by_id.get((organization_id, type, id))
        return await self._by_external_id.get((organization_id, type, external_id))

    async def page(
        self, organization_id: bytes, query: ListQuery, place: Place | None, limit: int
    ) -> list[ResourceRow]:
        """Return at most `limit` resources of a list, behind `place` or from its beginning.

        They stand in the order of the list, or in the opposite one when the place looks backward.
        """
        statement = _Page(self._sql, query)
        for named in query.named:
            row = await self.get(organization_id, named.target, external_id=named.external_id)
            if row is None:
                return []
            statement.equal(named.field, encode(named.id_prefix, row.id))
        text = statement.text(place)
        rows = await self._database.fetch(text, to_uuid(organization_id), limit, *statement.arguments)
        return [row_of(row) for row in rows]

    async def _read_by_id(self, keys: Sequence[ResourceKey]) -> dict[ResourceKey, ResourceRow]:
        rows = await self._rows("resources_by_id", keys, to_uuid)
        return {row.key: row for row in rows}

    async def _read_by_external_id(self, keys: Sequence[ExternalKey]) -> dict[ExternalKey, ResourceRow]:
        rows = await self._rows("resources_by_external_id", keys, str)
        return {(row.organization_id, row.type, row.external_id): row for row in rows}

    async def _rows(
        self, name: str, keys: Iterable[tuple[bytes, str, Any]], encoded: Callable[[Any], Any]
    ) -> list[ResourceRow]:
        organizations, types, names = zip(*keys, strict=True)
        arguments = ([to_uuid(id_) for id_ in organizations], types, [encoded(name) for name in names])
        return [row_of(row) for row in await self._database.fetch(self._sql[name], *arguments)]


class _Page:
    """One page's statement, put together from the parts of `sql/resources.sql`: values are its arguments."""

    def __init__(self, sql: Mapping[str, str], query: ListQuery) -> None:
        self.arguments: list[Any] = []
        self._sql = sql
        self._query = query
        self._conditions: list[str] = []
        for equal in query.equals:
            self.equal(equal.field, equal.value)
        for range_ in query.ranges:
            self._add(
                "page_range",
                field=range_.field,
                operator=_OPERATORS[range_.comparison],
                value=self._argument(to_timestamp(range_.at)),
            )
        if query.search:
            key, text = search_key(sql, query.search_fields), self._argument(query.search)
            self._add("page_search", key=key, text=f"{text}::text")

    def _argument(self, value: Any) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments) + _FIXED_ARGUMENTS}"

    def _json(self, value: Any) -> str:
        return self._argument(orjson.dumps(value).decode())

    def _add(self, name: str, **parts: str) -> None:
        self._conditions.append(self._sql[name].format(**parts))

    def equal(self, field: str, value: str | float) -> None:
        key, value = self._json(index_key(value)), self._json(value)
        self._add("page_equal", field=to_literal(field), key=key, value=value)

    def text(self, place: Place | None) -> str:
        query = self._query
        descending = query.descending != (place is not None and place.backward)
        by_time = query.sort in TIMES
        field = query.sort if by_time else to_literal(query.sort)
        if place is not None:
            parts = {
                "field": field,
                "operator": "<" if descending else ">",
                "id": self._argument(to_uuid(place.id)),
            }
            parts["at"] = self._argument(to_timestamp(place.at))
            if by_time:
                self._add("page_behind_time", **parts)
            else:
                self._add("page_behind_key", key=self._json(place.key), **parts)
        order = self._sql["order_by_time" if by_time else "order_by_key"]
        return self._sql["page"].format(
            type=to_literal(query.type),
            conditions="\n".join(self._conditions),
            order=order.format(field=field, direction="DESC" if descending else "ASC"),
        )


def row_of(row: Any) -> ResourceRow:
    """Return a resource of a row that has all its columns."""
    return ResourceRow(
        from_uuid(row["organization_id"]),
        row["type"],
        from_uuid(row["id"]),
        row["external_id"] or "",
        row["data"],
        row["version"],
        from_timestamp(row["created_at"]),
        from_timestamp(row["updated_at"]),
    )


async def ensure_indexes(database: Database, catalog: Catalog) -> None:
    """Make the indexes of fields that types list, and drop those that none lists any more.

    Writers go on meanwhile. One that a crash left unfinished is made anew. Does nothing while another
    process does it.
    """
    sql = statements("resources")
    log = structlog.get_logger()
    wanted = _wanted_indexes(sql, catalog)
    async with database.session() as connection:
        if not await connection.fetchval(sql["only_maker_of_indexes"]):
            return
        existing = {row["name"]: row["valid"] for row in await connection.fetch(sql["field_indexes"])}
        for name, valid in existing.items():
            if name not in wanted or not valid:
                await connection.execute(sql["drop_field_index"].format(name=name))
                log.info("index.dropped", index=name, finished=valid)
        for name, statement in wanted.items():
            if not existing.get(name, False):
                await connection.execute(statement)
                log.info("index.made", index=name)


def _wanted_indexes(sql: Mapping[str, str], catalog: Catalog) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for type_ in catalog.by_name.values():
        literal = to_literal(type_.name)
        for field in type_.index:
            name = index_name(type_.name, field)
            wanted[name] = sql["make_field_index"].format(name=name, type=literal, field=to_literal(field))
        if type_.search:
            name = index_name(type_.name, "search", *type_.search)
            key = search_key(sql, type_.search)
            wanted[name] = sql["make_search_index"].format(name=name, type=literal, key=key)
    return wanted


def search_key(sql: Mapping[str, str], fields: Sequence[str]) -> str:
    """Return the expression that a type's resources are found by, the same in its index and its queries."""
    texts = (sql["search_text"].format(field=to_literal(field)) for field in fields)
    return sql["search_key"].format(texts=" || ' ' || ".join(texts))


def index_name(type_name: str, *parts: str) -> str:
    """Return the name of the index of a field, or of a type's search: readable, unique, short enough."""
    digest = sha256(".".join((type_name, *parts)).encode()).hexdigest()[:8]
    readable = f"{type_name[:_NAME_PART_CHARACTERS]}_{parts[0][:_NAME_PART_CHARACTERS]}".lower()
    safe = "".join(c if c.isascii() and c.isalnum() else "_" for c in readable)
    return f"resources_by_{safe}_{digest}"
