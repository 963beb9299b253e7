"""Rows of the statement `read`, put into the places where decisions look for them."""

from typing import Any

from adapters.postgres.codec import from_timestamp, from_uuid, stream_state
from core.streams.append import Found, KeyRow, ResourceRow, Version


def found_in(rows: list[Any]) -> Found:
    """Sort the rows of one `read` by their kind."""
    found = Found()
    for row in rows:
        organization_id = from_uuid(row["organization_id"])
        match row["kind"]:
            case "stream":
                found.streams[organization_id] = stream_state(row["a"], row["n"], row["d"], row["t"])
            case "channel":
                found.channels[organization_id, row["a"]] = row["n"]
            case "version":
                found.versions[organization_id, row["a"]] = Version(row["n"], row["b"])
            case "key":
                found.keys[organization_id, row["a"]] = KeyRow(organization_id, row["a"], row["x"], row["y"])
            case "resource":
                _add_resource(found, organization_id, row)
            case "external":
                resource = _add_resource(found, organization_id, row)
                found.externals[organization_id, resource.type, resource.external_id] = resource.key
            case "referrer":
                resource = _add_resource(found, organization_id, row)
                field, _, refers_to = row["c"].rpartition(" ")  # an id holds no space; a field's name may
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
