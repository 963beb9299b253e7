"""Replies and pushes of the server as hypothesis draws them, and as client libraries read them."""

from collections.abc import Callable
from typing import Any

import orjson
from centrifuge.fossil import apply_delta
from hypothesis import strategies as st
from msgspec.structs import replace

from core.connections.codec_requests import OFFSET_MAX
from core.connections.frames import (
    Connected,
    ConnectionOpened,
    ConnectionRefreshed,
    Disconnected,
    ErrorReply,
    HistoryPage,
    Joined,
    Left,
    PresenceCount,
    PresenceList,
    Published,
    Push,
    Refreshed,
    Reply,
    RpcAnswer,
    ServerMessage,
    SubRefreshed,
    Subscribed,
    SubscriptionAdded,
    SubscriptionEnded,
    Unsubscribed,
)
from core.streams.event import PUBLICATION_CREATED, ClientInfo, Event
from tests.helpers.commands import CHANNELS, FLAGS, OPTIONAL, PAYLOADS, TEXTS

REASONS = TEXTS.filter(bool)
OFFSETS = st.integers(1, OFFSET_MAX)
COUNTS = st.integers(0, 2**32 - 1)
TTLS = st.none() | st.integers(1, 2**32 - 1)
INFOS = st.builds(ClientInfo, TEXTS, TEXTS, OPTIONAL, OPTIONAL)


def published(data: bytes, info: ClientInfo | None = None, tags: dict[str, str] | None = None) -> Event:
    """Return the event of a publication."""
    return Event(7, bytes(16), PUBLICATION_CREATED, 0, data, (("a", 1),), info, tags)


TAGS = st.none() | st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=2)
EVENTS = st.builds(published, PAYLOADS, st.none() | INFOS, TAGS)
LISTS = st.lists(st.tuples(OFFSETS, EVENTS), max_size=3)
SUBSCRIBED = st.builds(
    Subscribed, TEXTS, OFFSETS | st.just(0), FLAGS, FLAGS, LISTS, FLAGS, FLAGS, FLAGS, TTLS, OPTIONAL
)
CONNECTED = st.builds(
    Connected,
    REASONS,
    COUNTS,
    TTLS,
    OPTIONAL,
    st.dictionaries(CHANNELS, SUBSCRIBED, max_size=2),
    TEXTS,
    TEXTS,
    FLAGS,
)
REPLIES: st.SearchStrategy[Reply] = st.one_of(
    CONNECTED,
    SUBSCRIBED,
    st.just(Unsubscribed()),
    st.builds(Published, TEXTS, OFFSETS, COUNTS, FLAGS),
    st.builds(HistoryPage, TEXTS, OFFSETS | st.just(0), LISTS),
    st.builds(PresenceList, st.dictionaries(TEXTS, INFOS, max_size=2)),
    st.builds(PresenceCount, COUNTS, COUNTS),
    st.builds(RpcAnswer, OPTIONAL),
    st.builds(Refreshed, REASONS, TTLS),
    st.builds(SubRefreshed, TTLS),
    st.builds(ErrorReply, st.integers(400, 1999), TEXTS, FLAGS),
)
ADDED = st.builds(Subscribed, TEXTS, OFFSETS, recoverable=FLAGS, data=OPTIONAL)
PUSHES: st.SearchStrategy[Push] = st.one_of(
    st.builds(Joined, CHANNELS, INFOS),
    st.builds(Left, CHANNELS, INFOS),
    st.builds(SubscriptionEnded, CHANNELS, st.integers(2000, 2999), REASONS),
    st.builds(SubscriptionAdded, CHANNELS, ADDED),
    st.builds(ServerMessage, OPTIONAL),
    st.builds(Disconnected, st.integers(3000, 4999), REASONS),
    st.builds(ConnectionRefreshed, TTLS),
    st.builds(ConnectionOpened, CONNECTED),
)


def json_objects(message: bytes) -> list[dict[str, Any]]:
    """Return what stands in the lines of a frame."""
    return [orjson.loads(line) for line in message.split(b"\n")]


def protobuf_objects(message: bytes, kind: Any) -> list[dict[str, Any]]:
    """Return what stands in the messages of a frame, read by a schema; payloads stay bytes."""
    found = []
    while message:
        size, shift, at = 0, 0, 0
        while True:
            byte = message[at]
            size, shift, at = size + (byte % 128 << shift), shift + 7, at + 1
            if byte < 128:
                break
        found.append(_plain(kind.FromString(message[at : at + size])))
        message = message[at + size :]
    return found


def _plain(message: Any) -> Any:
    if not hasattr(message, "ListFields"):
        return message
    plain = {}
    for field, value in message.ListFields():
        if isinstance(value, (bytes, str)) or not hasattr(value, "__len__"):
            plain[field.name] = _plain(value)
        elif hasattr(value, "items"):
            plain[field.name] = {key: _plain(each) for key, each in value.items()}
        else:
            plain[field.name] = [_plain(each) for each in value]
    return plain


def told(frame: Any) -> Any:
    """Return a frame without what no client is told: whether patches were allowed."""
    if isinstance(frame, Subscribed):
        return replace(frame, patches=False)
    if isinstance(frame, Connected):
        return replace(frame, subs={channel: told(sub) for channel, sub in frame.subs.items()})
    if isinstance(frame, ConnectionOpened):
        return replace(frame, connected=told(frame.connected))
    return frame


class Reader:
    """Reads objects back into frames. `payload` turns what stands where a payload does into its bytes."""

    def __init__(self, payload: Callable[[Any], bytes]) -> None:
        self._payload = payload

    def reply(self, found: dict[str, Any]) -> Reply:
        (kind,) = found.keys() - {"id"}
        of = found[kind]
        match kind:
            case "connect":
                return self._connected(of)
            case "subscribe":
                return self._subscribed(of)
            case "unsubscribe":
                return Unsubscribed()
            case "publish":
                position = of.get("epoch", ""), of.get("offset", 0)
                return Published(*position, of.get("seq", 0), of.get("duplicate", False))
            case "history":
                listed = self._list(of.get("publications", []), is_delta=False)
                return HistoryPage(of.get("epoch", ""), of.get("offset", 0), listed)
            case "presence":
                return PresenceList({key: self.info(info) for key, info in of.get("presence", {}).items()})
            case "presence_stats":
                return PresenceCount(of.get("num_clients", 0), of.get("num_users", 0))
            case "rpc":
                return RpcAnswer(self._data(of))
            case "refresh" | "sub_refresh":
                return Refreshed(of["client"], _ttl(of)) if kind == "refresh" else SubRefreshed(_ttl(of))
            case _:
                return ErrorReply(of["code"], of.get("message", ""), of.get("temporary", False))

    def push(self, found: dict[str, Any]) -> Push:
        channel = found.get("channel", "")
        (kind,) = found.keys() - {"channel"}
        of = found[kind]
        match kind:
            case "join":
                return Joined(channel, self.info(of["info"]))
            case "leave":
                return Left(channel, self.info(of["info"]))
            case "unsubscribe":
                return SubscriptionEnded(channel, of["code"], of["reason"])
            case "subscribe":
                return SubscriptionAdded(channel, self._subscribed(of))
            case "message":
                return ServerMessage(self._data(of))
            case "disconnect":
                return Disconnected(of["code"], of["reason"])
            case "refresh":
                return ConnectionRefreshed(_ttl(of))
            case _:
                return ConnectionOpened(self._connected(of))

    def publication(
        self, found: dict[str, Any], base: bytes | None = None, *, is_delta: bool = False
    ) -> Event:
        """Return a publication; of a patch what it makes of the publication before."""
        data = found["data"]
        if is_delta:
            data = data if isinstance(data, bytes) else data.encode()
            data = apply_delta(base, data) if found.get("delta") else data
        else:
            data = self._payload(data)
        info = self.info(found["info"]) if "info" in found else None
        return published(data, info, found.get("tags"))

    def info(self, of: dict[str, Any]) -> ClientInfo:
        about = [self._payload(of[name]) if name in of else b"" for name in ("conn_info", "chan_info")]
        return ClientInfo(of.get("user", ""), of.get("client", ""), *about)

    def _connected(self, of: dict[str, Any]) -> Connected:
        return Connected(
            of["client"],
            of.get("ping", 0),
            _ttl(of),
            self._data(of),
            {channel: self._subscribed(sub) for channel, sub in of.get("subs", {}).items()},
            of.get("session", ""),
            of.get("node", ""),
            of.get("pong", False),
        )

    def _subscribed(self, of: dict[str, Any]) -> Subscribed:
        assert of["positioned"]
        publications = of.get("publications", [])
        return Subscribed(
            of.get("epoch", ""),
            of.get("offset", 0),
            of.get("was_recovering", False),
            of.get("recovered", False),
            self._list(publications, is_delta=of.get("delta", False)),
            of.get("recoverable", False),
            of.get("delta", False),
            ttl_s=_ttl(of),
            data=self._data(of),
        )

    def _list(self, publications: list[dict[str, Any]], *, is_delta: bool) -> list[tuple[int, Event]]:
        listed: list[tuple[int, Event]] = []
        for found in publications:
            base = listed[-1][1].data if listed else None
            listed.append((found["offset"], self.publication(found, base, is_delta=is_delta)))
        return listed

    def _data(self, of: dict[str, Any]) -> bytes:
        return self._payload(of["data"]) if "data" in of else b""


JSON_READER = Reader(orjson.dumps)
PROTOBUF_READER = Reader(bytes)


def _ttl(of: dict[str, Any]) -> int | None:
    return of["ttl"] if of.get("expires") else None
