"""The official Python SDK, driven by lines of JSON: commands on stdin, answers and events on stdout."""

import asyncio
import json
import sys
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from typing import Any

import centrifuge

RECONNECT_MIN_S, RECONNECT_MAX_S = 0.02, 0.2
# A slow machine is no reason to give a server up.
PATIENCE_S = 15.0


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def shown(data: Any) -> Any:
    """Return a payload as the document it is to the tests: with protobuf the SDK gives its bytes."""
    if not isinstance(data, bytes):
        return data
    try:
        return json.loads(data) if data else None
    except ValueError:
        return {"base64": b64encode(data).decode()}


def person(info: centrifuge.ClientInfo) -> dict[str, Any]:
    about = {"conn_info": shown(info.conn_info), "chan_info": shown(info.chan_info)}
    return {"user": info.user, "client": info.client, **about}


def publication(pub: centrifuge.Publication) -> dict[str, Any]:
    user = pub.info.user if pub.info else None
    return {"data": shown(pub.data), "offset": pub.offset or 0, "tags": pub.tags or {}, "user": user}


def subscribed(ctx: Any) -> dict[str, Any]:
    position = ctx.stream_position
    return {
        "recoverable": ctx.recoverable,
        "positioned": ctx.positioned,
        "was_recovering": ctx.was_recovering,
        "recovered": ctx.recovered,
        "data": shown(ctx.data),
        "offset": position and position.offset,
        "epoch": position and position.epoch,
    }


def asker(tokens: list[str | None], **event: Any) -> Callable[..., Awaitable[str]] | None:
    """Return what gives one token after the other, the last for ever; in place of None none ever comes."""

    async def ask(*_channel: str) -> str:
        say(**event)
        token = tokens.pop(0) if len(tokens) > 1 else tokens[0]
        if token is None:
            await asyncio.Event().wait()
        return token

    return ask if tokens else None


class ClientEvents(centrifuge.ClientEventHandler):
    async def on_connecting(self, ctx: centrifuge.ConnectingContext) -> None:
        say(event="connecting", code=ctx.code, reason=ctx.reason)

    async def on_connected(self, ctx: centrifuge.ConnectedContext) -> None:
        say(event="connected", client=ctx.client, data=shown(ctx.data))

    async def on_disconnected(self, ctx: centrifuge.DisconnectedContext) -> None:
        say(event="disconnected", code=ctx.code, reason=ctx.reason)

    async def on_subscribed(self, ctx: centrifuge.ServerSubscribedContext) -> None:
        say(event="server subscribed", channel=ctx.channel, **subscribed(ctx))

    async def on_unsubscribed(self, ctx: centrifuge.ServerUnsubscribedContext) -> None:
        say(event="server unsubscribed", channel=ctx.channel)

    async def on_publication(self, ctx: centrifuge.ServerPublicationContext) -> None:
        say(event="server publication", channel=ctx.channel, **publication(ctx.pub))

    async def on_join(self, ctx: centrifuge.ServerJoinContext) -> None:
        say(event="server join", channel=ctx.channel, **person(ctx.info))

    async def on_leave(self, ctx: centrifuge.ServerLeaveContext) -> None:
        say(event="server leave", channel=ctx.channel, **person(ctx.info))


class SubscriptionEvents(centrifuge.SubscriptionEventHandler):
    def __init__(self, channel: str) -> None:
        self.channel = channel

    async def on_subscribing(self, ctx: centrifuge.SubscribingContext) -> None:
        say(event="subscribing", channel=self.channel, code=ctx.code, reason=ctx.reason)

    async def on_subscribed(self, ctx: centrifuge.SubscribedContext) -> None:
        say(event="subscribed", channel=self.channel, **subscribed(ctx))

    async def on_unsubscribed(self, ctx: centrifuge.UnsubscribedContext) -> None:
        say(event="unsubscribed", channel=self.channel, code=ctx.code, reason=ctx.reason)

    async def on_error(self, ctx: centrifuge.SubscriptionErrorContext) -> None:
        say(event="subscription error", channel=self.channel, code=getattr(ctx.error, "code", ctx.code))

    async def on_publication(self, ctx: centrifuge.PublicationContext) -> None:
        say(event="publication", channel=self.channel, **publication(ctx.pub))

    async def on_join(self, ctx: centrifuge.JoinContext) -> None:
        say(event="join", channel=self.channel, **person(ctx.info))

    async def on_leave(self, ctx: centrifuge.LeaveContext) -> None:
        say(event="leave", channel=self.channel, **person(ctx.info))


class Commands:
    client: centrifuge.Client
    protobuf = False

    def payload(self, data: Any = None, base64: str | None = None) -> Any:
        if base64 is not None:
            return b64decode(base64)
        return json.dumps(data).encode() if self.protobuf else data

    async def connect(
        self,
        url: str,
        tokens: list[str],
        *,
        protobuf: bool = False,
        headers: dict[str, str] | None = None,
        data: Any = None,
    ) -> None:
        self.protobuf = protobuf
        rest = list(tokens)
        self.client = centrifuge.Client(
            url,
            events=ClientEvents(),
            token=rest.pop(0) if rest else "",
            get_token=asker(rest, event="token asked"),
            use_protobuf=protobuf,
            timeout=PATIENCE_S,
            headers=headers,
            data=None if data is None else self.payload(data),
            min_reconnect_delay=RECONNECT_MIN_S,
            max_reconnect_delay=RECONNECT_MAX_S,
            proxy=None,
        )
        await self.client.connect()

    async def reconnect(self) -> None:
        await self.client.connect()

    async def disconnect(self) -> None:
        await self.client.disconnect()

    async def subscribe(
        self,
        channel: str,
        *,
        tokens: list[str] | None = None,
        data: Any = None,
        join_leave: bool = False,
        delta: str | None = None,
        tags_filter: dict[str, Any] | None = None,
    ) -> None:
        rest = list(tokens or ())
        subscription = self.client.new_subscription(
            channel,
            events=SubscriptionEvents(channel),
            token=rest.pop(0) if rest else "",
            get_token=asker(rest, event="subscription token asked", channel=channel),
            data=None if data is None else self.payload(data),
            join_leave=join_leave,
            delta=centrifuge.DeltaType(delta) if delta else None,
            tags_filter=centrifuge.FilterNode(tags_filter) if tags_filter else None,
            min_resubscribe_delay=RECONNECT_MIN_S,
            max_resubscribe_delay=RECONNECT_MAX_S,
        )
        await subscription.subscribe()

    async def resubscribe(self, channel: str) -> None:
        subscription = self.client.get_subscription(channel)
        assert subscription is not None
        await subscription.subscribe()

    async def unsubscribe(self, channel: str) -> None:
        subscription = self.client.get_subscription(channel)
        assert subscription is not None
        await subscription.unsubscribe()

    async def publish(self, channel: str, **content: Any) -> None:
        await self.client.publish(channel, self.payload(**content))

    async def history(
        self, channel: str, limit: int, since: dict[str, Any] | None = None, *, reverse: bool = False
    ) -> dict[str, Any]:
        position = centrifuge.StreamPosition(**since) if since else None
        result = await self.client.history(channel, limit=limit, since=position, reverse=reverse)
        publications = [publication(pub) for pub in result.publications]
        return {"publications": publications, "offset": result.offset, "epoch": result.epoch}

    async def presence(self, channel: str) -> dict[str, Any]:
        result = await self.client.presence(channel)
        return {"clients": {client: person(info) for client, info in result.clients.items()}}

    async def presence_stats(self, channel: str) -> dict[str, Any]:
        result = await self.client.presence_stats(channel)
        return {"num_clients": result.num_clients, "num_users": result.num_users}

    async def rpc(self, method: str, **content: Any) -> dict[str, Any]:
        return {"data": shown((await self.client.rpc(method, self.payload(**content))).data)}


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
    say(event="ready")
    async for line in lines:
        task = loop.create_task(run(commands, **json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)


asyncio.run(main())
