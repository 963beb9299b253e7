"""The official Python SDK, driven by lines of JSON: commands on stdin, answers and events on stdout."""

import asyncio
import json
import sys
from typing import Any

import centrifuge

RECONNECT_MIN_S, RECONNECT_MAX_S = 0.02, 0.2


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class ClientEvents(centrifuge.ClientEventHandler):
    async def on_connecting(self, ctx: centrifuge.ConnectingContext) -> None:
        say(event="connecting", code=ctx.code, reason=ctx.reason)

    async def on_connected(self, ctx: centrifuge.ConnectedContext) -> None:
        say(event="connected", client=ctx.client)

    async def on_disconnected(self, ctx: centrifuge.DisconnectedContext) -> None:
        say(event="disconnected", code=ctx.code, reason=ctx.reason)


class SubscriptionEvents(centrifuge.SubscriptionEventHandler):
    def __init__(self, channel: str) -> None:
        self.channel = channel

    async def on_subscribed(self, ctx: centrifuge.SubscribedContext) -> None:
        position = ctx.stream_position
        say(
            event="subscribed",
            channel=self.channel,
            recoverable=ctx.recoverable,
            positioned=ctx.positioned,
            was_recovering=ctx.was_recovering,
            recovered=ctx.recovered,
            offset=position and position.offset,
            epoch=position and position.epoch,
        )

    async def on_unsubscribed(self, ctx: centrifuge.UnsubscribedContext) -> None:
        say(event="unsubscribed", channel=self.channel, code=ctx.code, reason=ctx.reason)

    async def on_error(self, ctx: centrifuge.SubscriptionErrorContext) -> None:
        say(event="subscription error", channel=self.channel, code=getattr(ctx.error, "code", ctx.code))

    async def on_publication(self, ctx: centrifuge.PublicationContext) -> None:
        pub = ctx.pub
        say(
            event="publication",
            channel=self.channel,
            data=pub.data,
            offset=pub.offset,
            tags=pub.tags,
            user=pub.info.user if pub.info else None,
        )


class Commands:
    client: centrifuge.Client

    async def connect(self, url: str, tokens: list[str]) -> None:
        rest = list(tokens)

        async def ask() -> str:
            say(event="token asked")
            return rest.pop(0) if len(rest) > 1 else rest[0]

        self.client = centrifuge.Client(
            url,
            events=ClientEvents(),
            token=rest.pop(0),
            get_token=ask if rest else None,
            min_reconnect_delay=RECONNECT_MIN_S,
            max_reconnect_delay=RECONNECT_MAX_S,
            proxy=None,
        )
        await self.client.connect()

    async def subscribe(self, channel: str) -> None:
        subscription = self.client.new_subscription(
            channel,
            events=SubscriptionEvents(channel),
            min_resubscribe_delay=RECONNECT_MIN_S,
            max_resubscribe_delay=RECONNECT_MAX_S,
        )
        await subscription.subscribe()

    async def unsubscribe(self, channel: str) -> None:
        subscription = self.client.get_subscription(channel)
        assert subscription is not None
        await subscription.unsubscribe()

    async def publish(self, channel: str, data: Any) -> None:
        await self.client.publish(channel, data)

    async def history(
        self, channel: str, limit: int, since: dict[str, Any] | None = None, *, reverse: bool = False
    ) -> dict[str, Any]:
        position = centrifuge.StreamPosition(**since) if since else None
        result = await self.client.history(channel, limit=limit, since=position, reverse=reverse)
        publications = [{"data": pub.data, "offset": pub.offset} for pub in result.publications]
        return {"publications": publications, "offset": result.offset, "epoch": result.epoch}

    async def presence(self, channel: str) -> dict[str, Any]:
        result = await self.client.presence(channel)
        return {"clients": list(result.clients)}

    async def rpc(self, method: str) -> None:
        await self.client.rpc(method, {})

    async def disconnect(self) -> None:
        await self.client.disconnect()


async def run(commands: Commands, id: int, command: str, **fields: Any) -> None:  # noqa: A002 (the line's own key)
    try:
        result = await getattr(commands, command)(**fields)
        say(id=id, result=result or {})
    except (centrifuge.CentrifugeError, OSError) as failed:
        say(id=id, error={"code": getattr(failed, "code", 0), "message": str(failed)})


async def main() -> None:
    loop, lines = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    commands, running = Commands(), set()
    async for line in lines:
        task = loop.create_task(run(commands, **json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)


asyncio.run(main())
