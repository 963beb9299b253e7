"""What a list's query parameters mean, and what they may not be."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.schemas import load_catalog
from core.errors import TidingsError
from core.ids import encode
from core.instants import Instant
from core.resources.filter import Equal, ListQuery, Named, Place, Range, index_key, parse_list_query
from core.resources.row import ResourceRow
from core.resources.schema import Catalog, parse_type

CATALOG = load_catalog(Path(__file__).parents[4] / "schemas")
MESSAGE = CATALOG.by_name["message"]
PRICED = parse_type(
    "priced.json",
    orjson.dumps(
        {
            "title": "priced",
            "type": "object",
            "properties": {
                "price": {"type": ["number", "null"]},
                "sold": {"type": "boolean"},
                "label": {"enum": ["a", "b"]},
            },
            "x-tidings": {"collection": "priced", "id_prefix": "pr", "index": ["price", "sold", "label"]},
        }
    ),
)
PRICES = Catalog([PRICED])


def message_query(**parameters: str) -> ListQuery:
    return parse_list_query(CATALOG, MESSAGE, parameters)


def code_of(**parameters: str) -> str:
    with pytest.raises(TidingsError) as refused:
        message_query(**parameters)
    return refused.value.code.value


def test_without_parameters_a_list_is_newest_first() -> None:
    assert message_query() == ListQuery("message", "created_at", descending=True)


@pytest.mark.parametrize(
    ("sort", "field", "descending"),
    [("created_at", "created_at", False), ("-updated_at", "updated_at", True), ("author", "author", False)],
)
def test_a_list_is_sorted_by_a_time_or_an_indexed_field(sort: str, field: str, *, descending: bool) -> None:
    query = message_query(sort=sort)
    assert (query.sort, query.descending) == (field, descending)


def test_filters_are_equality_on_indexed_fields_references_and_times() -> None:
    room = encode("room", bytes(16))
    query = parse_list_query(
        CATALOG,
        MESSAGE,
        {"room_id": room.upper().replace("ROOM", "room"), "reply_to": "ext:a:b", "author": "",
         "created_at[gte]": "1970-01-01T00:00:01Z", "updated_at[lt]": "1970-01-01T01:00:00+01:00"},
    )  # fmt: skip
    assert query.equals == (Equal("room_id", room), Equal("author", ""))
    assert query.named == (Named("reply_to", "message", "msg", "a:b"),)
    assert query.ranges == (
        Range("created_at", "gte", Instant(1_000_000)),
        Range("updated_at", "lt", Instant(0)),
    )


def test_values_have_the_type_of_their_field() -> None:
    query = parse_list_query(PRICES, PRICED, {"price": "-1.5", "sold": "true", "label": "a"})
    assert query.equals == (Equal("price", -1.5), Equal("sold", value=True), Equal("label", "a"))
    assert parse_list_query(PRICES, PRICED, {"price": "7"}).equals == (Equal("price", 7),)
    for parameters in ({"price": "x"}, {"price": "1e9"}, {"sold": "yes"}, {"sold": "1"}):
        with pytest.raises(TidingsError) as refused:
            parse_list_query(PRICES, PRICED, parameters)
        assert refused.value.members["errors"][0]["parameter"] == next(iter(parameters))


@pytest.mark.parametrize(
    "name", ["text", "id", "created_at", "created_at[eq]", "created_at[gte", "author[gte]", "Q"]
)
def test_what_no_list_knows_is_unknown(name: str) -> None:
    assert code_of(**{name: "x"}) == "unknown_parameter"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sort", "text"),
        ("sort", "--author"),
        ("room_id", "msg_01m820yak2e8kbcf2tpy8vep2a"),
        ("room_id", "ext:"),
        ("room_id", "ext:a b"),
        ("created_at[gt]", "yesterday"),
        ("created_at[gt]", "0000-01-01T00:00:00Z"),
    ],
)
def test_a_value_that_cannot_be_is_refused(name: str, value: str) -> None:
    assert code_of(**{name: value}) == "validation_failed"


def test_ten_filters_are_the_most() -> None:
    times = {
        f"{field}[{comparison}]": "2026-01-01T00:00:00Z"
        for field in ("created_at", "updated_at")
        for comparison in ("gte", "gt", "lte", "lt")
    }
    message_query(**times, author="a", room_id="ext:a")
    assert code_of(**times, author="a", room_id="ext:a", reply_to="ext:b") == "unknown_parameter"


@given(
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**53),
    st.none() | st.booleans() | st.text() | st.integers(-(2**53), 2**53),
    st.booleans(),
)
def test_a_place_survives_its_cursor(id_: bytes, at: int, key: object, backward: bool) -> None:  # noqa: FBT001 (hypothesis)
    place = Place(id_, Instant(at), key, backward)
    assert Place.of_bytes(place.to_bytes()) == place


def test_the_place_of_a_row_is_what_its_list_is_sorted_by() -> None:
    row = ResourceRow(b"o", "message", bytes(16), "", b'{"author":"ann"}', 1, Instant(1), Instant(2))
    assert ListQuery("message").place_of(row) == Place(row.id, row.created_at)
    assert ListQuery("message", "updated_at").place_of(row, backward=True) == Place(
        row.id, row.updated_at, None, backward=True
    )
    assert ListQuery("message", "author").place_of(row) == Place(row.id, row.created_at, "ann")
    assert ListQuery("message", "reply_to").place_of(row).key is None


def test_only_what_has_an_order_is_an_index_key() -> None:
    assert [index_key(value) for value in ("a" * 501, 1, 1.5, True, None, [1], {"a": 1})] == [
        "a" * 500, 1, 1.5, True, None, None, None,
    ]  # fmt: skip


def test_a_search_names_the_fields_of_its_type() -> None:
    query = message_query(q="hello world")
    assert (query.search, query.search_fields) == ("hello world", ("text",))
    assert (message_query().search, message_query().search_fields) == ("", ())


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "validation_failed"), (" ", "validation_failed"), ("a" * 501, "validation_failed")],
)
def test_what_can_not_be_searched_for(text: str, code: str) -> None:
    assert code_of(q=text) == code
    assert message_query(q="a" * 500).search


def test_a_type_without_search_fields_knows_no_search() -> None:
    with pytest.raises(TidingsError) as refused:
        parse_list_query(PRICES, PRICED, {"q": "a"})
    assert refused.value.code.value == "unknown_parameter"
