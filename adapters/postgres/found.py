"""Rows of the statement `read`, put into the places where decisions look for them."""

from typing import Any

from adapters.postgres.codec import from_date, from_timestamp, from_uuid
from core.streams.append import Found, KeyRow, ResourceRow, StreamState


def found_in(rows: list[Any]) -> Found:
    """Sort the rows of one `read` by their kind."""
    found = Found()
    for row in rows:
        organization_id = from_uuid(row["organization_id"])
        match row["kind"]:
            case "stream":
                last_day = from_date(row["d"]) if row["n"] else 0
                found.streams[organization_id] = StreamState(row["a"], row["n"], last_day)
            case "channel":
                found.channels[organization_id, row["a"]] = row["n"]
            case "key":
                found.keys[organization_id, row["a"]] = KeyRow(organization_id, row["a"], row["x"], row["y"])
            case "resource":
                _add_resource(found, organization_id, row)
            case "external":
                resource = _add_resource(found, organization_id, row)
                found.externals[organization_id, resource.type, resource.external_id] = resource.key
            case "referrer":
                resource = _add_resource(found, organization_id, row)
                field, _, refers_to = row["c"].partition(" ")
                key = (organization_id, resource.type, field, refers_to)
                found.referrers.setdefault(key, []).append(resource.key)
            case kind:
                raise AssertionError(kind)
    return found


def _add_resource(found: Found, organization_id: bytes, row: Any) -> ResourceRow:
    resource = ResourceRow(
        organization_id,
        row["a"],
        from_uuid(row["id"]),
        row["b"] or "",
        row["x"],
        row["n"],
        from_timestamp(row["t"]),
        from_timestamp(row["u"]),
    )
    found.resources[resource.key] = resource
    return resource
