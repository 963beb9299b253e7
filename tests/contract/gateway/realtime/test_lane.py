"""Subscribers on the same terms: filters let pass what they say, and patches fit what their reader has."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from core.channels.filter import FilterNode
from core.channels.namespace import OWN
from core.connections.codec_json import JSON
from core.connections.codec_protobuf import PROTOBUF
from core.connections.subscription import Grant
from core.streams.event import (
    OPAQUE,
    PUBLICATION_CREATED,
    SPARES_SENDER,
    WANTS_PATCH,
    ClientInfo,
    EphemeralPublication,
    Event,
)
from gateway.realtime.channel import Channel
from gateway.realtime.forms import Form
from gateway.realtime.lane import Chain, Encoded
from tests.helpers.listener import FORMS, Following, Listener, document

ORG = b"o" * 16
DELTA = Grant(OWN, delta=True)
ON_REQUEST = replace(DELTA, options=msgspec.structs.replace(OWN, delta_publish=False))
BOTH = pytest.mark.parametrize(
    "form", [FORMS.websocket_json, FORMS.websocket_protobuf], ids=lambda form: form.name
)


def event(offset: int, data: bytes = b"1", **of: Any) -> Event:
    return Event(offset, b"", PUBLICATION_CREATED, 0, data, (("news", offset),), **of)


class World:
    """A channel in which documents are published, and the number of the last one."""

    def __init__(self) -> None:
        self.senders: dict[str, Listener] = {}
        self.channel = Channel("news", 100_000, self.senders.get)
        self.number = 0

    def live(self, form: Form, grant: Grant = DELTA, *, has_last: bool = False) -> Listener:
        listener = Listener(form, f"listener {len(self.senders)}")
        self.senders[listener.client_id] = listener
        self.channel.go_live(listener, grant, has_last=has_last)
        return listener

    def publish(self, count: int = 1, **of: Any) -> None:
        """Publish documents, in one tick."""
        for _ in range(count):
            self.number += 1
            self.channel.dispatch(self.number, event(self.number, document(self.number), **of))
        self.channel.flush()

    def whisper(self, number: int) -> None:
        """Publish a document that is not stored."""
        self.channel.dispatch_ephemeral(EphemeralPublication(ORG, "news", document(number)))


def documents(first: int, last: int) -> list[bytes]:
    return [document(number) for number in range(first, last + 1)]


# --- patches


@BOTH
def test_the_first_is_whole_and_the_next_are_patches_within_a_tick_and_beyond(form: Form) -> None:
    world, following = World(), Following()
    listener = world.live(form)
    for count in (2, 1, 3):
        world.publish(count)
    assert following.take_all(listener.publications) == documents(1, 6)
    assert following.patches == 5
    assert listener.offsets == [1, 2, 3, 4, 5, 6]


@BOTH
def test_who_comes_later_begins_whole_among_those_who_get_patches(form: Form) -> None:
    world, early, late = World(), Following(), Following()
    first = world.live(form)
    world.publish(2)
    second = world.live(form)
    world.publish(2)
    world.publish(1)
    assert early.take_all(first.publications) == documents(1, 5)
    assert late.take_all(second.publications) == documents(3, 5)
    assert (early.patches, late.patches) == (4, 2)


@BOTH
def test_who_was_sent_the_newest_one_goes_on_with_a_patch_of_it(form: Form) -> None:
    world, following = World(), Following()
    world.live(form)
    world.publish(2)
    caught_up = world.live(form, has_last=True)
    chain = Chain(form.codec, "news", None, allows=True)
    caught_up.push(chain.messages([(2, event(2, document(2)))]))
    world.publish(1)
    assert following.take_all(caught_up.publications) == documents(2, 3)
    assert following.patches == 1


@BOTH
def test_who_is_the_first_or_missed_what_is_not_stored_begins_whole_whatever_it_was_sent(form: Form) -> None:
    for whispers in (False, True):
        world, following = World(), Following()
        if whispers:
            world.live(form)
            world.publish(1)
            world.whisper(99)
            world.channel.flush()
        listener = world.live(form, has_last=True)
        world.publish(2)
        assert following.take_all(listener.publications) == documents(world.number - 1, world.number)
        assert following.patches == 1


@BOTH
def test_what_is_not_stored_is_a_link_of_the_chain(form: Form) -> None:
    world, following = World(), Following()
    listener = world.live(form)
    world.publish(1)
    world.whisper(99)
    world.publish(1)
    world.whisper(98)
    world.channel.flush()
    world.publish(1)
    expected = [document(number) for number in (1, 99, 2, 98, 3)]
    assert following.take_all(listener.publications) == expected
    assert following.patches == 4
    assert listener.offsets == [1, 0, 2, 0, 3]


@BOTH
def test_to_who_is_spared_one_the_next_comes_whole(form: Form) -> None:
    world = World()
    sender, other = world.live(form), world.live(form)
    world.publish(1)
    info = ClientInfo("ann", sender.client_id)
    # In one tick: one for both, one for the others, one for both.
    world.channel.dispatch(2, event(2, document(2)))
    world.channel.dispatch(3, event(3, document(3), info=info, flags=SPARES_SENDER))
    world.number = 3
    world.publish(1)
    world.publish(1)
    world.publish(1, info=info, flags=SPARES_SENDER)
    world.publish(2)
    spared, everything = Following(), Following()
    assert everything.take_all(other.publications) == documents(1, 8)
    assert everything.patches == 7
    assert spared.take_all(sender.publications) == [document(number) for number in (1, 2, 4, 5, 7, 8)]
    assert spared.patches == 2  # from 2 to 4 in their tick, from 7 to 8; everything else begins anew


@BOTH
def test_who_was_spared_all_so_far_still_begins_whole(form: Form) -> None:
    world = World()
    sender = world.live(form)
    world.publish(2, info=ClientInfo("ann", sender.client_id), flags=SPARES_SENDER)
    world.publish(2)
    following = Following()
    assert following.take_all(sender.publications) == documents(3, 4)


@BOTH
def test_where_the_namespace_makes_no_patches_only_those_are_whose_publisher_asks(form: Form) -> None:
    world, following = World(), Following()
    listener = world.live(form, ON_REQUEST)
    world.publish(2)
    world.publish(1, flags=WANTS_PATCH)
    world.publish(1)
    world.publish(1, flags=WANTS_PATCH)
    assert following.take_all(listener.publications) == documents(1, 5)
    assert ["delta" in publication for publication in listener.publications] == [
        False,
        False,
        True,
        False,
        True,
    ]


def test_those_with_other_terms_do_not_share_a_lane() -> None:
    world = World()
    form = FORMS.websocket_json
    terms = [DELTA, ON_REQUEST, Grant(OWN)]
    patched, on_request, plain = [world.live(form, grant) for grant in terms]
    world.publish(2)
    assert "delta" in patched.publications[1]
    assert "delta" not in on_request.publications[1]
    assert isinstance(on_request.publications[1]["data"], str)
    assert isinstance(plain.publications[1]["data"], dict)


def test_bytes_that_are_no_text_are_patched_as_bytes() -> None:
    world = World()
    listener = world.live(FORMS.websocket_protobuf)
    blobs = [b"\xff\x00" * 60 + bytes((number,)) + b"\x80" * 60 for number in range(3)]
    for number, blob in enumerate(blobs, 1):
        world.channel.dispatch(number, event(number, blob, flags=OPAQUE))
    world.channel.flush()
    following = Following()
    assert following.take_all(listener.publications) == blobs
    assert following.patches == 2


# --- filters


EVEN = FilterNode(key="parity", cmp="eq", val="even")
ABSENT = FilterNode(key="parity", cmp="nex")


def tagged(count: int) -> list[tuple[int, Event]]:
    """Return publications, each tagged with its parity, but for every fifth, which has no tag."""
    found = []
    for number in range(1, count + 1):
        tags = {"parity": "odd" if number % 2 else "even"} if number % 5 else None
        found.append((number, event(number, tags=tags)))
    return found


@BOTH
def test_each_gets_what_its_filter_lets_pass_and_alike_ones_share_it(form: Form) -> None:
    world = World()
    even, alike, absent = [
        world.live(form, replace(Grant(OWN), filter=tags))
        for tags in (EVEN, FilterNode(key="parity", cmp="eq", val="even"), ABSENT)
    ]
    everything = world.live(form, Grant(OWN))
    for offset, one in tagged(6):
        world.channel.dispatch(offset, one)
    world.channel.flush()
    assert even.publications == alike.publications
    assert even.offsets == [2, 4, 6]
    assert absent.offsets == [5]
    assert everything.offsets == [1, 2, 3, 4, 5, 6]


def test_what_a_filter_holds_back_makes_no_hole_and_no_frame() -> None:
    world = World()
    listener = world.live(FORMS.websocket_json, replace(Grant(OWN), filter=EVEN))
    for offset, one in tagged(3):
        assert world.channel.dispatch(offset, one)
        world.channel.flush()
    assert world.channel.offset == 3
    assert listener.offsets == [2]


def test_who_is_spared_is_spared_behind_its_filter_too() -> None:
    world = World()
    grant = replace(Grant(OWN), filter=EVEN)
    sender, other = [world.live(FORMS.websocket_json, grant) for _ in range(2)]
    info = ClientInfo("ann", sender.client_id)
    for offset in (1, 2, 3):
        tags = {"parity": "even"} if offset > 1 else {}
        flags = SPARES_SENDER if offset == 2 else 0
        world.channel.dispatch(offset, event(offset, tags=tags, info=info, flags=flags))
    world.channel.flush()
    assert (sender.offsets, other.offsets) == ([3], [2, 3])


# --- what is made once


def test_publications_are_encoded_once_for_all_of_a_codec() -> None:
    encoded = Encoded("news", tagged(2))
    assert encoded.messages(JSON) is encoded.messages(JSON)
    assert len(encoded.messages(PROTOBUF)) == 2


@pytest.mark.parametrize(("flags", "is_opaque"), [(0, False), (OPAQUE, True), (WANTS_PATCH, False)])
def test_what_is_not_json_is_so_for_json_alone(flags: int, is_opaque: bool) -> None:  # noqa: FBT001 (a case)
    encoded = Encoded("news", [(1, event(1)), (2, event(2, flags=flags))])
    assert (encoded.is_opaque(JSON), encoded.is_opaque(PROTOBUF)) == (is_opaque, False)
