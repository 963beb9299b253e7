"""Whatever is made, tied and deleted, in whatever batches: no reference ever names what is not there."""

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ids import encode
from core.resources.schema import Catalog, parse_type
from core.streams.command import Create, Delete, Operation, Patch, Target
from tests.helpers.ledger import ORG, Ledger, command, new_id

FIELDS = ("up", "side", "back")


def part(name: str, prefix: str, refers_to: str, policies: dict[str, str]) -> bytes:
    properties: dict[str, Any] = {name: {"type": "string"} for name in FIELDS}
    options = {
        "collection": f"{name}s",
        "id_prefix": prefix,
        "references": {"up": name, "side": name, "back": refers_to},
        "on_delete": policies,
    }
    return orjson.dumps({"title": name, "type": "object", "properties": properties, "x-tidings": options})


CATALOG = Catalog(
    [
        parse_type("a.json", part("a", "aa", "b", {"up": "cascade", "side": "set_null"})),
        parse_type("b.json", part("b", "bb", "a", {"up": "set_null", "side": "cascade", "back": "cascade"})),
    ]
)
NAMES = st.sampled_from("uvwxyz")
TIES = st.dictionaries(st.sampled_from(FIELDS), NAMES.map("ext:{}".format), max_size=3).map(orjson.dumps)
TYPES = st.sampled_from(["a", "b"])
OPERATIONS: st.SearchStrategy[Operation] = st.one_of(
    st.builds(lambda t, d, n: Create(t, new_id(), d, n), TYPES, TIES, NAMES),
    st.builds(lambda t, n, d: Patch(Target(t, external_id=n), d), TYPES, NAMES, TIES),
    st.builds(lambda t, n: Delete(Target(t, external_id=n)), TYPES, NAMES),
)


@settings(max_examples=300)
@given(st.lists(st.lists(OPERATIONS, min_size=1, max_size=8), max_size=8))
def test_no_reference_dangles(batches: list[list[Operation]]) -> None:
    ledger = Ledger(CATALOG)
    for batch in batches:
        ledger.write([command(operation) for operation in batch])
        prefixes = {type_.name: type_.id_prefix for type_ in CATALOG.by_name.values()}
        there = {encode(prefixes[row.type], row.id) for row in ledger.resources.values()}
        for row in ledger.resources.values():
            document = orjson.loads(row.data)
            assert {document[name] for name in FIELDS if name in document} <= there
    shown: dict[str, int] = {}
    for event in ledger.events[ORG]:
        about = orjson.loads(event.data)["object"]
        change = event.type.rpartition(".")[2]
        expected = 1 if change == "created" else shown[about["id"]] + (change == "updated")
        assert about["version"] == expected
        shown[about["id"]] = expected
