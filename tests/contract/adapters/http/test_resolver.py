"""Names are looked up without anybody waiting for another's name server."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from adapters.http.resolver import OWN_MAX, Resolver, Threads
from tests.helpers.eventually import eventually
from tests.helpers.loop import run


class Slow:
    """Looks up what it can, but for names whose server says nothing until it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.says = threading.Event()

    def __call__(self, host: str, port: int, **of: Any) -> list[Any]:
        self.asked.append(host)
        if host.startswith("slow"):
            self.says.wait(20)
        return socket.getaddrinfo("127.0.0.1", port, **of)


def test_a_name_has_the_addresses_that_the_system_knows() -> None:
    async def scenario() -> None:
        threads = Threads()
        resolver = Resolver(threads)
        (found,) = await resolver.resolve("localhost", 443)
        assert (found["hostname"], found["host"], found["port"]) == ("localhost", "127.0.0.1", 443)
        with pytest.raises(socket.gaierror):
            await resolver.resolve("nowhere.invalid", 443)
        await resolver.close()
        threads.close()

    run(scenario())


def test_slow_names_of_one_organization_keep_no_other_waiting() -> None:
    async def scenario() -> None:
        slow = Slow()
        threads = Threads(slow)
        one, other = Resolver(threads), Resolver(threads)
        waiting = [asyncio.create_task(one.resolve(f"slow{number}", 1)) for number in range(9)]
        assert await eventually(lambda: len(slow.asked) == OWN_MAX, within_s=5)
        assert (await other.resolve("quick", 1))[0]["host"] == "127.0.0.1"
        for task in waiting[:OWN_MAX]:
            task.cancel()  # nobody wants to know any more, but the threads are busy all the same
        await asyncio.wait(waiting[:OWN_MAX])
        assert (await other.resolve("quick", 1))[0]["host"] == "127.0.0.1"
        assert [host for host in slow.asked if host != "quick"] == ["slow0", "slow1"]
        slow.says.set()
        assert all([await task for task in waiting[OWN_MAX:]])
        threads.close()

    run(scenario())


def test_a_look_up_that_outlives_the_process_s_loop_harms_nothing() -> None:
    slow = Slow()
    threads = Threads(slow)

    async def scenario() -> None:
        task = asyncio.create_task(Resolver(threads).resolve("slow", 1))
        assert await eventually(lambda: bool(slow.asked), within_s=5)
        task.cancel()
        await asyncio.wait({task})

    run(scenario())
    slow.says.set()
    threads.close()
