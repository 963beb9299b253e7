"""`tidings tail`: a channel, live, in the terminal."""

from typing import Any

import orjson

from adapters.clock import SystemClock
from adapters.http.client import Client, UnreachableError
from cli.installation import access
from cli.screen import Screen

RETRY_S = 1.0


async def tail(channel: str, since: int | None) -> None:
    """Print each publication as `offset data` until Ctrl-C; a lost connection leaves no gap untold."""
    found, screen, clock = access(), Screen(), SystemClock()
    position: dict[str, Any] = {"epoch": None, "offset": 0}
    if since is not None:
        position = {"epoch": "", "offset": since}

    def warn_of_gap() -> None:
        screen.warn(f"What came after offset {position['offset']} can't be read any more; from now on:")

    async with Client(found.url, found.api_key) as client:
        while True:
            try:
                async for publication in client.publications(channel, position, warn_of_gap):
                    data = orjson.dumps(publication.get("data")).decode()
                    screen.say(f"{publication.get('offset', '-')} {data}")
            except UnreachableError as error:
                if position["epoch"] is None:
                    raise
                screen.warn(f"{error}; trying again.")
            await clock.sleep(RETRY_S)
