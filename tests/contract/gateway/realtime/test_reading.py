"""The history of a channel over a socket: pages from either end, and where the channel stands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.realtime.reading import fingerprint_of
from tests.helpers.loop import run
from tests.helpers.owners import publish
from tests.helpers.realtime import Speaker, realtime_of


class History:
    """A client that asks for the history of a channel with five publications."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._number = 10

    async def ask(self, **asked: Any) -> dict[str, Any]:
        self._number += 1
        return await self._speaker.ask({"id": self._number, "history": {"channel": "news", **asked}})

    async def offsets(self, **asked: Any) -> list[int]:
        return [p["offset"] for p in (await self.ask(**asked))["history"]["publications"]]


@asynccontextmanager
async def history_of(database_url: str, **settings: int) -> AsyncIterator[History]:
    async with realtime_of(database_url, **settings) as system, Speaker(system.url, system.key) as speaker:
        for number in range(1, 6):
            organization_id = system.organization.organization_id
            await system.owner.submit(publish(organization_id, "news", b"%d" % number))
            await system.owner.submit(publish(organization_id, "other", b"0"))
        yield History(speaker)


@pytest.mark.parametrize(
    ("asked", "offsets"),
    [
        ({}, []),
        ({"limit": 0}, []),
        ({"limit": 2}, [1, 2]),
        ({"limit": 99}, [1, 2, 3, 4]),
        ({"limit": -1}, [1, 2, 3, 4]),
        ({"limit": 2, "reverse": True}, [5, 4]),
        ({"limit": -1, "reverse": True}, [5, 4, 3, 2]),
        ({"limit": 9, "since": {"offset": 3, "epoch": ""}}, [4, 5]),
        ({"limit": 9, "since": {"offset": 5, "epoch": ""}}, []),
        ({"limit": 9, "since": {"offset": 9, "epoch": ""}}, []),
        ({"limit": 9, "since": {"offset": 3, "epoch": ""}, "reverse": True}, [2, 1]),
        ({"limit": 9, "since": {"offset": 1, "epoch": ""}, "reverse": True}, []),
    ],
)
def test_a_page_holds_what_was_asked_for_and_four_at_most(
    database_url: str, asked: dict[str, Any], offsets: list[int]
) -> None:
    async def scenario() -> None:
        async with history_of(database_url, history_max=4) as history:
            answer = (await history.ask(**asked))["history"]
            assert [p["offset"] for p in answer["publications"]] == offsets
            assert answer["offset"] == 5
            assert answer["epoch"]

    run(scenario())


def test_pages_taken_one_after_the_other_are_the_whole_channel(database_url: str) -> None:
    async def scenario() -> None:
        async with history_of(database_url) as history:
            epoch = (await history.ask())["history"]["epoch"]
            forward: list[int] = []
            while page := await history.offsets(
                limit=2, since={"offset": forward[-1] if forward else 0, "epoch": epoch}
            ):
                forward += page
            assert forward == [1, 2, 3, 4, 5]
            backward = await history.offsets(limit=2, reverse=True)
            while page := await history.offsets(
                limit=2, reverse=True, since={"offset": backward[-1], "epoch": epoch}
            ):
                backward += page
            assert backward == [5, 4, 3, 2, 1]

    run(scenario())


def test_a_channel_in_which_nothing_was_published_stands_at_nothing(database_url: str) -> None:
    async def scenario() -> None:
        async with history_of(database_url) as history:
            answer = (await history.ask(channel="never", limit=-1))["history"]
            assert (answer["publications"], answer["offset"]) == ([], 0)

    run(scenario())


@pytest.mark.parametrize("limit", [0, 5])
def test_a_position_of_another_epoch_is_unrecoverable(database_url: str, limit: int) -> None:
    async def scenario() -> None:
        async with history_of(database_url) as history:
            answer = await history.ask(limit=limit, since={"offset": 1, "epoch": "another"})
            assert answer["error"] == {"code": 112, "message": "unrecoverable position"}

    run(scenario())


def test_before_the_first_one_there_is_nothing_to_ask_for(database_url: str) -> None:
    async def scenario() -> None:
        async with history_of(database_url) as history:
            answer = await history.ask(limit=5, reverse=True, since={"offset": 0, "epoch": ""})
            assert answer["error"]["code"] == 107

    run(scenario())


def test_a_publish_is_told_from_another_by_channel_and_data() -> None:
    made = [fingerprint_of(*what) for what in (("ab", b"c"), ("a", b"bc"), ("ab", b""), ("", b"abc"))]
    assert len(set(made)) == len(made)
    assert fingerprint_of("ab", b"c") == made[0]
