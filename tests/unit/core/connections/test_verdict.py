"""Why a connection did not get a publication: every answer, and what leads to it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.channels.filter import FilterNode
from core.connections.journey import Came, Ended, Journey, Left, Paged, Refused, Step, Subscribed, WentLive
from core.connections.verdict import Publication, Verdict, judge, judge_all
from core.instants import Instant
from core.streams.event import OPAQUE, PUBLICATION_CREATED, SPARES_SENDER, ClientInfo, Event

SECOND = 1_000_000
EPOCH = "one"
DOUBT_S = 33.0
A = "room:a"
RED = FilterNode(key="colour", cmp="eq", val="red")


def at(seconds: float) -> Instant:
    return Instant(round(seconds * SECOND))


def came(client: str = "c-1", user: str = "ann", *, at_s: float = 0.0, is_retold: bool = False) -> Came:
    return Came(at(at_s), client, user, "websocket", "n1", "n1.1", is_retold)


def publication(
    offset: int = 10, at_s: float = 100.0, *, colour: str = "", by: str = "", flags: int = 0
) -> Publication:
    """Return the publication that is asked about: the tenth, committed after 100 seconds."""
    info = ClientInfo("bob", by) if by else None
    tags = {"colour": colour} if colour else None
    event = Event(1, bytes(16), PUBLICATION_CREATED, at(at_s), b"1", ((A, offset),), info, tags, flags=flags)
    return Publication(A, offset, EPOCH, event)


def subscribed(start: int = 5, sent: int = -1, at_s: float = 50.0, *, channel: str = A, **terms: Any) -> Step:
    epoch = terms.pop("epoch", EPOCH)
    return Subscribed(at(at_s), channel, epoch, start, start if sent < 0 else sent, **terms)


def live(offset: int = 5, at_s: float = 50.0) -> Step:
    return WentLive(at(at_s), A, offset)


def left(offset: int, at_s: float, code: int = 0) -> Step:
    return Left(at(at_s), A, offset, code)


def ended(at_s: float, code: int = 0, offset: int = 0, reason: str = "") -> Step:
    return Ended(at(at_s), code, reason, {A: offset} if offset else {})


def journey(*steps: Step, until_s: float = 1_000.0, of: Came | None = None, **more: bool) -> Journey:
    return Journey(of or came(), steps, at(until_s), **more)


LIVE = (subscribed(), live())
RATE = (subscribed(max_rate=2.0), live())
FILTERED = (subscribed(has_filter=True, filter=RED), live())
HUGE = (subscribed(has_filter=True), live())
READ = (subscribed(5, 8, was_recovering=True, recovered=True, at_s=110.0), Paged(at(111), A, 12))
OLD_LOG = (subscribed(epoch="zero"), live())

CASES = [
    ("was live", publication(), journey(*LIVE), "delivered", "written to it as it came"),
    ("was live until later", publication(), journey(*LIVE, left(12, 200)), "delivered", ""),
    ("came back later", publication(), journey(*READ), "delivered", "read from the log"),
    ("in its first page", publication(8), journey(*READ), "delivered", "read from the log"),
    ("matches", publication(colour="red"), journey(*FILTERED), "delivered", ""),
    ("of another sender", publication(by="c-2", flags=SPARES_SENDER), journey(*LIVE), "delivered", ""),
    ("of the sender", publication(by="c-1"), journey(*LIVE), "delivered", ""),
    ("of nobody", publication(flags=SPARES_SENDER), journey(*LIVE), "delivered", ""),
    ("its own, read", publication(by="c-1", flags=SPARES_SENDER), journey(*READ), "sender_excluded", ""),
    ("fast, but read", publication(), journey(subscribed(5, 12, max_rate=2.0)), "delivered", ""),
    ("not its filter", publication(colour="blue"), journey(*FILTERED), "filtered_out", "tags"),
    ("filter unknown", publication(), journey(*HUGE), "unknown", "too large"),
    ("its own", publication(by="c-1", flags=SPARES_SENDER), journey(*LIVE), "sender_excluded", ""),
    ("too fast", publication(), journey(*RATE), "conflated", "at most 2 publications"),
    ("gone long after", publication(), journey(*LIVE, ended(134, 3008, 12)), "delivered", ""),
    ("gone for good", publication(), journey(*LIVE, ended(101, 3503, 12)), "delivered", ""),
    ("left at once", publication(), journey(*LIVE, left(12, 101)), "delivered", ""),
    ("too slow", publication(), journey(*LIVE, ended(132, 3008, 12)), "unconfirmed", "read too slowly"),
    ("torn off", publication(), journey(*LIVE, ended(101, 0, 12)), "unconfirmed", "1.0 s before"),
    ("torn off reading", publication(), journey(*READ, ended(120, 3012)), "unconfirmed", "pings"),
    ("still reading", publication(20), journey(*READ), "catching_up", "up to offset 12"),
    ("lost reading", publication(20), journey(*READ, is_alive=False), "unknown", "told nothing since"),
    ("refused", publication(), journey(Refused(at(60), A, 103)), "refused", "error 103"),
    ("not let in", publication(), journey(Refused(at(60), "", 109), ended(61)), "refused", "connect"),
    ("other refused", publication(), journey(Refused(at(60), "b", 103)), "not_subscribed", "never"),
    ("nothing", publication(), journey(), "not_subscribed", "subscribe"),
    ("of an older log", publication(), journey(*OLD_LOG), "not_subscribed", ""),
    ("later", publication(), journey(subscribed(12, at_s=120)), "subscribed_later", "(recover)"),
    (
        "later, had it",
        publication(),
        journey(subscribed(12, at_s=120, was_recovering=True, recovered=True)),
        "subscribed_later",
        "said that it had everything",
    ),
    (
        "later, too late",
        publication(),
        journey(subscribed(12, at_s=120, was_recovering=True)),
        "subscribed_later",
        "could not be served",
    ),
    ("left", publication(), journey(*LIVE, left(9, 90)), "unsubscribed_before", "The client unsubscribed"),
    ("sent away", publication(), journey(*LIVE, left(9, 90, 2000)), "unsubscribed_before", "stay away"),
    ("must anew", publication(), journey(*LIVE, left(9, 90, 2500)), "unsubscribed_before", "by themselves"),
    (
        "left and came",
        publication(),
        journey(*LIVE, left(9, 90), subscribed(12, at_s=120)),
        "unsubscribed_before",
        "again from offset 12",
    ),
    ("left reading", publication(13), journey(*READ, left(14, 115)), "unsubscribed_before", ""),
    (
        "went",
        publication(),
        journey(*LIVE, ended(90, 0, 9)),
        "disconnected_before",
        "The client or the network",
    ),
    ("slow before", publication(), journey(*LIVE, ended(90, 3008, 9)), "disconnected_before", "3008 (slow)"),
    ("restart", publication(), journey(*LIVE, ended(90, 3001, 9)), "disconnected_before", "come back"),
    (
        "thrown out",
        publication(),
        journey(*LIVE, ended(90, 4501, 9, "go away")),
        "disconnected_before",
        "4501 (go away). SDKs do not come back",
    ),
    (
        "not JSON",
        publication(flags=OPAQUE),
        journey(*LIVE, ended(100, 3506, 10)),
        "disconnected_before",
        "protobuf",
    ),
    ("bytes", publication(flags=OPAQUE), journey(*LIVE), "delivered", ""),
    ("not told yet", publication(), journey(*LIVE, until_s=99), "unknown", "in a moment"),
    ("silent replica", publication(), journey(*LIVE, until_s=99, is_alive=False), "unknown", "stopped"),
    ("nothing told yet", publication(), journey(until_s=99), "unknown", "in a moment"),
    ("left, not told yet", publication(), journey(*LIVE, left(9, 90), until_s=99), "unknown", "in a moment"),
    ("ended is told", publication(), journey(*LIVE, ended(90, 0, 9), until_s=99), "disconnected_before", ""),
    ("read is told", publication(), journey(*READ, until_s=99), "delivered", ""),
    ("cut", publication(), journey(is_cut=True), "unknown", "not remembered"),
    ("cut, but known", publication(), journey(*LIVE, is_cut=True), "delivered", ""),
    ("retold since", publication(), journey(of=came(at_s=101, is_retold=True)), "unknown", "not remembered"),
    ("retold before", publication(), journey(of=came(at_s=99, is_retold=True)), "not_subscribed", ""),
    (
        "subscribed as it was retold",
        publication(),
        journey(subscribed(10, at_s=99), live(10, 99), of=came(at_s=99, is_retold=True)),
        "unknown",
        "not remembered",
    ),
    (
        "subscribed after it was retold",
        publication(),
        journey(subscribed(10, at_s=120), of=came(at_s=99, is_retold=True)),
        "subscribed_later",
        "",
    ),
    (
        "cut and retold",
        publication(),
        journey(of=came(at_s=99, is_retold=True), is_cut=True),
        "unknown",
        "not remembered",
    ),
]


@pytest.mark.parametrize(
    ("asked", "known", "verdict", "said"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_each_story_has_its_verdict(asked: Publication, known: Journey, verdict: str, said: str) -> None:
    delivery = judge(asked, known, doubt_s=DOUBT_S)
    assert (delivery.verdict.value, delivery.journey) == (verdict, known)
    assert said in delivery.detail
    assert delivery.detail.endswith(".")


def test_every_verdict_has_a_story() -> None:
    assert {case[3] for case in CASES} == {verdict.value for verdict in Verdict}


def test_the_subscription_or_the_refusal_that_decided_is_the_evidence() -> None:
    known = journey(*LIVE, left(9, 90), subscribed(12, at_s=120))
    first, second = known.stays(A)
    assert judge(publication(9), known, doubt_s=DOUBT_S).stay == first
    assert judge(publication(10), known, doubt_s=DOUBT_S).stay == first
    assert judge(publication(5), journey(second.began), doubt_s=DOUBT_S).stay == second
    refusal = Refused(at(60), A, 103)
    assert judge(publication(), journey(refusal), doubt_s=DOUBT_S).refusal == refusal


def test_whoever_came_back_and_got_it_is_named() -> None:
    gone = journey(*LIVE, ended(90, 3001, 9))
    back = journey(*READ, of=came("c-2", at_s=109))
    other = journey(*LIVE, of=came("c-3", "bob", at_s=109))
    before = journey(*LIVE, of=came("c-4", at_s=10))
    never = journey(of=came("c-5", at_s=109))
    refused = journey(*LIVE, left(9, 90), subscribed(12, at_s=120))
    told = judge_all(publication(), [gone, other, before, never, back, refused], doubt_s=DOUBT_S)
    assert [delivery.came_back_as for delivery in told] == ["c-2", "", "", "", "", "c-2"]
    assert "came back as c-2" in told[0].detail
    alone = judge_all(publication(), [gone, other, before, never], doubt_s=DOUBT_S)
    assert [delivery.came_back_as for delivery in alone] == [""] * 4
    nobody = [journey(*LIVE, ended(90, 3001, 9), of=came("c-1", "")), journey(*READ, of=came("c-2", ""))]
    assert not judge_all(publication(), nobody, doubt_s=DOUBT_S)[0].came_back_as


STORIES = st.lists(
    st.sampled_from(
        [*LIVE, *RATE, *FILTERED, *READ, *OLD_LOG, left(9, 90), left(12, 130), ended(90, 3008, 9), ended(140)]
    ),
    max_size=8,
)


KINDS = st.fixed_dictionaries({"is_alive": st.booleans(), "is_cut": st.booleans()})


@given(STORIES, st.integers(1, 30), KINDS, st.sampled_from([came(), came(is_retold=True)]))
def test_every_story_has_an_answer(
    steps: list[Step], offset: int, kind: dict[str, bool], beginning: Came
) -> None:
    known = journey(*steps, of=beginning, **kind)
    delivery = judge(publication(offset), known, doubt_s=DOUBT_S)
    if delivery.verdict is Verdict.DELIVERED:
        assert delivery.stay is not None
        assert delivery.stay.covers(offset)
