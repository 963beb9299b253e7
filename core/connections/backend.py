"""What an organization's own backend is asked about its clients, and what it may answer.

Bodies are those of Centrifugo's HTTP proxies; `message` is our own, in the same form. An answer holds one of
`result`, `error` and `disconnect`; members that nobody here knows are passed over.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Generic, TypeVar

import msgspec
import orjson

from core.auth.override import NOTHING, Override, OverrideClaim, override_of
from core.auth.tokens import SubClaims
from core.connections.backend_options import BackendOptions
from core.connections.codes import BAD_REQUEST, INAPPROPRIATE_PROTOCOL, close_reason
from core.connections.frames import ErrorReply
from core.errors import Code, TidingsError
from core.instants import Instant, from_seconds
from core.streams.event_object import is_json

CLOSE_CODES: Final = range(3_000, 5_000)
"""What a WebSocket can end with, and SDKs know how to take."""
REASON_BYTES_MAX: Final = 123
"""RFC 6455 §5.5: a control frame has at most 125 bytes, two of which are the code."""
MESSAGE_CHARACTERS_MAX: Final = 1_000
SECONDS_MAX: Final = 2**53 - 1
CODE_MAX: Final = 2**32 - 1

# --- what it is asked


@dataclass(frozen=True, slots=True)
class Caller:
    """The connection that an event is about.

    `transport` and `protocol` are named as upstream names them. `headers` are those of the request that
    opened the connection, by lower-case name; `emulated` what the client wrote into its connect. `meta` is
    raw JSON or nothing.
    """

    client: str
    transport: str
    protocol: str = "json"
    user: str = ""
    meta: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    emulated: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConnectEvent:
    """Somebody connects without a token; `channels` are those that it wants to be subscribed to."""

    endpoint: ClassVar[str] = "connect"
    caller: Caller
    data: bytes = b""
    name: str = ""
    version: str = ""
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RefreshEvent:
    """A connection that a backend let in is about to expire."""

    endpoint: ClassVar[str] = "refresh"
    caller: Caller


@dataclass(frozen=True, slots=True)
class SubscribeEvent:
    """A client wants to subscribe."""

    endpoint: ClassVar[str] = "subscribe"
    caller: Caller
    channel: str
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class PublishEvent:
    """A client wants to publish."""

    endpoint: ClassVar[str] = "publish"
    caller: Caller
    channel: str
    data: bytes


@dataclass(frozen=True, slots=True)
class RpcEvent:
    """A client calls a method of the backend."""

    endpoint: ClassVar[str] = "rpc"
    caller: Caller
    method: str
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """A client tells the backend something."""

    endpoint: ClassVar[str] = "message"
    caller: Caller
    data: bytes


BackendEvent = ConnectEvent | RefreshEvent | SubscribeEvent | PublishEvent | RpcEvent | MessageEvent

# --- what it answers


@dataclass(frozen=True, slots=True)
class ConnectAnswer:
    """The client is let in as `user`, with the same terms that a token could give it."""

    user: str
    expires_at: Instant | None = None
    info: bytes = b""
    data: bytes = b""
    channels: tuple[str, ...] = ()
    subs: Mapping[str, SubClaims] = field(default_factory=dict)
    meta: bytes = b""


@dataclass(frozen=True, slots=True)
class RefreshAnswer:
    """The connection lives until `expires_at`; None: it is over. `info` replaces what others see of it."""

    expires_at: Instant | None = None
    info: bytes = b""


@dataclass(frozen=True, slots=True)
class SubscribeAnswer:
    """The client may subscribe; `expires_at` None: for good."""

    info: bytes = b""
    data: bytes = b""
    override: Override = NOTHING
    expires_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class PublishAnswer:
    """The client may publish: `data` in place of its own, unless that is None.

    With `skip_history` it is passed on and not stored. `tags` and `idempotency_key` are the publication's.
    """

    data: bytes | None = None
    skip_history: bool = False
    tags: Mapping[str, str] | None = None
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True)
class RpcAnswer:
    """What the method gave."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class MessageAnswer:
    """The message was taken."""


@dataclass(frozen=True, slots=True)
class Disconnection:
    """The connection shall end."""

    code: int
    reason: str


BackendAnswer = (
    ConnectAnswer | RefreshAnswer | SubscribeAnswer | PublishAnswer | RpcAnswer | MessageAnswer
    | ErrorReply | Disconnection
)  # fmt: skip

# --- bodies


def body_of(event: BackendEvent, options: BackendOptions) -> bytes:
    """Return the body of a call."""
    caller = event.caller
    body: dict[str, Any] = {
        "client": caller.client,
        "transport": caller.transport,
        "protocol": caller.protocol,
        "encoding": "binary" if options.binary_encoding else "json",
    }
    if not isinstance(event, ConnectEvent):
        body["user"] = caller.user
        if options.include_meta and caller.meta:
            body["meta"] = orjson.Fragment(caller.meta)
    match event:
        case ConnectEvent():
            said = {"name": event.name, "version": event.version, "channels": event.channels}
            body |= {name: value for name, value in said.items() if value}
        case SubscribeEvent() | PublishEvent():
            body["channel"] = event.channel
        case RpcEvent() if event.method:
            body["method"] = event.method
        case _:
            pass
    if not isinstance(event, RefreshEvent) and event.data:
        body |= _payload(event.data, is_binary=options.binary_encoding)
    return orjson.dumps(body)


def _payload(data: bytes, *, is_binary: bool) -> dict[str, Any]:
    if is_binary or not is_json(data):
        return {"b64data": b64encode(data).decode()}
    return {"data": orjson.Fragment(data)}


class _Error(msgspec.Struct):
    code: Annotated[int, msgspec.Meta(ge=1, le=CODE_MAX)]
    message: str = ""
    temporary: bool = False


class _Disconnect(msgspec.Struct):
    code: int
    reason: str = ""


_Seconds = Annotated[int, msgspec.Meta(ge=0, le=SECONDS_MAX)]
_NONE: Final = msgspec.Raw()


class _Result(msgspec.Struct):
    info: msgspec.Raw = _NONE
    b64info: str | None = None
    data: msgspec.Raw = _NONE
    b64data: str | None = None
    override: OverrideClaim | None = None
    expire_at: _Seconds | None = None


class _Connect(_Result):
    user: str = ""
    channels: list[str] | None = None
    subs: dict[str, _Result] | None = None
    meta: msgspec.Raw = _NONE


class _Refresh(_Result):
    expired: bool | None = None


class _Publish(_Result):
    skip_history: bool | None = None
    tags: dict[str, str] | None = None
    idempotency_key: str | None = None


R = TypeVar("R", bound=_Result)


class _Answer(msgspec.Struct, Generic[R]):
    result: R | None = None
    error: _Error | None = None
    disconnect: _Disconnect | None = None


_CONNECT: Final = msgspec.json.Decoder(_Answer[_Connect])
_REFRESH: Final = msgspec.json.Decoder(_Answer[_Refresh])
_PUBLISH: Final = msgspec.json.Decoder(_Answer[_Publish])
_OTHER: Final = msgspec.json.Decoder(_Answer[_Result])


def answer_of(event: BackendEvent, body: bytes) -> BackendAnswer:
    """Return what the backend answers to an event; what a client could not be shown ends its connection.

    Raises:
        TidingsError: `unavailable`, the body is no answer.
    """
    try:
        # Payloads go on to clients as they are, and the decoder does not look into their text.
        answer = _answer_of(event, body if is_json(body) else b"")
    except (msgspec.DecodeError, RecursionError, ValueError):  # ValueError: no base64, no code, no JSON
        raise TidingsError(Code.UNAVAILABLE, "The backend's answer can't be read.") from None
    if event.caller.protocol == "json" and not all(data == b"" or is_json(data) for data in _shown(answer)):
        return Disconnection(INAPPROPRIATE_PROTOCOL, close_reason(INAPPROPRIATE_PROTOCOL))
    return answer


def _shown(answer: BackendAnswer) -> Iterable[bytes]:
    """Return the payloads that go to the client itself."""
    match answer:
        case ConnectAnswer():
            return (answer.data, *(sub.data for sub in answer.subs.values()))
        case SubscribeAnswer() | RpcAnswer():
            return (answer.data,)
        case _:
            return ()


def _answer_of(event: BackendEvent, body: bytes) -> BackendAnswer:
    match event:
        case ConnectEvent():
            connect = _CONNECT.decode(body)
            return _refusal_of(connect) or _connect_answer(connect.result)
        case RefreshEvent():
            # It can only say yes: whatever else it answers ends the connection as an expired one.
            return _refresh_answer(_REFRESH.decode(body).result or _Refresh())
        case PublishEvent():
            publish = _PUBLISH.decode(body)
            return _refusal_of(publish) or _publish_answer(publish.result or _Publish())
        case _:
            other = _OTHER.decode(body)
            return _refusal_of(other) or _other_answer(event, other.result or _Result())


def _refusal_of(answer: _Answer[Any]) -> ErrorReply | Disconnection | None:
    if answer.disconnect is not None:
        code, reason = answer.disconnect.code, answer.disconnect.reason
        if code not in CLOSE_CODES:
            raise ValueError(code)
        cut = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
        # A reason that is JSON is taken for more than a reason by some libraries.
        return Disconnection(code, close_reason(code) if not cut or is_json(cut.encode()) else cut)
    if answer.error is not None:
        error = answer.error
        return ErrorReply(error.code, error.message[:MESSAGE_CHARACTERS_MAX], error.temporary)
    return None


def _connect_answer(result: _Connect | None) -> ConnectAnswer | Disconnection:
    if result is None:
        return Disconnection(BAD_REQUEST, close_reason(BAD_REQUEST))  # as without any credential
    subs = {
        channel: SubClaims(_info(sub), _data(sub), override_of(sub.override), _expiry(sub))
        for channel, sub in (result.subs or {}).items()
    }
    channels = tuple(result.channels or ())
    return ConnectAnswer(
        result.user, _expiry(result), _info(result), _data(result), channels, subs, _raw(result.meta)
    )


def _refresh_answer(result: _Refresh) -> RefreshAnswer:
    return RefreshAnswer(None if result.expired else _expiry(result), _info(result))


def _publish_answer(result: _Publish) -> PublishAnswer:
    return PublishAnswer(
        _data(result) or None, bool(result.skip_history), result.tags, result.idempotency_key or ""
    )


def _other_answer(event: SubscribeEvent | RpcEvent | MessageEvent, result: _Result) -> BackendAnswer:
    match event:
        case SubscribeEvent():
            return SubscribeAnswer(
                _info(result), _data(result), override_of(result.override), _expiry(result)
            )
        case RpcEvent():
            return RpcAnswer(_data(result))
        case _:
            return MessageAnswer()


def _raw(given: msgspec.Raw) -> bytes:
    """Return raw JSON; a literal null stands for nothing."""
    raw = bytes(given)
    return b"" if raw == b"null" else raw


def _info(result: _Result) -> bytes:
    info = _raw(result.info) or b64decode(result.b64info or "", validate=True)
    if info and not is_json(info):  # others read it, whatever they speak
        raise ValueError(info)
    return info


def _data(result: _Result) -> bytes:
    return _raw(result.data) or b64decode(result.b64data or "", validate=True)


def _expiry(result: _Result) -> Instant | None:
    return from_seconds(result.expire_at) if result.expire_at else None
