"""A subscription that catches up: what can't be read yet, and what can't be read any more."""

from typing import Any

import orjson
import pytest

from core.streams.event import OPAQUE
from gateway.realtime.client import Client
from tests.helpers.listener import Following, document
from tests.helpers.loop import run
from tests.helpers.meeting import Meeting
from tests.helpers.memory_log import MemoryLog
from tests.helpers.recorder import Recorder
from tests.helpers.replica import MemoryReplica, answer_all, connected, say, settled, turns

RECOVER: dict[str, Any] = {"channel": "a", "recover": True, "offset": 0, "epoch": ""}


async def begun(log: MemoryLog, client: Client, socket: Recorder, **asked: Any) -> None:
    """Subscribe, and let the reply come and nothing behind it."""
    (number,) = say(client, {"subscribe": RECOVER | asked})
    while not any(line.get("id") == number for line in socket.lines):
        await turns(5)
        log.gate.open(0)
        await turns(5)


def test_what_can_not_be_read_now_is_read_later() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        for _ in range(7):
            log.commit("a")
        replica, client, socket = await connected(log)
        await begun(log, client, socket)
        while log.gate.open(0, well=False):  # then everything fails for a while
            await turns(5)
            replica.clock.gate.open_all()
            await turns(5)
            if len(socket.lines) > 40:
                break
            if replica.clock.gate.open_all() is False:
                break
        for _ in range(20):
            await answer_all(log)
            replica.clock.gate.open_all()
        pushed = [line["push"]["pub"]["offset"] for line in socket.lines if "push" in line]
        listed = [p["offset"] for p in socket.lines[1]["subscribe"]["publications"]]
        assert listed + pushed == list(range(1, 8))
        assert socket.codes == []
        await replica.tasks.close()

    run(scenario())


def test_who_is_far_behind_rests_after_each_page() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        for _ in range(9):
            log.commit("a")
        replica, client, socket = await connected(log)
        await begun(log, client, socket)
        for _ in range(20):
            replica.clock.seconds += 0.01  # a page takes its time
            await answer_all(log)
        pushed = [line["push"]["pub"]["offset"] for line in socket.lines if "push" in line]
        assert pushed == [2]  # a page: now it is the turn of others
        for _ in range(20):
            replica.clock.gate.open_all()
            await answer_all(log)
        pushed = [line["push"]["pub"]["offset"] for line in socket.lines if "push" in line]
        assert pushed == [2, 3, 4, 5, 6, 7, 8, 9]
        await replica.tasks.close()

    run(scenario())


def test_a_reader_whom_the_retention_overtakes_is_told() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        for _ in range(6):
            log.commit("a")
        replica, client, socket = await connected(log)
        await begun(log, client, socket)
        assert socket.lines[1]["subscribe"]["recovered"]
        log.expired = 5
        for _ in range(10):
            await answer_all(log)
            replica.clock.gate.open_all()
        assert socket.lines[-1]["push"]["unsubscribe"]["code"] == 2500
        offsets = [p["offset"] for p in socket.lines[1]["subscribe"]["publications"]]
        offsets += [line["push"]["pub"]["offset"] for line in socket.lines if "pub" in line.get("push", {})]
        assert offsets == list(range(1, len(offsets) + 1))  # up to the hole, and nothing behind it
        await replica.tasks.close()

    run(scenario())


async def paging(log: MemoryLog, socket: Recorder, client: Client) -> None:
    """Bring a subscription as far as its first page, behind which more are left; the client reads no more."""
    await begun(log, client, socket)
    socket.unsent_bytes = 10_000


def restored(log: MemoryLog) -> None:
    """Put an older log in place of this one."""
    log.epoch, log.log, log.last = "epochtwo", log.log[:3], {"a": 3}


def test_what_is_committed_before_the_first_announcement_is_heard() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        replica = MemoryReplica(log)
        client, socket = replica.connect()
        await turns(5)
        say(client, {"subscribe": {"channel": "a"}})
        await answer_all(log)
        log.commit("a")
        await settled(log, replica)
        assert [line["push"]["pub"]["offset"] for line in socket.lines if "push" in line] == [1]
        await replica.tasks.close()

    run(scenario())


def test_who_catches_up_is_told_that_the_log_has_another_epoch() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        for _ in range(6):
            log.commit("a")
        replica, client, socket = await connected(log)
        await paging(log, socket, client)
        restored(log)
        log.announce(3)
        socket.unsent_bytes = 0
        await settled(log, replica)
        log.commit("a")
        log.push(4, 4)
        await settled(log, replica)
        assert socket.lines[-1]["push"]["unsubscribe"]["code"] == 2500
        await replica.tasks.close()

    run(scenario())


def test_who_comes_after_another_epoch_stands_in_it_whoever_still_catches_up() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        for _ in range(6):
            log.commit("a")
        replica, client, socket = await connected(log)
        other, heard = replica.connect()
        await turns(5)
        say(other, {"subscribe": {"channel": "a"}})
        await settled(log, replica)
        log.commit("a")
        log.push(7, 7)
        await paging(log, socket, client)
        restored(log)
        log.announce(3)
        await turns(5)
        assert heard.lines[-1]["push"]["unsubscribe"]["code"] == 2500
        (number,) = say(other, {"subscribe": {"channel": "a"}})
        await answer_all(log)
        reply = next(line for line in heard.lines if line.get("id") == number)["subscribe"]
        assert (reply["epoch"], reply["offset"]) == ("epochtwo", 3)
        log.commit("a")
        log.push(4, 4)
        await turns(5)
        assert heard.lines[-1]["push"]["pub"]["offset"] == 4
        await replica.tasks.close()

    run(scenario())


@pytest.mark.parametrize("asked", [{}, {"delta": "fossil"}], ids=["plain", "delta"])
@pytest.mark.parametrize("spares", [True, False])
def test_who_publishes_while_it_catches_up_is_spared_only_if_it_wants_to_be(
    asked: dict[str, Any],
    spares: bool,  # noqa: FBT001 (a case)
) -> None:
    async def scenario() -> None:
        log = MemoryLog()
        for number in range(1, 7):
            log.commit("a", data=document(number))
        replica, client, socket = await connected(log, page_bytes_max=10_000)
        other, heard = replica.connect()
        await turns(5)
        say(other, {"subscribe": {"channel": "a", **asked}})
        await settled(log, replica)
        await begun(log, client, socket, **asked)
        for number in (7, 8):
            own = {"channel": "a", "data": orjson.loads(document(number)), "exclude_self": spares}
            say(client, {"publish": own})
        await settled(log, replica)
        log.publish("a", data=document(9))
        await settled(log, replica)
        reply = next(line["subscribe"] for line in socket.lines if "subscribe" in line)
        found = [*reply["publications"], *(push["pub"] for push in socket.pushes("pub"))]
        expected = [1, 2, 3, 4, 5, 6, 9] if spares else list(range(1, 10))
        assert [publication["offset"] for publication in found] == expected
        if asked:
            assert Following().take_all(found) == [document(number) for number in expected]
            others = Following().take_all(push["pub"] for push in heard.pushes("pub"))
            assert others == [document(number) for number in (7, 8, 9)]
        await replica.tasks.close()

    run(scenario())


def test_who_goes_live_as_the_others_end_gets_what_comes_then() -> None:
    async def scenario() -> None:
        world = Meeting(page_bytes_max=10_000)
        _, other = await world.subscribed("a")
        client, socket = await world.connect(form=world.form("websocket_protobuf"))
        say(client, {"subscribe": {"channel": "a"}})
        await turns(5)
        world.log.gate.open(0)  # it has all that it waits for, and in the same turn there comes
        world.log.publish("a", data=b"\xff", flags=OPAQUE)  # what ends the only one who is live
        await world.settle()
        assert other.codes == [3506]
        world.log.publish("a")
        await world.settle()
        assert [push["pub"]["offset"] for push in socket.pushes("pub")] == [2]
        await world.close()

    run(scenario())
