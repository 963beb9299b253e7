"""`tidings publish`: one publication from the terminal."""

from urllib.parse import quote

import orjson

from adapters.http.client import AnswerError, Client
from cli.installation import access
from cli.screen import Screen


async def publish(channel: str, data: str) -> None:
    """Publish JSON to a channel and print where it stands."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise AnswerError(
            f"the data is no JSON: {error}. A text needs double quotes inside: '\"hello\"'."
        ) from None
    found = access()
    async with Client(found.url, found.api_key) as client:
        answer = await client.call(
            "POST", f"/v1/channels/{quote(channel, safe='')}/publications", {"data": value}
        )
    if answer.get("ephemeral"):  # it is no event, and stands nowhere
        Screen().say(f"{answer['channel']} ephemeral")
        return
    Screen().say(f"{answer['channel']} offset={answer['offset']} seq={answer['seq']} epoch={answer['epoch']}")
