"""The organization itself over REST: its name, who is let in, and what its clients may do."""

from typing import Final

import msgspec
import orjson

from adapters.postgres.namespaces import RuleStore, StoredOrganization
from core.auth.organization import OrganizationOptions
from core.errors import Code, TidingsError
from core.ids import encode
from core.instants import format_instant
from core.resources.document import read_document
from core.resources.patch import merge
from core.resources.typed import typed
from gateway.api.call import JSON, MERGE_PATCH, PRIVATE, Answer, Call, Endpoint, Route
from gateway.api.conditions import check_condition, etag, is_known, match_condition
from gateway.api.once import once
from gateway.api.writing import Writing

PATH: Final = "/v1/organization"

_NOT_MODIFIED: Final = 304


class OwnOrganization:
    """Serves `/v1/organization`: the caller's own, the only one there is for it.

    A change holds everywhere within a second.

    Args:
        rules: where organizations are kept.
        writing: keeps answers under keys.
    """

    def __init__(self, rules: RuleStore, writing: Writing) -> None:
        self._rules = rules
        self._writing = writing

    def routes(self) -> list[Route]:
        """Return what is served here."""
        patch = frozenset({JSON, MERGE_PATCH})
        return [
            Route(
                PATH,
                {
                    "GET": Endpoint(self._get, "organization:read"),
                    "PATCH": Endpoint(
                        once(self._writing, self._patch), "organization:write", media_types=patch
                    ),
                },
            )
        ]

    async def _get(self, call: Call) -> Answer:
        stored = await self._rules.organization(call.organization_id)
        if stored is None:
            raise TidingsError(Code.NOT_FOUND)
        if is_known(call.headers, stored.version):
            return Answer(_NOT_MODIFIED, b"", ((b"etag", etag(stored.version)),), cache=PRIVATE)
        return _answer(call, stored)

    async def _patch(self, call: Call) -> Answer:
        condition = match_condition(call.headers)
        patch = read_document(call.body)

        def change(stored: StoredOrganization) -> OrganizationOptions:
            check_condition(condition, stored.version)
            return typed(OrganizationOptions, merge(msgspec.to_builtins(stored.options), patch))

        return _answer(call, await self._rules.change_organization(call.organization_id, change))


def _answer(call: Call, stored: StoredOrganization) -> Answer:
    shown = {
        "id": encode("org", call.organization_id),
        "object": "organization",
        "environment": stored.environment,
        "status": stored.status,
        **msgspec.to_builtins(stored.options),
        "version": stored.version,
        "created_at": format_instant(stored.created_at),
        "updated_at": format_instant(stored.updated_at),
    }
    return Answer(200, orjson.dumps(shown), ((b"etag", etag(stored.version)),), cache=PRIVATE)
