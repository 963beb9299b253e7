"""What a batch wrote is what the next one reads, each thing at the place where it is looked for."""

import asyncio
import itertools
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.postgres.codec import to_uuid
from adapters.postgres.commit import Appended, CommitConnection
from adapters.postgres.found import found_in
from core.instants import day_number
from core.streams.append import Found, KeyRow, Needs, ResourceRow, StreamState
from tests.helpers.log import ADDRESS, EPOCH, OWNER, LogWriter, make_organization, new_id, resource

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
CHANNELS = st.lists(st.lists(TEXT, min_size=1, max_size=3, unique=True), min_size=1, max_size=4)
KEYS = st.dictionaries(TEXT, st.tuples(st.binary(max_size=40), st.binary(max_size=40)), max_size=3)
EXTERNALS = st.lists(st.one_of(st.just(""), TEXT), max_size=4, unique_by=lambda name: name or object())
_numbers = itertools.count(1)


def without_data(row: ResourceRow) -> tuple[Any, ...]:
    return (*row.key, row.external_id, row.version, row.created_at, row.updated_at)


class Pen:
    """A connection on a loop that lasts as long as the test."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self.url = url
        self.run = runner.run
        self.connection = self.run(CommitConnection.open(url, deadline_s=5))
        taken = self.run(self.connection.take(0, OWNER, ADDRESS, 60))
        assert taken is not None
        self.epoch = taken.epoch


@given(CHANNELS, KEYS, EXTERNALS, PLAIN)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def check_round_trip(
    pen: Pen,
    channels: list[list[str]],
    keys: dict[str, tuple[bytes, bytes]],
    externals: list[str],
    name: str,
) -> None:
    org = pen.run(make_organization(pen.url))
    writer = LogWriter(org)
    day = day_number(writer.at)
    key_rows = [KeyRow(org, key, *rest) for key, rest in keys.items()]
    append = writer.batch(*(writer.event(*names) for names in channels))
    append.keys += [(day, row) for row in key_rows]
    append.resources += [
        resource(org, "room", orjson.dumps({"name": name, "room_id": "r"}), external)
        for external in externals
    ]
    assert pen.run(pen.connection.append(0, pen.epoch, append)) == Appended()
    needs = Needs(
        organizations={org},
        channels={*append.channels, (org, "never seen")},
        keys={*((org, row.key) for row in key_rows), (org, "never used")},
        resources={row.key for row in append.resources},
        externals={(org, "room", external) for external in [*externals, "nobody"] if external},
        referrers={(org, "room", "room_id", "r"), (org, "room", "room_id", "s")},
    )
    found = pen.run(pen.connection.read(0, needs))
    assert found.streams == {org: StreamState(EPOCH, len(channels), day, writer.at)}
    assert found.channels == append.channels
    assert found.keys == {(org, row.key): row for row in key_rows}
    by_key = {row.key: row for row in append.resources}
    assert found.externals == {(org, "room", r.external_id): r.key for r in by_key.values() if r.external_id}
    assert {key: without_data(row) for key, row in found.resources.items()} == {
        key: without_data(row) for key, row in by_key.items()
    }
    assert all(orjson.loads(row.data)["name"] == name for row in found.resources.values())
    referring = found.referrers.get((org, "room", "room_id", "r"), [])
    assert sorted(referring) == sorted(by_key)
    assert found.referrers.keys() <= {(org, "room", "room_id", "r")}


def test_what_was_appended_is_what_is_read(database_url: str) -> None:
    with asyncio.Runner() as runner:
        pen = Pen(database_url, runner)
        check_round_trip(pen)
        pen.run(pen.connection.close())


def row(kind: str, org: bytes, **columns: Any) -> dict[str, Any]:
    """Return a row of `read` as the driver gives it."""
    return {"kind": kind, "organization_id": to_uuid(org), **dict.fromkeys("abxyndtuc"), **columns}


def test_no_row_means_nothing_was_there() -> None:
    assert found_in([]) == Found()


def test_a_row_of_a_kind_that_nobody_asked_for_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="surprise"):
        found_in([row("surprise", new_id())])
