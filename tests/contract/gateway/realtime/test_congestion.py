"""Who publishes waits when many readers can't follow; a few that do not read make nobody wait."""

import asyncio

from core.streams.command import Command
from core.streams.outcome import Committed
from gateway.realtime.client import Client
from gateway.realtime.feed import CROWD
from tests.helpers.loop import run
from tests.helpers.memory_log import EPOCH, MemoryLog
from tests.helpers.recorder import Recorder
from tests.helpers.replica import MemoryReplica, say, turns


class Accepting(MemoryLog):
    """A log whose owner takes every publication at once."""

    def submit(self, command: Command) -> asyncio.Future[Committed]:
        future: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        future.set_result(Committed("published", command.event_id, 1, EPOCH, 0, (1,)))
        return future


async def crowd(log: MemoryLog, replica: MemoryReplica) -> tuple[Client, Recorder, list[Recorder]]:
    """Give a publisher and readers of the channel `a`."""
    publisher, its_socket = replica.connect()
    readers = [replica.connect() for _ in range(2 * CROWD)]
    await turns(5)
    log.announce(0)
    for reader, _ in readers:
        say(reader, {"subscribe": {"channel": "a"}})
    for _ in range(20):
        await turns(5)
        log.gate.open_all()
    return publisher, its_socket, [socket for _, socket in readers]


def live(log: MemoryLog, replica: MemoryReplica) -> None:
    """Let one publication reach the readers."""
    replica.clock.seconds += 1
    log.commit("a")
    log.push(len(log.log), len(log.log))


def test_publishers_wait_while_many_readers_are_behind_and_no_longer() -> None:
    async def scenario() -> None:
        log = Accepting()
        replica = MemoryReplica(log, outbox_bytes_max=8_000)
        publisher, its_socket, readers = await crowd(log, replica)
        live(log, replica)
        await turns(3)
        say(publisher, {"publish": {"channel": "a", "data": 1}})
        assert not its_socket.is_paused  # everybody follows
        for reader in readers[::3]:
            reader.unsent_bytes = 2_000
        live(log, replica)
        await turns(3)
        say(publisher, {"publish": {"channel": "a", "data": 2}})
        assert its_socket.is_paused
        for reader in readers:
            reader.unsent_bytes = 0
        await turns(3)
        replica.clock.gate.open_all()
        await turns(3)
        assert not its_socket.is_paused
        assert [socket.codes for socket in (its_socket, *readers) if socket.codes] == []
        await replica.tasks.close()

    run(scenario())


def test_a_few_that_do_not_read_make_nobody_wait() -> None:
    async def scenario() -> None:
        log = Accepting()
        replica = MemoryReplica(log, outbox_bytes_max=8_000)
        publisher, its_socket, readers = await crowd(log, replica)
        for reader in readers[::8]:
            reader.unsent_bytes = 2_000
        for _ in range(10):
            live(log, replica)
            await turns(3)
            say(publisher, {"publish": {"channel": "a", "data": 1}})
            assert not its_socket.is_paused
        await replica.tasks.close()

    run(scenario())


def test_nobody_waits_for_readers_for_ever() -> None:
    async def scenario() -> None:
        log = Accepting()
        replica = MemoryReplica(log, outbox_bytes_max=8_000)
        publisher, its_socket, readers = await crowd(log, replica)
        for reader in readers:
            reader.unsent_bytes = 2_000
        live(log, replica)
        await turns(3)
        say(publisher, {"publish": {"channel": "a", "data": 1}})
        assert its_socket.is_paused
        for _ in range(3):
            replica.clock.seconds += 1
            await turns(3)
            replica.clock.gate.open_all()
        await turns(3)
        assert not its_socket.is_paused
        await replica.tasks.close()

    run(scenario())
