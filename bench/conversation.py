"""One subscriber that reads everything it is told, one message after the other."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from bench.encoding import JSON
from bench.inbox import CLOSE, Inbox
from bench.opening import TIMEOUT_S, open_sockets
from bench.wire import Door, LoadError


def conversation(door: Door, subscribe: Mapping[str, object]) -> Iterator[dict[str, Any]]:
    """Connect, subscribe, and yield what the server says from then on, but for pings."""
    plain = replace(door, encoding=JSON, wish={})
    [one] = open_sockets(plain, [()])
    with one:
        one.settimeout(TIMEOUT_S)
        one.sendall(plain.frame(JSON.payload([{"id": 2, "subscribe": subscribe}])))
        inbox = Inbox()
        while piece := one.recv(262_144):
            for opcode, payload in inbox.frames(piece):
                if opcode == CLOSE:
                    return
                for line in payload.split(b"\n"):
                    if line == b"{}":
                        one.sendall(JSON.pong)
                    else:
                        yield orjson.loads(line)


def head_of(door: Door, channel: str) -> tuple[str, int]:
    """Return the epoch of a channel and its last offset.

    Raises:
        LoadError: the server did not say.
    """
    for message in conversation(door, {"channel": channel}):
        if "subscribe" not in message:
            raise LoadError(f"subscribe: {message}")
        return message["subscribe"]["epoch"], message["subscribe"].get("offset", 0)
    raise LoadError("the server closed the socket of a subscriber")
