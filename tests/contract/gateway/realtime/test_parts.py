"""What the clients of a replica share: one flush a loop tick, ids, and the limits that are set."""

import uuid

from tests.helpers.loop import run
from tests.helpers.memory_log import MemoryLog
from tests.helpers.replica import MemoryReplica, turns


class Gatherer:
    """Counts its flushes."""

    def __init__(self) -> None:
        self.flushes = 0

    def flush(self) -> None:
        self.flushes += 1


def test_what_is_gathered_in_a_tick_is_flushed_at_its_end_and_not_again() -> None:
    async def scenario() -> None:
        replica = MemoryReplica(MemoryLog()).parts
        first, second = Gatherer(), Gatherer()
        replica.flush_soon(first)
        replica.flush_soon(second)
        assert (first.flushes, second.flushes) == (0, 0)
        await turns(3)
        assert (first.flushes, second.flushes) == (1, 1)
        replica.flush_soon(second)
        await turns(1)
        assert (first.flushes, second.flushes) == (1, 2)

    run(scenario())


def test_what_a_flush_gathers_anew_is_flushed_in_the_next_tick() -> None:
    async def scenario() -> None:
        replica = MemoryReplica(MemoryLog()).parts
        later = Gatherer()

        class Again(Gatherer):
            def flush(self) -> None:
                super().flush()
                replica.flush_soon(later)

        replica.flush_soon(Again())
        await turns(2)
        assert later.flushes == 1

    run(scenario())


def test_each_client_has_a_uuid_of_its_own() -> None:
    replica = MemoryReplica(MemoryLog()).parts
    ids = [replica.new_client_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert [str(uuid.UUID(text)) for text in ids] == ids


def test_connections_are_bounded_by_the_settings() -> None:
    limits = MemoryReplica(MemoryLog(), ping_s=7, pong_s=3, connect_s=2, channels_max=5).parts.limits
    assert (limits.ping_s, limits.pong_s, limits.connect_s, limits.channels_max) == (7, 3, 2, 5)
