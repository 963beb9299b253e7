"""Subscribes sockets that are connected already, all at once."""

import socket
from collections.abc import Sequence

from bench.inbox import CLOSE, Inbox
from bench.opening import TIMEOUT_S
from bench.wire import Door, LoadError, Readable


def subscribe_all(door: Door, sockets: Sequence[socket.socket], channels: Sequence[str]) -> None:
    """Subscribe every socket to every channel, and wait for the last answer.

    Raises:
        LoadError: one was refused, or not answered in time.
    """
    frame = door.subscribing(channels, 2)
    readable = Readable(sockets)
    for one in sockets:
        one.settimeout(TIMEOUT_S)
        one.sendall(frame)
        one.settimeout(0)
    await_answers(door, readable, {one: len(channels) for one in sockets})


def await_answers(door: Door, readable: Readable, unanswered: dict[socket.socket, int]) -> None:
    """Wait until each socket has had as many answers; what else arrives is passed over, and pings answered.

    Raises:
        LoadError: one was refused, or not answered in time.
    """
    inboxes = {one: Inbox() for one in unanswered}
    left = sum(unanswered.values())
    while left > 0:
        ready = readable.wait(TIMEOUT_S)
        if not ready:
            raise LoadError(f"{left} commands were not answered within {TIMEOUT_S:.0f} s")
        for one in ready:
            piece = one.recv(262_144)
            if piece.endswith(door.encoding.ping):
                one.send(door.encoding.pong)
            for opcode, payload in inboxes[one].frames(piece):
                for answer in () if opcode == CLOSE else door.encoding.answers(payload):
                    if answer.error:
                        raise LoadError(f"refused: {payload[:300]!r}")
                    left -= 1
            if not piece:
                raise LoadError("a socket was closed")
