"""Whatever comes in whatever order: each subscriber hears the gapless rest after its position, each once.

Commits, live batches that repeat, overlap or skip, heads, answers of the database and the owner, failures,
slow readers, lost connections and subscriptions are interleaved at will, on the real feed, channels, reader
and clients, with limits that are met after a few events.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.realtime.client import Client
from tests.helpers.loop import run
from tests.helpers.replica import MemoryLog, MemoryReplica, Recorder, say, turns

CHANNELS = "ab"
QUIET_ROUNDS_MAX = 200


@dataclass(frozen=True)
class Asked:
    """A command that waits for its reply, and where its channel stood when it was sent."""

    verb: str
    channel: str
    last: int
    since: int | None = None


@dataclass
class Subscriber:
    """A client that checks every line it hears."""

    log: MemoryLog
    client: Client
    socket: Recorder
    failures: list[str]
    heard: int = 1
    asked: dict[int, Asked] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    """Where an open subscription stands."""
    held: dict[str, int] = field(default_factory=dict)
    """Where one that ended stood."""

    def subscribe(self, channel: str, since: int | None) -> None:
        ask: dict[str, Any] = {"channel": channel}
        if since is not None:
            ask |= {"recover": True, "offset": since, "epoch": ""}
        (number,) = say(self.client, {"subscribe": ask})
        self.asked[number] = Asked("subscribe", channel, self.log.last.get(channel, 0), since)

    def unsubscribe(self, channel: str) -> None:
        (number,) = say(self.client, {"unsubscribe": {"channel": channel}})
        self.asked[number] = Asked("unsubscribe", channel, 0)

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
        self.positions[channel] = offset
        for publication in reply.get("publications", []):
            self._take(channel, publication)

    def _take(self, channel: str, publication: dict[str, Any]) -> None:
        assert channel in self.positions, f"{channel} is pushed without a subscription"
        expected = self.positions[channel] + 1
        assert publication["offset"] == expected, f"{channel}: {expected} is due, not {publication['offset']}"
        assert publication["data"] == self.log.seq_of(channel, expected)
        self.positions[channel] = expected


class World:
    """A log, a replica, and two subscribers who drop and come back."""

    def __init__(self, first: list[str], expired: int) -> None:
        self.log = MemoryLog(min(expired, len(first)))
        for channels in first:
            self.log.commit(*channels)
        self.replica = MemoryReplica(self.log)
        self.failures: list[str] = []
        self.subscribers = [self._subscriber() for _ in range(2)]

    def _subscriber(self) -> Subscriber:
        return Subscriber(self.log, *self.replica.connect(), self.failures)

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

    def subscribe(self, who: int, channel: str, since: int | None) -> None:
        self.subscribers[who].subscribe(channel, since)

    def resume(self, who: int, channel: str) -> None:
        self.subscribe(who, channel, self.subscribers[who].held.get(channel))

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
            for channel, position in subscriber.positions.items():
                assert position == self.log.last.get(channel, 0)
        assert self.replica.breaks == 0
        clients = [subscriber.client for subscriber in self.subscribers]
        for feed in self.replica.hub.feeds:
            for channel in feed.channels.values():
                assert not channel.catching
                assert all(client in clients for client in channel.live)


WHO, CHANNEL = st.integers(0, 1), st.sampled_from(CHANNELS)
ENTRIES = st.sampled_from(["a", "b", "ab"])
SEVERAL = st.lists(ENTRIES, min_size=1, max_size=4)
OFFSETS = st.none() | st.integers(0, 6)


def action(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), *arguments)


ACTIONS = st.one_of(
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
    action("subscribe", WHO, CHANNEL, OFFSETS),
    action("resume", WHO, CHANNEL),
    action("unsubscribe", WHO, CHANNEL),
    action("lose", WHO),
)
STORIES = st.lists(st.tuples(ACTIONS, st.integers(0, 4)), min_size=20, max_size=60)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ENTRIES, max_size=6), st.integers(0, 2), STORIES)
def test_each_subscriber_hears_the_gapless_rest_after_its_position(
    first: list[str], expired: int, story: list[tuple[tuple[Any, ...], int]]
) -> None:
    async def scenario() -> None:
        world = World(first, expired)
        await turns(5)
        for step, pause in story:
            world.act(step)
            await turns(pause)
            world.listen()
        await world.settle()
        world.check()
        for who, subscriber in enumerate(world.subscribers):
            for channel in subscriber.held.keys() - subscriber.positions.keys():
                world.resume(who, channel)
        await world.settle()
        world.check()
        await world.replica.tasks.close()

    run(scenario())
