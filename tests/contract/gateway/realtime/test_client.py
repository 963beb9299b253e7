"""One client between its socket and the replica: what it may ask for at once, and how it is told."""

from typing import Any

from gateway.realtime.client import DRAIN_CHECK_MAX_S, DRAIN_CHECK_S
from tests.helpers.loop import run
from tests.helpers.memory_log import MemoryLog
from tests.helpers.replica import answer_all, connected, say, turns


def of(lines: list[dict[str, Any]], id_: int) -> dict[str, Any]:
    return next(line for line in lines if line.get("id") == id_)


def test_with_too_much_unanswered_a_socket_is_read_no_further() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        replica, client, socket = await connected(log, pending_commands_max=4)
        asked = say(client, *({"history": {"channel": "a", "limit": 1}} for _ in range(3)))
        assert not socket.is_paused
        asked = [*asked, *say(client, {"history": {"channel": "a", "limit": 1}})]
        assert socket.is_paused
        await answer_all(log)
        assert not socket.is_paused
        assert [line["id"] for line in socket.lines[1:]] == asked
        await replica.tasks.close()

    run(scenario())


def test_whoever_is_not_read_is_pinged_and_misses_no_pong() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        replica, client, socket = await connected(log, pending_commands_max=1)
        say(client, {"history": {"channel": "a", "limit": 1}})
        heard = len(socket.lines)
        for _ in range(10):
            replica.clock.seconds += 20
            client.tick()
            await turns(2)
        assert socket.lines[heard:] == [{}]
        assert socket.codes == []
        await answer_all(log)
        client.tick()
        assert socket.codes == []
        replica.clock.seconds += 20
        client.tick()
        assert socket.codes == [3012]
        await replica.tasks.close()

    run(scenario())


def test_a_fault_of_ours_ends_one_client_which_may_come_back() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        log.commit("a")
        replica, client, socket = await connected(log)
        other, other_socket = replica.connect()
        await turns(5)
        broken: Any = None
        log.page = broken  # type: ignore[method-assign]
        (number,) = say(client, {"history": {"channel": "a", "limit": 1}})
        await answer_all(log)
        assert (socket.codes, other_socket.codes) == ([3004], [])
        assert not any(line.get("id") == number for line in socket.lines)
        assert replica.clients.find(other.client_id) is other
        await replica.tasks.close()

    run(scenario())


def test_nothing_is_pushed_to_a_client_that_was_ended() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        replica, client, socket = await connected(log)
        say(client, {"subscribe": {"channel": "a"}})
        await answer_all(log)
        heard = len(socket.lines)
        client.end(3001)
        log.commit("a")
        log.push(1, 1)
        await turns(5)
        assert (socket.codes, len(socket.lines)) == ([3001], heard)
        await replica.tasks.close()

    run(scenario())


def test_subscriptions_that_recover_take_turns_with_a_slow_reader() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        for _ in range(3):
            log.commit("a", "b")
        replica, client, socket = await connected(log)
        socket.unsent_bytes = 10_000
        recover = {"recover": True, "offset": 0, "epoch": ""}
        asked = say(client, *({"subscribe": {"channel": channel, **recover}} for channel in "ab"))
        await answer_all(log)
        assert len(socket.lines) == 1  # nothing is read for a client that does not read
        socket.unsent_bytes = 0
        for _ in range(20):
            replica.clock.gate.open_all()
            await answer_all(log)
        assert [of(socket.lines, id_)["subscribe"]["recovered"] for id_ in asked] == [True, True]
        offsets = [line["push"]["pub"]["offset"] for line in socket.lines if "push" in line]
        assert sorted(offsets) == [2, 2, 3, 3] or sorted(offsets) == [3, 3]
        await replica.tasks.close()

    run(scenario())


def test_it_is_looked_less_and_less_often_whether_a_client_reads_that_reads_nothing() -> None:
    async def scenario() -> None:
        replica, client, socket = await connected(MemoryLog())
        pauses_s: list[float] = []

        async def sleep(seconds: float) -> None:
            pauses_s.append(seconds)
            if len(pauses_s) == 20:
                socket.unsent_bytes = 0

        replica.clock.sleep = sleep  # type: ignore[method-assign]  # time that passes at once
        socket.unsent_bytes = 10_000
        await client.drained()
        assert pauses_s[0] == DRAIN_CHECK_S
        assert pauses_s == sorted(pauses_s)
        assert pauses_s[-1] == DRAIN_CHECK_MAX_S
        assert len(pauses_s) == 20
        await replica.tasks.close()

    run(scenario())
