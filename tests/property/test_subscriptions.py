"""Whatever comes in whatever order: each subscriber hears the gapless rest after its position, each once.

Commits, live batches that repeat, overlap or skip, heads, answers of the database and the owner, failures,
slow readers, lost connections and subscriptions are interleaved at will, on the real feed, channels, reader
and clients, with limits that are met after a few events. Subscribers read JSON or protobuf, whole or as
patches, all or what a filter lets pass; some publish themselves, and do not want it back.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.streams.event import SPARES_SENDER, EphemeralPublication, Event
from gateway.realtime.client import Client
from tests.helpers.listener import Following, document
from tests.helpers.loop import run
from tests.helpers.memory_log import ORG, MemoryLog
from tests.helpers.recorder import Recorder
from tests.helpers.replica import MemoryReplica, say, turns

CHANNELS = "ab"
QUIET_ROUNDS_MAX = 200
WHISPER = document(0)
"""What is published without being stored."""
TERMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "delta": {"delta": "fossil"},
    "even": {"tf": {"key": "parity", "cmp": "eq", "val": "even"}},
}


@dataclass(frozen=True)
class Asked:
    """A command that waits for its reply, and where its channel stood when it was sent."""

    verb: str
    channel: str
    last: int
    since: int | None = None
    terms: str = "plain"


@dataclass
class Subscriber:
    """A client that checks every line it hears."""

    log: "Log"
    client: Client
    socket: Recorder
    failures: list[str]
    heard: int = 1
    asked: dict[int, Asked] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    """Where an open subscription stands."""
    terms: dict[str, str] = field(default_factory=dict)
    """What it asked for."""
    following: dict[str, Following] = field(default_factory=dict)
    """What makes documents of the patches of an open subscription."""
    held: dict[str, int] = field(default_factory=dict)
    """Where one that ended stood."""

    def subscribe(self, channel: str, since: int | None, terms: str) -> None:
        ask: dict[str, Any] = {"channel": channel, **TERMS[terms]}
        if since is not None:
            ask |= {"recover": True, "offset": since, "epoch": ""}
        (number,) = say(self.client, {"subscribe": ask})
        self.asked[number] = Asked("subscribe", channel, self.log.last.get(channel, 0), since, terms)

    def unsubscribe(self, channel: str) -> None:
        (number,) = say(self.client, {"unsubscribe": {"channel": channel}})
        self.asked[number] = Asked("unsubscribe", channel, 0)

    def publish(self, channel: str, spares: bool) -> None:  # noqa: FBT001 (drawn)
        data = document(99)
        own = data if not self.client.form.codec.is_json else orjson.loads(data)
        ask = {"channel": channel, "data": own, "exclude_self": spares}
        (number,) = say(self.client, {"publish": ask})
        self.asked[number] = Asked("publish", channel, 0)

    def listen(self) -> None:
        """Check what came since the last time."""
        for line in self.socket.lines[self.heard :]:
            self._hear(line)
        self.heard = max(self.heard, len(self.socket.lines))

    def _hear(self, line: dict[str, Any]) -> None:
        if "push" in line:
            channel = line["push"]["channel"]
            if "pub" in line["push"]:
                self._take(channel, line["push"]["pub"])
            else:
                assert line["push"]["unsubscribe"]["code"] == 2500
                assert self.failures, "a subscription was ended though everything could be read"
                self.held[channel] = self.positions.pop(channel)
            return
        asked = self.asked.pop(line["id"])
        before = [a for n, a in self.asked.items() if n < line["id"] and a.channel == asked.channel]
        assert not before, f"{asked} was answered before {before}"
        if "error" in line:
            if line["error"]["code"] == 105:
                assert asked.channel in self.positions
            else:
                assert (line["error"]["code"], bool(self.failures)) == (100, True)
        elif asked.verb == "publish":
            assert 0 < line["publish"]["offset"] <= self.log.last[asked.channel]
        elif asked.verb == "unsubscribe":
            if asked.channel in self.positions:
                self.held[asked.channel] = self.positions.pop(asked.channel)
        else:
            self._begin(asked, line["subscribe"])

    def _begin(self, asked: Asked, reply: dict[str, Any]) -> None:
        channel, now = asked.channel, self.log.last.get(asked.channel, 0)
        assert channel not in self.positions
        offset = reply.get("offset", 0)
        first = self.log.first_offset(channel)
        recovered = reply.get("recovered", False)
        assert reply.get("was_recovering", False) == (asked.since is not None)
        if asked.since is not None:
            if asked.since > now or first > asked.since + 1:
                assert not recovered or asked.since == now
            elif asked.since <= asked.last:
                assert recovered, f"{asked} was not recovered, though all of it could be read"
        if recovered:
            assert offset == asked.since
        else:
            assert asked.last <= offset <= now
            assert "publications" not in reply
        assert reply.get("delta", False) == (asked.terms == "delta")
        self.positions[channel], self.terms[channel] = offset, asked.terms
        self.following[channel] = Following()
        for publication in reply.get("publications", []):
            self._take(channel, publication)

    def _take(self, channel: str, publication: dict[str, Any]) -> None:
        assert channel in self.positions, f"{channel} is pushed without a subscription"
        if self.terms[channel] == "delta":
            data = self.following[channel].take(publication)
        else:
            data = publication["data"]
            data = orjson.dumps(data) if self.client.form.codec.is_json else data
        if "offset" not in publication:
            assert data == WHISPER
            return
        event = self.due(channel)
        assert event is not None, f"{channel}: {publication['offset']} is not due"
        expected = dict(event.entries)[channel]
        assert publication["offset"] == expected, f"{channel}: {expected} is due, not {publication['offset']}"
        assert data == event.data
        self.positions[channel] = expected

    def due(self, channel: str) -> Event | None:
        """Return the next publication that an open subscription wants."""
        behind = self.log.after(channel, self.positions[channel])
        return next((event for event in behind if self._wants(channel, event)), None)

    def _wants(self, channel: str, event: Event) -> bool:
        if self.terms[channel] == "even" and (event.tags or {}).get("parity") != "even":
            return False
        own = event.info is not None and event.info.client == self.client.client_id
        return not (own and event.flags & SPARES_SENDER)


class Log(MemoryLog):
    """A log of documents that differ little, every second of which is tagged as even."""

    def commit(self, *channels: str, **of: Any) -> Event:
        seq = len(self.log) + 1
        return super().commit(*channels, **{"data": document(seq), "tags": parity_of(seq), **of})

    def after(self, channel: str, offset: int) -> list[Event]:
        """Return what stands in a channel after an offset."""
        return [event for event in self.log for name, at in event.entries if name == channel and at > offset]


def parity_of(seq: int) -> dict[str, str] | None:
    return None if seq % 2 else {"parity": "even"}


class World:
    """A log, a replica, and two subscribers who drop and come back, by and by in the other encoding."""

    def __init__(self, first: list[str], expired: int) -> None:
        self.log = Log(min(expired, len(first)))
        for channels in first:
            self.log.commit(*channels)
        self.connections = 0
        self.replica = MemoryReplica(self.log)
        self.failures: list[str] = []
        self.subscribers = [self._subscriber() for _ in range(2)]

    def _subscriber(self) -> Subscriber:
        forms = self.replica.parts.forms
        form = (forms.websocket_json, forms.websocket_protobuf)[self.connections // 2 % 2]
        self.connections += 1
        return Subscriber(self.log, *self.replica.connect(form), self.failures)

    def act(self, action: tuple[Any, ...]) -> None:
        name, *arguments = action
        getattr(self, name)(*arguments)

    def commit(self, entries: list[str]) -> None:
        for channels in entries:
            self.log.commit(*channels)

    def publish(self, entries: list[str]) -> None:
        self.commit(entries)
        self.push(len(entries) - 1, len(entries) - 1)

    def push(self, first: int, size: int) -> None:
        if count := len(self.log.log):
            begin = count - first % count
            self.log.push(begin, min(begin + size, count))

    def announce(self, back: int) -> None:
        # What was announced last before a replica watched is not past its retention when it does.
        self.log.announce(max(self.log.expired, len(self.log.log) - back))

    def answer(self, which: int) -> None:
        self.log.gate.open(which)

    def fail(self, which: int) -> None:
        if self.log.gate.open(which, well=False):
            self.failures.append("read")

    def wake(self) -> None:
        self.replica.clock.gate.open_all()

    def slow(self, who: int, unsent: int) -> None:
        self.subscribers[who].socket.unsent_bytes = unsent

    def subscribe(self, who: int, channel: str, since: int | None, terms: str) -> None:
        self.subscribers[who].subscribe(channel, since, terms)

    def resume(self, who: int, channel: str, terms: str) -> None:
        self.subscribe(who, channel, self.subscribers[who].held.get(channel), terms)

    def say(self, who: int, channel: str, spares: bool) -> None:  # noqa: FBT001 (drawn)
        self.subscribers[who].publish(channel, spares)

    def whisper(self, channel: str) -> None:
        self.log.whisper(EphemeralPublication(ORG, channel, WHISPER))

    def unsubscribe(self, who: int, channel: str) -> None:
        self.subscribers[who].unsubscribe(channel)

    def lose(self, who: int) -> None:
        """Cut a connection; its next one knows what it holds."""
        gone = self.subscribers[who]
        gone.listen()
        self.replica.lose(gone.client)
        self.subscribers[who] = self._subscriber()
        self.subscribers[who].held = gone.held | gone.positions

    def listen(self) -> None:
        for subscriber in self.subscribers:
            subscriber.listen()

    async def settle(self) -> None:
        """Let everything come, until nothing is left to come."""
        for subscriber in self.subscribers:
            subscriber.socket.unsent_bytes = 0
        for _ in range(QUIET_ROUNDS_MAX):
            self.log.announce(len(self.log.log))
            await turns(10)
            if not (self.log.gate.open_all() | self.replica.clock.gate.open_all()):
                break
        self.listen()

    def check(self) -> None:
        for subscriber in self.subscribers:
            assert not subscriber.asked, f"no answer to {subscriber.asked}"
            assert subscriber.socket.codes == []
            for channel in subscriber.positions:
                assert subscriber.due(channel) is None
        assert self.replica.clients.breaks == 0
        clients = [subscriber.client for subscriber in self.subscribers]
        for feed in self.replica.hub.feeds:
            for channel in feed.channels.values():
                assert not channel.catching
                assert channel.live_count == sum(map(channel.is_live, clients))


WHO, CHANNEL = st.integers(0, 1), st.sampled_from(CHANNELS)
ENTRIES = st.sampled_from(["a", "b", "ab"])
SEVERAL = st.lists(ENTRIES, min_size=1, max_size=4)
OFFSETS = st.none() | st.integers(0, 6)
WANTED = st.sampled_from(["delta", *TERMS])


def action(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), *arguments)


CALM = ("calm",)
"""Everything that is due comes, and most of what was asked for is live."""
ACTIONS = st.one_of(
    st.just(CALM),
    st.just(CALM),
    action("publish", SEVERAL),
    action("publish", SEVERAL),
    action("commit", SEVERAL),
    action("push", st.integers(0, 6), st.integers(0, 3)),
    action("announce", st.integers(0, 3)),
    action("answer", st.integers(0, 3)),
    action("answer", st.just(0)),
    action("answer", st.just(0)),
    action("fail", st.integers(0, 3)),
    action("wake"),
    action("slow", WHO, st.sampled_from([0, 10_000])),
    action("subscribe", WHO, CHANNEL, OFFSETS, WANTED),
    action("resume", WHO, CHANNEL, WANTED),
    action("say", WHO, CHANNEL, st.booleans()),
    action("whisper", CHANNEL),
    action("unsubscribe", WHO, CHANNEL),
    action("lose", WHO),
)
STORIES = st.lists(st.tuples(ACTIONS, st.integers(0, 4)), min_size=20, max_size=60)


@settings(max_examples=350, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ENTRIES, max_size=6), st.integers(0, 2), STORIES)
def test_each_subscriber_hears_the_gapless_rest_after_its_position(
    first: list[str], expired: int, story: list[tuple[tuple[Any, ...], int]]
) -> None:
    async def scenario() -> None:
        world = World(first, expired)
        await turns(5)
        for step, pause in story:
            if step == CALM:
                await world.settle()
            else:
                world.act(step)
                await turns(pause)
            world.listen()
        await world.settle()
        world.check()
        for who, subscriber in enumerate(world.subscribers):
            for channel in subscriber.held.keys() - subscriber.positions.keys():
                world.resume(who, channel, subscriber.terms.get(channel, "plain"))
        await world.settle()
        world.check()
        await world.replica.tasks.close()

    run(scenario())
