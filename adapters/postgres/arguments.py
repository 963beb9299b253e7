"""Batches as parallel arrays: the arguments of `read` and `append`, in the order of `sql/commit.sql`."""

from typing import Any

from adapters.postgres.codec import to_date, to_timestamp, to_uuid
from adapters.postgres.queries import statements, to_literal
from core.streams.append import REFERRERS_MAX, Append, Needs
from core.streams.event import seal_envelope

Arguments = tuple[Any, ...]


def read_arguments(partition_id: int, needs: Needs) -> Arguments:
    """Return the arguments of `read`, without those of its branches for referrers."""
    return (
        partition_id,
        [to_uuid(organization_id) for organization_id in needs.organizations],
        *_columns(2, ((to_uuid(o), channel) for o, channel in needs.channels)),
        *_columns(2, ((to_uuid(o), key) for o, key in needs.keys)),
        *_columns(3, ((to_uuid(o), type_, to_uuid(id_)) for o, type_, id_ in needs.resources)),
        *_columns(3, ((to_uuid(o), type_, external) for o, type_, external in needs.externals)),
        *_columns(2, ((to_uuid(o), channel) for o, channel in needs.versions)),
    )


def referrer_branches(needs: Needs, first_argument: int) -> tuple[str, Arguments]:
    """Return the branches that `read` needs for referrers, and their arguments from `first_argument` on.

    There are as many texts as sets of reference fields that are asked for together, so few.
    """
    fields: dict[tuple[str, str], list[tuple[Any, str]]] = {}
    for organization_id, type_, field, refers_to in needs.referrers:
        fields.setdefault((type_, field), []).append((to_uuid(organization_id), refers_to))
    template = statements("commit")["read_referrers"]
    branches: list[str] = []
    arguments: list[Any] = []
    for type_, field in sorted(fields):
        number = first_argument + len(arguments)
        branches.append(
            template.format(
                type=to_literal(type_),
                field=to_literal(field),
                organizations=number,
                refers_to=number + 1,
                limit=REFERRERS_MAX + 1,
            )
        )
        arguments += _columns(2, fields[type_, field])
    return "\n".join(branches), tuple(arguments)


def append_arguments(partition_id: int, epoch: int, append: Append) -> Arguments:
    """Return the arguments of `append`."""
    organizations = {move.organization_id: to_uuid(move.organization_id) for move in append.streams}
    return (
        partition_id,
        epoch,
        *_columns(
            4,
            (
                (organizations[m.organization_id], m.read_seq, m.last_seq, to_date(m.day))
                for m in append.streams
            ),
        ),
        *_columns(
            3, ((organizations[o], channel, offset) for (o, channel), offset in append.channels.items())
        ),
        *_events(append, organizations),
        *_columns(
            5,
            (
                (to_uuid(k.organization_id), k.key, to_date(day), k.fingerprint, k.answer)
                for day, k in append.keys
            ),
        ),
        *_resources(append),
        *_columns(3, ((to_uuid(o), type_, to_uuid(id_)) for o, type_, id_ in append.deletions)),
        *_columns(
            4,
            (
                (organizations[o], channel, last.version, last.epoch)
                for (o, channel), last in append.versions.items()
            ),
        ),
    )


def _events(append: Append, organizations: dict[bytes, Any]) -> Arguments:
    events = [
        (
            organizations[organization_id],
            event.seq,
            to_date(day),
            to_uuid(event.id),
            event.type,
            event.data,
            seal_envelope(event),
            to_timestamp(event.created_at),
        )
        for organization_id, day, event in append.events
    ]
    entries = (
        (organizations[organization_id], channel, offset, event.seq, to_date(day))
        for organization_id, day, event in append.events
        for channel, offset in event.entries
    )
    return (*_columns(8, events), *_columns(5, entries))


def _resources(append: Append) -> Arguments:
    return _columns(
        8,
        (
            (
                to_uuid(row.organization_id),
                row.type,
                to_uuid(row.id),
                row.external_id or None,
                row.data.decode(),
                row.version,
                to_timestamp(row.created_at),
                to_timestamp(row.updated_at),
            )
            for row in append.resources
        ),
    )


def _columns(width: int, rows: Any) -> Arguments:
    """Turn rows into parallel lists, of which there are `width` also when there is no row."""
    columns = tuple(zip(*rows, strict=True))
    return tuple(list(column) for column in columns) if columns else tuple([] for _ in range(width))
