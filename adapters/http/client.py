"""An installation seen from outside, by REST and by the Centrifuge protocol, for a terminal's commands.

Nothing is tried again here: each caller knows what a repetition would do.
"""

import json
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from yarl import URL

TIMEOUT_S: Final = 30.0
MESSAGE_BYTES_MAX: Final = 1_048_576

Position = dict[str, Any]
Publication = dict[str, Any]


class AnswerError(Exception):
    """The installation refused: the problem's code and detail, or the socket's error."""


class UnreachableError(Exception):
    """Nobody answers at that address."""


class Client:
    """Calls one installation with one credential.

    Args:
        url: origin, without a trailing slash.
        credential: API key, or a connection token for sockets alone.
    """

    def __init__(self, url: str, credential: str) -> None:
        self._url = url
        self._credential = credential
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S, sock_read=None)
        self._session = aiohttp.ClientSession(timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def _open(self) -> aiohttp.ClientSession:
        assert self._session is not None  # noqa: S101 (only inside `async with`)
        return self._session

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send one request and return the JSON of its answer.

        Raises:
            AnswerError: it was refused.
            UnreachableError: nobody answers.
        """
        sent = {"Authorization": f"Bearer {self._credential}", **headers}
        url = URL(self._url + path, encoded=True)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with self._open.request(method, url, json=body, headers=sent, timeout=timeout) as answer:
                shown = await _json(answer)
                if answer.status >= 400:  # noqa: PLR2004 (HTTP's name for failures)
                    raise AnswerError(_said(answer.status, shown))
                return shown
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(f"{self._url} does not answer: {error}") from error

    async def publications(
        self, channel: str, position: Position, on_gap: Callable[[], None]
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield a channel's publications as they come, until the connection ends.

        Args:
            channel: its name.
            position: `{"epoch", "offset"}` to go on from; with the epoch None: from now on. It is moved
                along, so that the next call goes on without gap.
            on_gap: hears that what came behind the position can't be read any more, before what follows.

        Raises:
            AnswerError: not allowed.
            UnreachableError: no connection.
        """
        url = "ws" + self._url.removeprefix("http") + "/connection/websocket"
        try:
            async with self._open.ws_connect(url, max_msg_size=MESSAGE_BYTES_MAX, compress=0) as socket:
                subscribe: dict[str, Any] = {"channel": channel}
                if position["epoch"] is not None:
                    subscribe |= {"recover": True, **position}
                for command in ({"connect": {"token": self._credential}}, {"subscribe": subscribe}):
                    await socket.send_str(json.dumps({"id": 1 if "connect" in command else 2, **command}))
                async for message in socket:
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        break
                    for line in message.data.split("\n"):
                        if line in ("", "{}"):
                            await socket.send_str("{}")
                            continue
                        for publication in _publications(json.loads(line), channel, position, on_gap):
                            yield publication
                if socket.close_code is not None and socket.close_code >= 3500:  # noqa: PLR2004 (do not come back)
                    raise AnswerError(f"The connection was closed with {socket.close_code}.")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(f"{url} does not answer: {error}") from error


def _said(status: int, problem: dict[str, Any]) -> str:
    """Return a problem in one line, with what it says of each field and parameter."""
    faults = (
        f"{one.get('pointer') or one.get('parameter')}: {one['detail']}" for one in problem.get("errors", ())
    )
    return " ".join((f"{problem.get('code', status)}:", problem.get("detail", ""), *faults))


async def _json(answer: aiohttp.ClientResponse) -> Any:
    try:
        return await answer.json(content_type=None)
    except ValueError:
        raise AnswerError(
            f"{answer.url} answers {answer.status} and no JSON: is that Tidings? Its address is in cli.json."
        ) from None


def _publications(
    line: dict[str, Any], channel: str, position: Position, on_gap: Callable[[], None]
) -> list[dict[str, Any]]:
    if "error" in line:
        raise AnswerError(f"{line['error']['code']}: {line['error']['message']}")
    found: list[Publication] = []
    if subscribed := line.get("subscribe"):
        if position["epoch"] is not None and not subscribed.get("recovered"):
            on_gap()
        position["epoch"] = subscribed.get("epoch", "")
        position["offset"] = subscribed.get("offset", 0)
        found = subscribed.get("publications", [])
    elif (push := line.get("push")) and push.get("channel") == channel and "pub" in push:
        found = [push["pub"]]
    if found:
        position["offset"] = max(position["offset"], *(p.get("offset", 0) for p in found))
    return found
