"""A subscription that catches up: what can't be read yet, and what can't be read any more."""

from typing import Any

from tests.contract.gateway.realtime.test_client import answer_all, connected
from tests.helpers.loop import run
from tests.helpers.replica import MemoryLog, say, turns

RECOVER: dict[str, Any] = {"channel": "a", "recover": True, "offset": 0, "epoch": ""}


def test_what_can_not_be_read_now_is_read_later() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        for _ in range(7):
            log.commit("a")
        replica, client, socket = await connected(log)
        say(client, {"subscribe": RECOVER})
        await turns(5)
        for _ in range(3):  # the reply, which says that there is more
            log.gate.open(0)
            await turns(5)
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


def test_a_reader_whom_the_retention_overtakes_is_told() -> None:
    async def scenario() -> None:
        log = MemoryLog()
        for _ in range(6):
            log.commit("a")
        replica, client, socket = await connected(log)
        socket.unsent_bytes = 0
        say(client, {"subscribe": RECOVER})
        for _ in range(3):
            await turns(5)
            log.gate.open(0)
        await turns(5)
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
