"""`tidings seed`: a chat as a real one would look, to try things on."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adapters.http.client import AnswerError, Client
from cli.installation import access
from cli.screen import Screen

T = TypeVar("T")

BATCH = 200
ROOMS = ("general", "support", "release", "random", "incidents", "design", "hiring", "sales")
PEOPLE = ("ada", "grace", "linus", "margaret", "dennis", "barbara", "ken", "radia", "edsger", "frances")
LINES = (
    "Morning, everybody.",
    "Has anybody seen the build fail since last night?",
    "It is green again: the disk of the runner was full.",
    "The customer asks whether the export can be scheduled.",
    "Yes, from the next release on. I will write it down.",
    "Can we move the review to three?",
    "Fine with me.",
    "The p99 went down by a third after the change.",
    "Nice! What was it?",
    "We asked the database once per message. Now once per batch.",
    "I'll be out from Thursday on.",
    "Who takes over the on-call then?",
    "I do.",
    "Please have a look at the draft, comments are welcome.",
    "Read it: short and clear. Two typos in the second part.",
    "Fixed, thank you.",
)
EXISTS = 409
FINE = (201, EXISTS)


async def seed(rooms: int, messages: int) -> None:
    """Make rooms and messages; run again, it adds to them only what is missing."""
    found = access()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    async with Client(found.url, found.api_key) as client:
        with Progress(*columns) as progress:
            doing = progress.add_task("rooms", total=rooms)
            for numbers in _parts(range(rooms)):
                await _batch(client, "rooms", [_room(number) for number in numbers])
                progress.advance(doing, len(numbers))
            doing = progress.add_task("messages", total=messages)
            for numbers in _parts(range(messages)):
                await _batch(client, "messages", [_message(number, rooms) for number in numbers])
                progress.advance(doing, len(numbers))
    Screen().say(f"{rooms} rooms and {messages} messages; look: tidings tail room:<id> --since 0")


def _parts(entries: Sequence[T]) -> Iterator[Sequence[T]]:
    return (entries[start : start + BATCH] for start in range(0, len(entries), BATCH))


def _room(number: int) -> dict[str, object]:
    topic = ROOMS[number % len(ROOMS)]
    return {
        "external_id": f"seed-{number}",
        "name": f"{topic} {number // len(ROOMS) + 1}",
        "topic": f"All about {topic}",
    }


def _message(number: int, rooms: int) -> dict[str, object]:
    # A few rooms are busy and many are quiet, as in life.
    room = min(number * 7919 % (rooms * 3), number * 104_729 % rooms) % rooms
    return {
        "external_id": f"seed-{number}",
        "room_id": f"ext:seed-{room}",
        "author": PEOPLE[number * 31 % len(PEOPLE)],
        "text": LINES[number % len(LINES)],
        "metadata": {"seed": "true"},
    }


async def _batch(client: Client, collection: str, items: list[dict[str, object]]) -> None:
    answer = await client.call("POST", f"/v1/{collection}/batch", {"items": items})
    for result in answer["results"]:
        if result["status"] not in FINE:
            raise AnswerError(f"{result['error']['code']}: {result['error']['detail']}")
