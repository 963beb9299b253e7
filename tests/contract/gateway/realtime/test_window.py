"""A namespace that shows the newest two of five publications (§19.9 of the protocol), row by row.

History and recovery look at the same two, and nothing that is hidden moves a position. E is the epoch.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.helpers.loop import run
from tests.helpers.realtime import Realtimes, Speaker, realtime_of

Row = list[tuple[dict[str, Any], dict[str, Any]]]
"""What is asked, and what is answered besides what every answer has; publications by their offsets."""

NOTHING: Final[dict[str, Any]] = {"publications": []}
GRANTED: Final = {"positioned": True, "recoverable": True, "epoch": "E"}
ANEW: Final = {**GRANTED, "was_recovering": True, "offset": 5}


def history(publications: list[int], **asked: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"history": asked}, {"publications": publications, "offset": 5, "epoch": "E"}


def since(offset: int, epoch: str = "E", **asked: Any) -> dict[str, Any]:
    return {"since": {"offset": offset, "epoch": epoch}, **asked}


def recover(offset: int, epoch: str = "E", **asked: Any) -> dict[str, Any]:
    return {"subscribe": {"recover": True, "offset": offset, "epoch": epoch, **asked}}


def recovered(offset: int, publications: list[int]) -> dict[str, Any]:
    listed = {"publications": publications} if publications else {}
    return {**GRANTED, "was_recovering": True, "recovered": True, "offset": offset, **listed}


UNRECOVERABLE: Final = {"error": {"code": 112, "message": "unrecoverable position"}}
EPOCHS: Final = ("E", "")
ROWS: Final[dict[str, Row]] = {
    "history": [
        history([4, 5], limit=10),
        history([4, 5], limit=-1),
        history([5, 4], limit=10, reverse=True),
        history([5, 4], limit=-1, reverse=True),
        history([], limit=0),
        history([]),
        history([5], limit=1, reverse=True),
        history([4], limit=1),
    ],
    "history since": [
        *(
            history(found, **since(offset, epoch, limit=10))
            for offset, found in ((1, [4, 5]), (4, [5]), (5, []), (9, []))
            for epoch in EPOCHS
        ),
        history([4], **since(5, limit=10, reverse=True)),
        history([], **since(4, limit=10, reverse=True)),
        ({"history": since(4, "another", limit=10)}, UNRECOVERABLE),
        ({"history": since(4, "_", limit=0)}, UNRECOVERABLE),
    ],
    "recover what is shown": [
        (recover(offset, epoch, flag=flag), recovered(offset, found))
        for offset, found in ((3, [4, 5]), (4, [5]), (5, []))
        for epoch in EPOCHS
        for flag in (0, 2)
    ],
    "recover what is not": [
        *((recover(offset, epoch), ANEW) for offset in (0, 2, 6) for epoch in EPOCHS),
        *((recover(offset, "another"), ANEW) for offset in (0, 3, 5)),
        (recover(0, "_"), ANEW),
        *((recover(offset, flag=2), UNRECOVERABLE) for offset in (0, 2, 6)),
        (recover(5, "another", flag=2), UNRECOVERABLE),
    ],
    "plain subscribe": [({"subscribe": {}}, {**GRANTED, "offset": 5})],
}


@dataclass
class Window:
    """A client, and what its replica stands in."""

    system: Realtimes
    speaker: Speaker
    epoch: str
    channel: str = "brief:a"
    _number: int = 100

    async def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a command on the channel, publications by their offsets."""
        self._number += 1
        ((verb, asked),) = command.items()
        full = _with({"channel": self.channel, **asked}, "E", self.epoch)
        answer = await self.speaker.ask({"id": self._number, verb: full})
        found = _with(answer.get(verb) or answer, self.epoch, "E")
        if "publications" in found:
            found["publications"] = [publication["offset"] for publication in found["publications"]]
        found.pop("id", None)
        return found

    async def leave(self) -> None:
        await self.ask({"unsubscribe": {}})


def _with(found: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """Return the same with another epoch in the place of one."""
    named = {name: _with(value, old, new) for name, value in found.items() if isinstance(value, dict)}
    epoch = {"epoch": new} if found.get("epoch") == old else {}
    return {**found, **named, **epoch}


@asynccontextmanager
async def window_of(database_url: str, **options: Any) -> AsyncIterator[Window]:
    async with realtime_of(database_url) as system:
        shown = {"history": "window", "history_size": 2, "history_ttl_s": 300, "force_recovery": True}
        await system.namespace("brief", **{**shown, **options})
        await system.options(client_insecure=True)
        for number in range(1, 6):
            await system.publish("brief:a", b"%d" % number)
        head = await system.owner.head(system.organization.organization_id)
        async with Speaker(system.url, system.token("ann")) as speaker:
            yield Window(system, speaker, head.epoch)


@pytest.mark.parametrize("row", ROWS)
def test_what_is_asked_of_the_window_is_answered_as_the_table_says(database_url: str, row: str) -> None:
    async def scenario() -> None:
        async with window_of(database_url) as window:
            for command, answer in ROWS[row]:
                assert await window.ask(command) == answer, command
                if "subscribe" in command:
                    await window.leave()

    run(scenario())


def test_the_next_live_one_follows_on_the_top_whatever_was_recovered(database_url: str) -> None:
    async def scenario() -> None:
        async with window_of(database_url) as window:
            for offset, command in enumerate(({"subscribe": {}}, recover(2), recover(7)), 6):
                await window.ask(command)
                await window.system.publish(window.channel, b'"live"')
                (publication,) = await window.speaker.publications(1)
                assert publication["offset"] == offset
                await window.leave()

    run(scenario())


def test_where_nothing_was_ever_published_there_is_nothing_and_no_failure(database_url: str) -> None:
    async def scenario() -> None:
        async with window_of(database_url) as window:
            window.channel = "brief:never"
            assert await window.ask({"history": {"limit": 10}}) == {**NOTHING, "offset": 0, "epoch": "E"}
            begun = {**GRANTED, "was_recovering": True, "recovered": True}
            assert await window.ask(recover(0)) == begun  # zero is left out

    run(scenario())


def test_where_history_is_off_it_is_not_available_and_nobody_recovers(database_url: str) -> None:
    async def scenario() -> None:
        async with window_of(database_url, history="off") as window:
            not_available = {"error": {"code": 108, "message": "not available"}}
            assert await window.ask({"history": {"limit": 10}}) == not_available
            begun = {"positioned": True, "epoch": "E", "offset": 5, "was_recovering": True}
            for offset in (0, 4, 5):
                assert await window.ask(recover(offset, flag=2)) == begun
                await window.leave()

    run(scenario())


def test_what_was_removed_is_hidden_and_the_position_stays(database_url: str) -> None:
    async def scenario() -> None:
        async with window_of(database_url) as window:
            organization_id = window.system.organization.organization_id
            await window.system.floors.remove(organization_id, window.channel, up_to_offset=5)
            assert await window.ask({"history": {"limit": 10}}) == {**NOTHING, "offset": 5, "epoch": "E"}
            for command, answer in ((recover(5), recovered(5, [])), (recover(4), ANEW)):
                assert await window.ask(command) == answer
                await window.leave()
            await window.system.publish(window.channel, b"6")
            assert (await window.ask({"history": {"limit": 10}}))["publications"] == [6]
            assert (await window.ask(recover(5)))["publications"] == [6]

    run(scenario())


def test_past_the_time_of_the_newest_nothing_is_shown(database_url: str) -> None:
    async def scenario() -> None:
        async with window_of(database_url, history_ttl_s=1) as window:
            while (await window.ask({"history": {"limit": 10}}))["publications"]:
                pass
            assert await window.ask(recover(4)) == ANEW
            await window.leave()
            assert await window.ask(recover(5)) == recovered(5, [])

    run(scenario())


def test_a_server_side_subscription_recovers_what_is_shown_too(database_url: str) -> None:
    async def scenario() -> None:
        async with window_of(database_url) as window:
            token = window.system.token("bob", channels=["brief:a"])
            for offset, found in ((3, [4, 5]), (2, None)):
                position = {"recover": True, "offset": offset, "epoch": window.epoch}
                async with Speaker(window.system.url) as speaker:
                    connect = {"token": token, "subs": {"brief:a": position}}
                    reply = await speaker.ask({"id": 1, "connect": connect})
                    begun = reply["connect"]["subs"]["brief:a"]
                    assert begun.get("recovered", False) == (found is not None)
                    assert [p["offset"] for p in begun.get("publications", [])] == (found or [])

    run(scenario())
