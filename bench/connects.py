"""How many clients can connect, and subscribe, in a second?"""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from bench.encoding import JSON, PROTOBUF
from bench.figure import Figure
from bench.limits import limits_of
from bench.machine import Cpu, CpuMeter
from bench.opening import open_sockets
from bench.place import Place
from bench.subscribing import subscribe_all
from bench.wire import Door

CLIENTS_PER_S = 400
"""So many are opened for each second that a part is to take: fewer than a server takes in."""
SETTLE_S = 2.0
"""What the server still has to do when they are closed is no part of what is asked next."""
CHANNELS = 100
SUBSCRIBERS = 100
CONNECTS_MIN = 500
SUBSCRIBES_MIN = 2_000


def figures(place: Place, seconds: float) -> Sequence[Figure]:
    """Connect; connect and subscribe; subscribe on sockets that are connected. In both encodings."""
    limits = limits_of(place)
    found: list[Figure] = []
    for encoding in (JSON, PROTOBUF):
        door = replace(place.door, encoding=encoding)
        count = max(64, int(CLIENTS_PER_S * seconds))
        fault, note = limits.fault(count), limits.text
        for what, channels in (("connect", ()), ("connect and subscribe", ("connects",))):
            rate, cpu = _opened(door, [channels] * count)
            floor = CONNECTS_MIN * (not place.is_edge)
            name = f"{what}, {encoding.name}"
            each = f"{name}, per processor of the rest"
            found += [
                Figure(name, rate, "sockets/s", floor, cpu=cpu, fault=fault, note=note),
                Figure(each, rate / cpu.rest_s, "sockets/s", cpu=cpu, fault=fault),
            ]
        rate, cpu = _subscribed(door)
        floor = SUBSCRIBES_MIN * (not place.is_edge)
        name = f"subscribe, {CHANNELS} channels a socket, {encoding.name}"
        found.append(Figure(name, rate, "subscribes/s", floor, cpu=cpu))
    return found


def _opened(door: Door, subscriptions: Sequence[Sequence[str]]) -> tuple[float, Cpu]:
    """Open sockets and close them again; return how many were opened a second."""
    meter, began = CpuMeter([os.getpid()]), time.monotonic()
    with _held(door, subscriptions):
        elapsed_s, cpu = time.monotonic() - began, meter.read()
    return len(subscriptions) / elapsed_s, Cpu(cpu.generator_s / elapsed_s, cpu.rest_s / elapsed_s)


def _subscribed(door: Door) -> tuple[float, Cpu]:
    """Subscribe all sockets to the same channels; return how many subscribes were answered a second."""
    channels = [f"connects{n}" for n in range(CHANNELS)]
    with _held(door, [()] * SUBSCRIBERS) as sockets:
        meter, began = CpuMeter([os.getpid()]), time.monotonic()
        subscribe_all(door, sockets, channels)
        elapsed_s, cpu = time.monotonic() - began, meter.read()
    cpu = Cpu(cpu.generator_s / elapsed_s, cpu.rest_s / elapsed_s)
    return SUBSCRIBERS * CHANNELS / elapsed_s, cpu


@contextmanager
def _held(door: Door, subscriptions: Sequence[Sequence[str]]) -> Iterator[list[socket.socket]]:
    sockets = open_sockets(door, subscriptions)
    try:
        yield sockets
    finally:
        for one in sockets:
            one.close()
        time.sleep(SETTLE_S)
