"""Entries and keys of presence: nobody's text is taken for another's."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.redis.entries import (
    Entry,
    channel_key,
    client_field,
    clients_key,
    held_field,
    held_key,
    index_key,
    organizations_key,
    pack,
    tags_key,
    unpack,
)
from core.streams.event import ClientInfo

TEXTS = st.text(max_size=30)
IDS = st.binary(min_size=16, max_size=16)
NAMES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)


@given(TEXTS, TEXTS, st.binary(max_size=40), st.binary(max_size=40))
def test_an_entry_is_read_as_it_was_written(user: str, client: str, mine: bytes, here: bytes) -> None:
    info = ClientInfo(user, client, mine, here)
    assert unpack(client, pack("00ff", info)) == Entry("00ff", info)


@given(st.tuples(IDS, NAMES), st.tuples(IDS, NAMES))
def test_two_channels_share_no_key(one: tuple[bytes, str], other: tuple[bytes, str]) -> None:
    def keys(organization_id: bytes, name: str) -> set[str]:
        return {channel_key(organization_id, name), clients_key(organization_id, name)}

    assert one == other or not keys(*one) & keys(*other)


@given(IDS, NAMES)
def test_all_keys_of_one_script_lie_in_one_slot(organization_id: bytes, channel: str) -> None:
    def slot(key: str) -> str:
        return key[key.index("{") : key.index("}")]

    of_organization = (
        channel_key(organization_id, channel),
        clients_key(organization_id, channel),
        index_key(organization_id),
        held_key(organization_id, "tag"),
        tags_key(organization_id),
    )
    assert {slot(key) for key in of_organization} == {f"{{{organization_id.hex()}"}
    assert slot(organizations_key("tag")) == "{replicas"


def test_fields_of_clients_and_replicas_differ() -> None:
    assert client_field("x") != held_field("x")
