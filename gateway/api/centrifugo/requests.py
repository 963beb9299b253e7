"""Requests as clients of Centrifugo send them: unknown members are ignored, `null` counts as absent.

Payloads stay the bytes that came, which is why nothing else parses them.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

NOTHING: Final = msgspec.Raw(b"")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What all requests have in common: nothing."""


class StreamPosition(Request, frozen=True, kw_only=True):
    """A position in a channel."""

    offset: int | None = None
    epoch: str | None = None


class Payload(Request, frozen=True, kw_only=True):
    """What is published, whatever the channels are."""

    data: msgspec.Raw = NOTHING
    b64data: bytes | None = None
    skip_history: bool | None = None
    tags: dict[str, str] | None = None
    idempotency_key: str | None = None
    delta: bool | None = None
    version: int | None = None
    version_epoch: str | None = None

    @property
    def bytes(self) -> bytes:
        """The payload itself; `b64data` wins."""
        return bytes(self.data) if self.b64data is None else self.b64data


class Publish(Payload, frozen=True, kw_only=True):
    """Publish to one channel."""

    channel: str | None = None


class Broadcast(Payload, frozen=True, kw_only=True):
    """Publish the same to many."""

    channels: list[str] | None = None


class Whose(Request, frozen=True, kw_only=True):
    """Whose connections are meant."""

    user: str | None = None
    client: str | None = None
    session: str | None = None


class Override(Request, frozen=True, kw_only=True):
    """One option of a subscription, in place of the namespace's."""

    value: bool | None = None


class Subscribe(Whose, frozen=True, kw_only=True):
    """Add a server-side subscription."""

    channel: str | None = None
    info: msgspec.Raw = NOTHING
    b64info: bytes | None = None
    data: msgspec.Raw = NOTHING
    b64data: bytes | None = None
    recover_since: StreamPosition | None = None
    expire_at: int | None = None
    override: dict[str, Override | None] | None = None


class Unsubscribe(Whose, frozen=True, kw_only=True):
    """End subscriptions to a channel, or all."""

    channel: str | None = None


class End(Request, frozen=True, kw_only=True):
    """How a connection ends."""

    code: int | None = None
    reason: str | None = None


class Disconnect(Whose, frozen=True, kw_only=True):
    """End connections."""

    whitelist: list[str] | None = None
    disconnect: End | None = None


class Refresh(Whose, frozen=True, kw_only=True):
    """Give connections another expiry."""

    expired: bool | None = None
    expire_at: int | None = None
    info: msgspec.Raw = NOTHING


class InChannel(Request, frozen=True, kw_only=True):
    """About one channel."""

    channel: str | None = None


class History(InChannel, frozen=True, kw_only=True):
    """Read what is shown of a channel."""

    limit: int | None = None
    since: StreamPosition | None = None
    reverse: bool | None = None


class Channels(Request, frozen=True, kw_only=True):
    """Ask which channels have subscribers."""

    pattern: str | None = None


class Info(Request, frozen=True, kw_only=True):
    """Ask which nodes there are."""


class Rpc(Request, frozen=True, kw_only=True):
    """Call a method that the server was extended by."""

    method: str | None = None
    params: msgspec.Raw = NOTHING


class Batch(Request, frozen=True, kw_only=True):
    """Several commands, each an object with one member."""

    commands: list[dict[str, msgspec.Raw]] | None = None
    parallel: bool | None = None


class LegacyCommand(Request, frozen=True, kw_only=True):
    """One line of the former form of the API."""

    id: int | None = None
    method: str | None = None
    params: msgspec.Raw = NOTHING


R = TypeVar("R", bound=Request)
Reader = Callable[[bytes | msgspec.Raw], R]


def reader_of(kind: type[R]) -> Reader[R]:
    """Return what reads requests of one kind; `null` reads like an empty one.

    What it is given must be UTF-8: payloads are passed on without another look.

    Raises:
        msgspec.DecodeError, RecursionError: there is no such request.
    """
    decoder: msgspec.json.Decoder[R | None] = msgspec.json.Decoder(kind | None)

    def read(raw: bytes | msgspec.Raw) -> R:
        return decoder.decode(raw) or kind()

    return read
