"""Namespaces over REST: what the channels of each may do."""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
import orjson
from msgspec.structs import replace

from adapters.postgres.namespaces import Neighbours, RuleStore, StoredNamespace
from core.channels.name import NAME_CHARACTERS_MAX, SYSTEM
from core.channels.namespace import NAMESPACES_MAX, OWN, WITHOUT_NAMESPACE, Options, faults_of
from core.channels.regex import HEAVY_OF_ORGANIZATION_MAX, is_heavy
from core.errors import Code, TidingsError, bad_parameter
from core.instants import format_instant
from core.resources.document import invalid, read_document, without_nulls
from core.resources.patch import merge
from core.resources.schema import Catalog
from core.resources.typed import typed
from gateway.api.call import JSON, MERGE_PATCH, PRIVATE, Answer, Call, Endpoint, Header, Route
from gateway.api.conditions import check_condition, etag, is_known, match_condition, write_condition
from gateway.api.once import once
from gateway.api.pages import CURSOR, LIMIT, Cursors, limit_of, list_answer
from gateway.api.writing import Writing
from gateway.auth import Authenticator

PATH: Final = "/v1/channel_namespaces"
LIMIT_DEFAULT: Final = 25
LIMIT_MAX: Final = 100

_NAME: Final = re.compile(rf"_|[-a-zA-Z0-9_.]{{2,{NAME_CHARACTERS_MAX}}}", re.ASCII)
_NOT_MODIFIED: Final = 304


class Namespaces:
    """Serves `/v1/channel_namespaces`.

    A write answers when it is stored; within a second every process knows it.

    Args:
        rules: where namespaces are kept.
        writing: keeps answers under keys.
        authenticator: knows what holds for those that are not configured.
        catalog: resource types, whose names are known namespaces.
        cursors: of lists.
    """

    def __init__(
        self,
        rules: RuleStore,
        writing: Writing,
        authenticator: Authenticator,
        catalog: Catalog,
        cursors: Cursors,
    ) -> None:
        self._rules = rules
        self._writing = writing
        self._authenticator = authenticator
        self._types = catalog.names
        self._cursors = cursors

    def routes(self) -> list[Route]:
        """Return the list and the item."""
        read, write = "channels:read", "channels:write"
        patch = frozenset({JSON, MERGE_PATCH})
        return [
            Route(PATH, {"GET": Endpoint(self._list, read, frozenset({LIMIT, CURSOR}))}),
            Route(
                f"{PATH}/{{name:str}}",
                {
                    "GET": Endpoint(self._get, read),
                    "PUT": Endpoint(once(self._writing, self._put), write, media_types=frozenset({JSON})),
                    "PATCH": Endpoint(once(self._writing, self._patch), write, media_types=patch),
                    "DELETE": Endpoint(once(self._writing, self._delete), write),
                },
            ),
        ]

    async def _list(self, call: Call) -> Answer:
        limit = limit_of(call.query, LIMIT_DEFAULT, LIMIT_MAX)
        after = (self._cursors.read(call) or b"").decode()
        rows = await self._rules.namespaces(call.organization_id, after, limit + 1)
        more, rows = len(rows) > limit, rows[:limit]
        cursor = self._cursors.write(call, rows[-1].name.encode()) if more else None
        return list_answer(call, [_shown(row) for row in rows], next_cursor=cursor)

    async def _get(self, call: Call) -> Answer:
        name = call.params["name"]
        stored = await self._rules.namespace(call.organization_id, name) if _is_name(name) else None
        if stored is None:
            raise TidingsError(Code.NOT_FOUND)
        headers = ((b"etag", etag(stored.version)),)
        if is_known(call.headers, stored.version):
            return Answer(_NOT_MODIFIED, b"", headers, cache=PRIVATE)
        return Answer(200, _shown(stored), headers, cache=PRIVATE)

    async def _put(self, call: Call) -> Answer:
        condition = write_condition(call.headers)
        options = _valid(without_nulls(read_document(call.body)))

        def put(stored: StoredNamespace | None) -> Options:
            check_condition(condition, stored.version if stored else 0)
            return options

        return await self._write(call, put)

    async def _patch(self, call: Call) -> Answer:
        """Change what holds: of a namespace that is not configured that is what it has all the same."""
        condition = match_condition(call.headers)
        patch = read_document(call.body)
        otherwise = await self._otherwise(call)

        def change(stored: StoredNamespace | None) -> Options:
            check_condition(condition, stored.version if stored else 0)
            before = stored.options if stored else otherwise
            return _valid(merge(msgspec.to_builtins(before), patch))

        return await self._write(call, change)

    async def _otherwise(self, call: Call) -> Options:
        organization = await self._authenticator.organization(call.organization_id)
        name = call.params["name"]
        if name == WITHOUT_NAMESPACE or name in self._types or organization.channels.unknown == "allow":
            return replace(OWN, allow_publish_for_client=organization.client_publish)
        return Options()

    async def _write(self, call: Call, change: Callable[[StoredNamespace | None], Options]) -> Answer:
        name = call.params["name"]
        if not _is_name(name):
            detail = "Must be _ or at least two of a-z, A-Z, 0-9, -, _ and the full stop."
            raise bad_parameter("name", "pattern", detail)
        if name == SYSTEM:
            raise bad_parameter("name", "not_allowed", "These are the system's own channels.")
        is_new = False

        def checked(stored: StoredNamespace | None, neighbours: Neighbours) -> Options:
            nonlocal is_new
            is_new = stored is None
            options = change(stored)
            if is_new and neighbours.count >= NAMESPACES_MAX:
                raise TidingsError(
                    Code.RULE_VIOLATED, f"An organization has at most {NAMESPACES_MAX} namespaces."
                )
            _check_weight(options.channel_regex, neighbours)
            return options

        stored = await self._rules.change_namespace(call.organization_id, name, checked)
        assert stored is not None  # noqa: S101 (nothing was taken away)
        headers: tuple[Header, ...] = ((b"etag", etag(stored.version)),)
        if is_new:
            headers += ((b"location", f"{PATH}/{name}".encode()),)
        return Answer(201 if is_new else 200, _shown(stored), headers, cache=PRIVATE)

    async def _delete(self, call: Call) -> Answer:
        condition = match_condition(call.headers)
        name = call.params["name"]
        if not _is_name(name):
            raise TidingsError(Code.NOT_FOUND)

        def delete(stored: StoredNamespace | None, _neighbours: Neighbours) -> None:
            if stored is None:
                raise TidingsError(Code.NOT_FOUND)
            check_condition(condition, stored.version)

        await self._rules.change_namespace(call.organization_id, name, delete)
        return Answer(200, orjson.dumps({"object": "channel_namespace", "name": name, "deleted": True}))


def _check_weight(regex: str, neighbours: Neighbours) -> None:
    if not regex or not is_heavy(regex):
        return
    if sum(map(is_heavy, neighbours.regexes)) >= HEAVY_OF_ORGANIZATION_MAX:
        detail = f"An organization has at most {HEAVY_OF_ORGANIZATION_MAX} that compile to more than 64 KiB."
        raise TidingsError(Code.RULE_VIOLATED, f"{detail} Repeat large classes, as \\pL, without a number.")


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _valid(document: dict[str, Any]) -> Options:
    options = typed(Options, document)
    if faults := faults_of(options):
        raise invalid("The options do not fit together.", faults)
    return options


def _shown(stored: StoredNamespace) -> bytes:
    return orjson.dumps(
        {
            "object": "channel_namespace",
            "name": stored.name,
            **msgspec.to_builtins(stored.options),
            "version": stored.version,
            "created_at": format_instant(stored.created_at),
            "updated_at": format_instant(stored.updated_at),
        }
    )
