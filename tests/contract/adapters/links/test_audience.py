"""What the links of one organization are sent, from their first head on."""

import pytest
from structlog.testing import capture_logs

from adapters.links.audience import Audience
from adapters.links.frames import OWNER_FRAMES, Announced, Ephemeral, FromOwner, Live
from adapters.links.outbox import MessageTooLongError
from core.streams.event import EphemeralPublication, Event, Head, LiveBatch

ORG = b"o" * 16
FRAME_BYTES_MAX = 1_000


class Link:
    """Keeps what it was pushed; what no frame could hold it refuses, as an outbox does."""

    def __init__(self) -> None:
        self.pushed: list[bytes] = []

    def push(self, encoded: bytes) -> None:
        if len(encoded) > FRAME_BYTES_MAX:
            raise MessageTooLongError(len(encoded))
        self.pushed.append(encoded)

    @property
    def heard(self) -> list[FromOwner]:
        return [message for encoded in self.pushed for message in OWNER_FRAMES.decode(b"\x91" + encoded)]

    @property
    def seqs(self) -> list[int]:
        return [event.seq for said in self.heard if isinstance(said, Live) for event in said.batch.events]


def batch(first: int, *sizes: int) -> LiveBatch:
    events = (
        Event(first + n, bytes([n]) * 16, "publication.created", 1, bytes(size), (("room:1", first + n),))
        for n, size in enumerate(sizes)
    )
    return LiveBatch(ORG, "epoch", tuple(events))


def test_each_batch_is_encoded_once_for_all_links() -> None:
    audience, links = Audience(ORG), [Link(), Link(), Link()]
    for link in links:
        audience.join(link)
    audience.on_head(Head(ORG, "epoch", 0))
    audience.on_live(batch(1, 10, 10))
    audience.on_ephemeral(EphemeralPublication(ORG, "room:1", b"typing"))
    first, *others = (link.pushed for link in links)
    assert all(one is same for other in others for one, same in zip(first, other, strict=True))
    assert links[0].heard == [
        Announced(Head(ORG, "epoch", 0)),
        Live(batch(1, 10, 10)),
        Ephemeral(EphemeralPublication(ORG, "room:1", b"typing")),
    ]


def test_who_joins_late_hears_at_once_the_head_that_the_others_have_reached() -> None:
    audience, early, late = Audience(ORG), Link(), Link()
    audience.join(early)
    assert early.heard == []
    audience.on_head(Head(ORG, "epoch", 3))
    audience.on_live(batch(4, 10, 10))
    audience.join(late)
    audience.on_live(batch(6, 10))
    assert late.heard == [Announced(Head(ORG, "epoch", 5)), Live(batch(6, 10))]


def test_who_left_hears_no_more_and_the_last_one_leaves_it_empty() -> None:
    audience, one, other = Audience(ORG), Link(), Link()
    for link in (one, other):
        audience.join(link)
    audience.leave(one)
    audience.leave(one)
    audience.on_live(batch(1, 10))
    assert (one.seqs, other.seqs) == ([], [1])
    assert audience
    audience.leave(other)
    assert not audience


@pytest.mark.parametrize("count", [2, 3, 7, 20])
def test_a_batch_that_no_frame_can_hold_leaves_in_parts_and_in_order(count: int) -> None:
    audience, link = Audience(ORG), Link()
    audience.join(link)
    audience.on_live(batch(1, *[600] * count))
    assert link.seqs == list(range(1, count + 1))
    assert len(link.pushed) == count
    audience.join(late := Link())
    assert late.heard == [Announced(Head(ORG, "epoch", count))]


def test_an_event_that_no_frame_can_hold_is_only_announced_in_its_place() -> None:
    audience, link = Audience(ORG), Link()
    audience.join(link)
    with capture_logs() as lines:
        audience.on_live(batch(1, 10, 2_000, 10))
    assert link.heard == [
        Live(batch(1, 10)),
        Announced(Head(ORG, "epoch", 2)),
        Live(only(batch(1, 10, 10, 10), 2)),
    ]
    assert [(line["event"], line["seq"]) for line in lines] == [("event.announced_only", 2)]


def only(whole: LiveBatch, index: int) -> LiveBatch:
    return LiveBatch(whole.organization_id, whole.epoch, whole.events[index : index + 1])


def test_an_empty_batch_says_nothing() -> None:
    audience, link = Audience(ORG), Link()
    audience.join(link)
    audience.on_live(batch(1))
    assert link.heard == []
