"""The page of the REST API: what the code's own table of routes says, and a sentence for each."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, cast

from adapters.schemas import load_catalog
from adapters.telemetry.metrics import RequestMetrics
from core.auth.scopes import AREAS
from gateway.api.app import ApiParts, routes
from gateway.api.call import Endpoint
from settings import Settings

OF_RESOURCES: Final = "resources."
HEAD: Final = """\
{notice}
# The REST API

Every route, with the scope that a key must have and the query parameters that exist: any other is refused, as
is one that is sent twice. A key stands in `Authorization: Bearer tdg_…`. Bodies and answers are JSON.

- **Answers** say in `object` what they are. A list is
  `{{"object": "list", "data": […], "has_more": …, "next_cursor": …}}`: pass `next_cursor` as `cursor` to the
  same path with the same filters. `limit` is how many entries a page has.
- **Errors** are `application/problem+json`; switch on their `code`
  ([error-codes.md](../operations/error-codes.md)).
- **Writes** may bring an `Idempotency-Key`: the same key has one effect and one answer, for at least 24 h.
  What has an `ETag` is changed with `If-Match` only if it still is what was read.
- HEAD goes wherever GET does, and OPTIONS says what a path knows. `Tidings-Version` names the API's version,
  and may be left out.

"""
RESOURCES: Final = """\
## Resources

Each file in `schemas/` is a type with a collection of its own: `rooms` and `messages` as Tidings comes.
`{id}` is the resource's id, or `ext:` and its `external_id`. Its fields are those of the type, `external_id`
and `metadata`. Lists are filtered by the fields that the type names in `index` (`author=ann`), by references
(`room_id=ext:lobby`), and by `created_at` and `updated_at` with `[gte]`, `[gt]`, `[lte]`, `[lt]`; `sort` is a
field of `index` or one of these times, with `-` in front for the other way round.

"""
STREAMS: Final = """\
## Streams, sockets, and what else answers

[protocol.md](../protocol.md) describes them.

| path | scope | |
|---|---|---|
| `GET /v1/events/stream` | `events:read` | the organization's log over SSE; `after`, `types` |
| `GET /v1/channels/{channel}/stream` | `channels:read` | one channel over SSE; `after` |
| `/connection/…`, `/emulation` | | Centrifuge clients, with a key or a [token](../tokens.md) |
| `POST /api/{method}` | | [Centrifugo's HTTP API](../moving-from-centrifugo.md), for those who move |

On a socket a key subscribes and reads history and presence by `channels:read`, and publishes by
`channels:write`.

`/healthz`, `/readyz`, `/metrics` and `/problems/{code}` ask nobody for a key. The metrics are those of the
REST replica that answers: its memory, and counts and times by method, route and status; no organization's
name or data. Who must not see them is to be kept away in front of the edge.

"""
SCOPES: Final = """\
## Scopes

`tidings keys create --scope channels:read --scope events:read` makes a key with two of them, and without
`--scope` it has all. `write` includes `read`, and `resources:write` includes `resources.message:write` and
that of every other type.

"""
SENTENCES: Final = {
    "GET /healthz": "the process is alive",
    "GET /readyz": "it reaches its database",
    "GET /metrics": "figures in the text format of Prometheus",
    "GET /problems/{code}": "what an error code means: `problem_type`",
    "GET /v1/events": (
        "the organization's log, oldest first: a list of `event`. `after=<epoch>:<seq>`, "
        "`types=message.*,room.created`"
    ),
    "GET /v1/events/{event_id}": "one `event`",
    "GET /v1/channels/{channel}/publications": (
        "a list of `publication`. `after=<epoch>:<offset>`; `sort=-offset`: newest first"
    ),
    "POST /v1/channels/{channel}/publications": "publish `{data, tags?}`: `publication`",
    "POST /v1/publish": (
        "publish `{items: [{channel or channels, data, tags?, idempotency_key?}]}`, each by itself: "
        "`publish_result`"
    ),
    "GET /v1/channels/{channel}/presence": (
        "who is in the channel: a list of `member`, where the namespace has `presence`"
    ),
    "GET /v1/channels/{channel}/presence/stats": "how many are: `presence_stats`",
    "GET /v1/channels": "the channels that anybody is in: a list of `channel`. `pattern=room:*`",
    "GET /v1/connections": (
        "connections of the user, there and gone: a list of `connection` ([traces.md](../traces.md))"
    ),
    "GET /v1/connections/{client}": "every step of one `connection`",
    "GET /v1/channels/{channel}/publications/{offset}/deliveries": (
        "why the client, or the user's clients, got it or not: `delivery_trace`"
    ),
    "GET /v1/channels/{channel}/cursors": (
        "how far users have got and read: a list of `channel_cursor` ([cursors.md](../cursors.md))"
    ),
    "GET /v1/channels/{channel}/cursors/{user}": "one `channel_cursor`",
    "PUT /v1/channels/{channel}/cursors/{user}": "`{delivered_offset?, read_offset?}`: moves it forward",
    "GET /v1/users/{user}/cursors": "all of a user: a list of `channel_cursor`",
    "GET /v1/channel_namespaces": "a list of `channel_namespace` ([namespaces.md](../namespaces.md))",
    "GET /v1/channel_namespaces/{name}": "one `channel_namespace`",
    "PUT /v1/channel_namespaces/{name}": "these options and no others",
    "PATCH /v1/channel_namespaces/{name}": "changes the options that it names",
    "DELETE /v1/channel_namespaces/{name}": "takes it away",
    "GET /v1/organization": (
        "`organization`: what holds for all its clients ([namespaces.md](../namespaces.md#the-organization))"
    ),
    "PATCH /v1/organization": "changes what it names",
    "GET /v1/organization/backend": "your own backend ([backend.md](../backend.md))",
    "PUT /v1/organization/backend": "replaces it; `{}` switches it off",
    "GET /v1/organization/token_keys": "`token_keys`: whose tokens are believed ([tokens.md](../tokens.md))",
    "PUT /v1/organization/token_keys": "replaces them",
    "POST /v1/connection_tokens": (
        "`{user, …}`: makes a `connection_token`; with `channel`, one for a subscription"
    ),
    "POST /v1/connection_tokens/revoke": "`{user, …}`: takes tokens back: `revocation`",
    "GET /v1/{collection}": (
        "a list; `q` finds words in the type's `search` fields, `expand=room_id` shows what is referred to"
    ),
    "POST /v1/{collection}": "makes one",
    "POST /v1/{collection}/batch": (
        "makes `{items: […], atomic?}`, up to 1,000: `batch_result`. `atomic`: all or none"
    ),
    "GET /v1/{collection}/{id}": "one",
    "PUT /v1/{collection}/{id}": "replaces one; by `ext:…` it makes one, too",
    "PATCH /v1/{collection}/{id}": "changes the fields that it names; null takes one away",
    "DELETE /v1/{collection}/{id}": "deletes one",
}
OF_LISTS: Final = ("cursor", "expand", "limit", "q", "sort")
"""What every list of resources knows besides filters, which are the type's own."""


def rest(notice: str, schemas_dir: Path) -> str:
    """Return the page.

    Raises:
        KeyError: a route has no sentence.
        ValueError: a sentence has no route.
    """
    served = list(_served(schemas_dir))
    if idle := SENTENCES.keys() - {name for name, _ in served}:
        raise ValueError(idle)
    fixed = [(name, endpoint) for name, endpoint in served if "{collection}" not in name]
    of_types = [(name, endpoint) for name, endpoint in served if "{collection}" in name]
    parts = (
        *(HEAD.format(notice=notice), *_table(fixed), ""),
        *(RESOURCES, *_table(of_types), ""),
        STREAMS,
        *(SCOPES, *_scopes(served), ""),
    )
    return "\n".join(part.removesuffix("\n") for part in parts)


def _served(schemas_dir: Path) -> Iterator[tuple[str, Endpoint]]:
    """Yield `METHOD /path` and what answers, of the types' routes only the first type's."""
    catalog = load_catalog(schemas_dir)
    type_ = next(iter(catalog.by_name.values()))
    # Only the table is wanted: nothing that is opened elsewhere is ever asked.
    missing = cast("Any", None)
    parts = ApiParts(
        settings=Settings(),
        catalog=catalog,
        **{name: missing for name in ApiParts.__dataclass_fields__ if name not in ("settings", "catalog")},
    )
    for route in routes(parts, RequestMetrics()):
        path = route.path.replace(":str}", "}")
        for method, endpoint in route.endpoints.items():
            scope = endpoint.scope or ""
            if not scope.startswith(OF_RESOURCES):
                yield f"{method} {path}", endpoint
            elif scope.startswith(f"{OF_RESOURCES}{type_.name}:"):
                yield f"{method} {path.replace(f'/v1/{type_.collection}', '/v1/{collection}')}", endpoint


def _table(served: Iterable[tuple[str, Endpoint]]) -> Iterator[str]:
    yield from ("| route | scope | parameters | |", "|---|---|---|---|")
    for name, endpoint in served:
        scope = endpoint.scope or ""
        if scope.startswith(OF_RESOURCES):
            scope = f"{OF_RESOURCES}<type>:{scope.partition(':')[2]}"
        parameters = sorted(OF_LISTS if endpoint.parameters is None else endpoint.parameters)
        known = ", ".join(f"`{parameter}`" for parameter in parameters)
        filters = ", filters" if endpoint.parameters is None else ""
        yield f"| `{name}` | {f'`{scope}`' if scope else ''} | {known}{filters} | {SENTENCES[name]} |"


def _scopes(served: Iterable[tuple[str, Endpoint]]) -> Iterator[str]:
    asked: dict[str, set[str]] = {area: set() for area in AREAS}
    for _, endpoint in served:
        if endpoint.scope:
            subject, _, verb = endpoint.scope.partition(":")
            asked[subject.partition(".")[0]].add(verb)
    yield from ("| area | scopes | |", "|---|---|---|")
    for area, verbs in sorted(asked.items()):
        own = f"`{area}:read`, `{area}:write`"
        used = "" if verbs else "no route asks for it in this release"
        if area == "resources":
            own += ", and for one type `resources.<type>:read`, `resources.<type>:write`"
        yield f"| {area} | {own} | {used} |"
