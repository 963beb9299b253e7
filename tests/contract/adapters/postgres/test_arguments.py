"""A batch becomes the arguments that its statement takes, however large or empty it is."""

from collections.abc import Sequence
from typing import Any

import asyncpg
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgres.arguments import append_arguments, read_arguments, referrer_branches
from adapters.postgres.queries import statements
from core.streams.append import REFERRERS_MAX, Append, KeyRow, Needs, Version
from tests.helpers.log import LogWriter, new_id, resource
from tests.helpers.loop import run

READ_COLUMNS = (1, 2, 2, 3, 3, 2)
APPEND_COLUMNS = (4, 3, 8, 5, 5, 8, 3, 4)
"""How many arrays belong together, in the order of `sql/commit.sql`."""

ORGS = st.sampled_from([bytes([number]) * 16 for number in range(3)])
TYPES = st.sampled_from(["room", "message", "it's"])
FIELDS = st.sampled_from(["room_id", "reply_to"])
REFERRERS = st.sets(st.tuples(ORGS, TYPES, FIELDS, st.text(max_size=5)), max_size=30)


def lengths(arrays: Sequence[Any], columns: Sequence[int]) -> list[set[int]]:
    """Return for each group of arrays the different lengths in it."""
    assert len(arrays) == sum(columns)
    found, start = [], 0
    for width in columns:
        found.append({len(array) for array in arrays[start : start + width]})
        start += width
    return found


def test_nothing_needed_and_nothing_written_are_arguments_too() -> None:
    _, *read = read_arguments(7, Needs())
    _, _, *append = append_arguments(7, 1, Append())
    assert lengths(read, READ_COLUMNS) == [{0}] * len(READ_COLUMNS)
    assert lengths(append, APPEND_COLUMNS) == [{0}] * len(APPEND_COLUMNS)


def test_rows_of_one_kind_make_arrays_of_one_length() -> None:
    writer = LogWriter(new_id())
    org = writer.organization_id
    events = [writer.event("a", "b"), writer.event("a"), writer.event("c")]
    append = writer.batch(*events, keys=(KeyRow(org, "k", b"f", b"a"),))
    append.resources += [resource(org, "room", b"{}"), resource(org, "room", b"{}", "external")]
    append.deletions += [(org, "room", new_id())]
    append.versions[org, "a"] = Version(1, "")
    partition_id, epoch, *arrays = append_arguments(3, 9, append)
    assert (partition_id, epoch) == (3, 9)
    assert lengths(arrays, APPEND_COLUMNS) == [{1}, {3}, {3}, {4}, {1}, {2}, {1}, {1}]
    external_ids = arrays[sum(APPEND_COLUMNS[:5]) + 3]
    assert external_ids == [None, "external"]


def test_the_server_takes_as_many_arguments_as_are_made(database_url: str) -> None:
    needs = Needs(referrers={(new_id(), "room", field, "room_1") for field in ("one", "two")})
    reading = read_arguments(0, needs)
    branches, more = referrer_branches(needs, len(reading) + 1)
    sql = statements("commit")

    async def work() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            read = await connection.prepare(sql["read"])
            with_referrers = await connection.prepare(f"{sql['read']}\n{branches}")
            append = await connection.prepare(sql["append"])
            assert len(read.get_parameters()) == len(reading)
            assert len(with_referrers.get_parameters()) == len(reading) + len(more)
            assert len(append.get_parameters()) == len(append_arguments(0, 1, Append()))
        finally:
            await connection.close()

    run(work())


@given(REFERRERS)
def test_there_are_as_many_branches_as_fields_and_each_finds_its_arguments(
    referrers: set[tuple[bytes, str, str, str]],
) -> None:
    branches, arguments = referrer_branches(Needs(referrers=referrers), 13)
    fields = {(type_, field) for _, type_, field, _ in referrers}
    assert branches.count("UNION ALL") == len(fields)
    assert branches.count(f"LIMIT {REFERRERS_MAX + 1}") == len(fields)
    assert len(arguments) == 2 * len(fields)
    asked = 0
    for number, (type_, field) in enumerate(sorted(fields)):
        organizations, refers_to = arguments[2 * number : 2 * number + 2]
        asked += len(refers_to)
        found = {(o.bytes, text) for o, text in zip(organizations, refers_to, strict=True)}
        assert found == {(o, text) for o, t, f, text in referrers if (t, f) == (type_, field)}
        assert f"${13 + 2 * number}::uuid[], ${14 + 2 * number}::text[]" in branches
    assert asked == len(referrers)


@given(REFERRERS, REFERRERS)
def test_the_same_fields_make_the_same_text_whoever_is_asked_for(
    one: set[tuple[bytes, str, str, str]], other: set[tuple[bytes, str, str, str]]
) -> None:
    def fields(referrers: set[tuple[bytes, str, str, str]]) -> set[tuple[str, str]]:
        return {(type_, field) for _, type_, field, _ in referrers}

    texts = [referrer_branches(Needs(referrers=referrers), 13)[0] for referrers in (one, other)]
    assert (texts[0] == texts[1]) is (fields(one) == fields(other))
