"""Who is told of which organization, and in which order."""

from actors.streams.watchers import Watchers
from core.streams.event import EphemeralPublication, Head, LiveBatch

ORG, OTHER = b"1" * 16, b"2" * 16
Told = Head | LiveBatch | EphemeralPublication


class Ear:
    """Notes what it is told in a list that all ears may share."""

    def __init__(self, told: list[tuple[str, Told]], name: str = "") -> None:
        self.name = name
        self._told = told

    def on_live(self, batch: LiveBatch) -> None:
        self._told.append((self.name, batch))

    def on_head(self, head: Head) -> None:
        self._told.append((self.name, head))

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        self._told.append((self.name, publication))


class Leaving(Ear):
    """Hears one batch and goes."""

    def __init__(self, told: list[tuple[str, Told]], watchers: Watchers) -> None:
        super().__init__(told, "leaving")
        self._watchers = watchers

    def on_live(self, batch: LiveBatch) -> None:
        super().on_live(batch)
        self._watchers.remove(batch.organization_id, self)


def one_of_each(org: bytes) -> tuple[LiveBatch, EphemeralPublication, Head]:
    return LiveBatch(org, "epoch", ()), EphemeralPublication(org, "room:1", b"typing"), Head(org, "epoch", 1)


def tell(watchers: Watchers, org: bytes) -> None:
    batch, publication, head = one_of_each(org)
    watchers.on_live(batch)
    watchers.on_ephemeral(publication)
    watchers.on_head(head)


def test_listeners_hear_their_organization_alone_in_the_order_of_their_coming() -> None:
    watchers, told = Watchers(), list[tuple[str, Told]]()
    for name in ("first", "second"):
        watchers.add(ORG, Ear(told, name))
    watchers.add(OTHER, Ear(told, "other's"))
    tell(watchers, ORG)
    assert told == [(name, said) for said in one_of_each(ORG) for name in ("first", "second")]


def test_who_watches_twice_hears_once_and_leaves_at_once() -> None:
    watchers, told = Watchers(), list[tuple[str, Told]]()
    ear = Ear(told)
    watchers.add(ORG, ear)
    watchers.add(ORG, ear)
    tell(watchers, ORG)
    assert len(told) == 3
    assert watchers.has(ORG, ear)
    watchers.remove(ORG, ear)
    tell(watchers, ORG)
    assert len(told) == 3
    assert not watchers.has(ORG, ear)


def test_an_organization_that_nobody_hears_any_more_is_forgotten() -> None:
    watchers, told = Watchers(), list[tuple[str, Told]]()
    first, second = Ear(told), Ear(told)
    watchers.add(ORG, first)
    watchers.add(ORG, second)
    watchers.remove(ORG, first)
    assert watchers.organizations == {ORG}
    watchers.remove(ORG, second)
    watchers.remove(ORG, second)
    watchers.remove(OTHER, second)
    assert watchers.organizations == set()


def test_who_goes_while_it_is_told_takes_nothing_from_the_others() -> None:
    watchers, told = Watchers(), list[tuple[str, Told]]()
    watchers.add(ORG, Leaving(told, watchers))
    watchers.add(ORG, Ear(told, "staying"))
    batch = LiveBatch(ORG, "epoch", ())
    watchers.on_live(batch)
    watchers.on_live(batch)
    assert [name for name, _ in told] == ["leaving", "staying", "staying"]


class Jealous(Ear):
    """Takes everybody else away at the first batch."""

    def __init__(self, told: list[tuple[str, Told]], watchers: Watchers, others: list[Ear]) -> None:
        super().__init__(told, "jealous")
        self._watchers, self._others = watchers, others

    def on_live(self, batch: LiveBatch) -> None:
        super().on_live(batch)
        for other in self._others:
            self._watchers.remove(batch.organization_id, other)


def test_who_was_taken_away_by_an_earlier_one_hears_nothing_more() -> None:
    watchers, told = Watchers(), list[tuple[str, Told]]()
    other = Ear(told, "other")
    watchers.add(ORG, Jealous(told, watchers, [other]))
    watchers.add(ORG, other)
    watchers.on_live(LiveBatch(ORG, "epoch", ()))
    assert [name for name, _ in told] == ["jealous"]


class Broken(Ear):
    """Raises at whatever it is told."""

    def on_live(self, batch: LiveBatch) -> None:
        super().on_live(batch)
        raise ValueError

    def on_head(self, head: Head) -> None:
        super().on_head(head)
        raise ValueError

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        super().on_ephemeral(publication)
        raise ValueError


def test_who_raises_keeps_nobody_from_hearing() -> None:
    watchers, told = Watchers(), list[tuple[str, Told]]()
    for ear in (Broken(told, "broken"), Ear(told, "other")):
        watchers.add(ORG, ear)
    live, ephemeral, head = one_of_each(ORG)
    watchers.on_live(live)
    watchers.on_ephemeral(ephemeral)
    watchers.on_head(head)
    assert told == [(name, what) for what in (live, ephemeral, head) for name in ("broken", "other")]
