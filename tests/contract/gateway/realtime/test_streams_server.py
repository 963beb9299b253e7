"""The HTTP server of the streams port: what it shows of a connection, and how it ends."""

import asyncio
import signal

from gateway.realtime.exchange import Exchange
from gateway.realtime.streams_server import KEEP_ALIVE_S, StreamsServer
from tests.helpers.loop import run
from tests.helpers.streams import raw, served

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_request_is_shown_the_transport_of_its_own_connection() -> None:
    async def scenario() -> None:
        peers = []

        async def serve(exchange: Exchange) -> None:
            peers.append(exchange.transport.get_extra_info("peername"))
            await exchange.begin(204, {})
            await exchange.end()

        async with served(serve) as port, raw(port, REQUEST) as first, raw(port) as second:
            await first.head()
            second.writer.write(REQUEST)
            await second.head()
            first.writer.write(REQUEST)  # once more on a connection that was kept
            await first.head()
            mine = [one.writer.get_extra_info("sockname") for one in (first, second, first)]
            assert peers == mine

    run(scenario())


def test_an_answer_names_no_server_and_its_connection_outlives_the_edges_patience() -> None:
    async def scenario() -> None:
        async def serve(exchange: Exchange) -> None:
            await exchange.begin(204, {})
            await exchange.end()

        async with served(serve) as port, raw(port, REQUEST) as client:
            head = await client.head()
            assert "server:" not in head.lower()
            assert "connection: close" not in head.lower()

    run(scenario())
    assert KEEP_ALIVE_S > 60


def test_the_signals_of_the_process_stay_its_own() -> None:
    async def scenario() -> None:
        async def application(*_: object) -> None: ...

        before = signal.getsignal(signal.SIGTERM)
        with StreamsServer(application).capture_signals():
            assert signal.getsignal(signal.SIGTERM) is before
        await asyncio.sleep(0)

    run(scenario())
