"""The protocol in protobuf: commands and replies of `client.proto`, each after its length as a varint.

Payloads are any bytes, and nobody looks into them.
"""

from collections.abc import Sequence
from typing import Final

from google.protobuf.message import DecodeError

from core.channels.filter import FilterNode
from core.connections import client_pb2 as pb
from core.connections.codec import ProtocolError
from core.connections.codec_objects import Object, Values, push_object, reply_object
from core.connections.codec_requests import METHODS, CommandOf, history_of, message_of, subscribe_of
from core.connections.delta import patch_of
from core.connections.frames import Command, Pong, Push, Reply
from core.streams.event import ClientInfo, Event
from core.streams.event_object import channel_payload

LENGTH_BITS_MAX: Final = 32
"""A longer one is no length: nothing is that big."""
MORE: Final = 0x80
"""The bit of a varint's byte that says that more follow."""


class ProtobufCodec:
    """The encoding of binary frames and octet streams."""

    is_json: Final = False
    ping: Final = b"\x00"

    def decode(self, message: bytes, commands_max: int) -> list[Command]:
        """Return the commands of a message: as many as their lengths say, to its last byte."""
        commands: list[Command] = []
        at = 0
        while at < len(message):
            size, at = _length(message, at)
            if size > len(message) - at or len(commands) >= commands_max:
                raise ProtocolError
            commands.append(_command_of(message[at : at + size]))
            at += size
        if not commands:
            raise ProtocolError
        return commands

    def encode_reply(self, id_: int, reply: Reply, version: str) -> bytes:
        """Return a reply after its length."""
        kind, result = reply_object(reply, version, _VALUES)
        return _delimited(pb.Reply(id=id_, **{kind: result}))

    def encode_push(self, push: Push) -> bytes:
        """Return a reply after its length."""
        return _delimited(pb.Reply(push=push_object(push, _VALUES)))

    def head_of(self, channel: str) -> bytes:
        """Return the channel alone: the library puts a push together as fast as one could by hand."""
        return channel.encode()

    def encode_publication(self, head: bytes, offset: int, event: Event) -> bytes:
        """Return a reply after its length."""
        return _delimited(pb.Reply(push={"channel": head.decode(), "pub": _publication(offset, event)}))

    def encode_patch(self, head: bytes, offset: int, event: Event, base: bytes | None) -> bytes:
        """Return a reply after its length."""
        return _delimited(pb.Reply(push={"channel": head.decode(), "pub": _patch(offset, event, base)}))

    def join(self, messages: Sequence[bytes]) -> bytes:
        """Return messages one after the other."""
        return b"".join(messages)


PROTOBUF: Final = ProtobufCodec()


def _length(message: bytes, at: int) -> tuple[int, int]:
    """Return the length that begins there, and where it ends."""
    size = 0
    for shift in range(0, LENGTH_BITS_MAX, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        size |= (byte & 0x7F) << shift
        if byte < MORE:
            return size, at
    raise ProtocolError


def _delimited(reply: pb.Reply) -> bytes:
    content = reply.SerializeToString()
    size = len(content)
    length = bytearray()
    while size >= MORE:
        length.append(size & 0x7F | MORE)
        size >>= 7
    length.append(size)
    return bytes(length) + content


def _publication(offset: int, event: Event) -> Object:
    publication: Object = {"data": channel_payload(event), "offset": offset}
    if event.info is not None:
        publication["info"] = _info(event.info)
    if event.tags:
        publication["tags"] = event.tags
    return publication


def _patch(offset: int, event: Event, base: bytes | None) -> Object:
    publication = _publication(offset, event)
    if base is not None and (patch := patch_of(base, publication["data"])) is not None:
        publication |= {"data": patch, "delta": True}
    return publication


def _info(info: ClientInfo) -> Object:
    about: Object = {"user": info.user, "client": info.client}
    if info.connection_info:
        about["conn_info"] = info.connection_info
    if info.channel_info:
        about["chan_info"] = info.channel_info
    return about


_VALUES: Final = Values(lambda payload: payload, _info, _publication, _patch)


def _filter_of(node: pb.FilterNode) -> FilterNode:
    """Return a filter; the library went no deeper than a hundred levels."""
    nodes = tuple([_filter_of(child) for child in node.nodes])
    return FilterNode(node.op, node.key, node.cmp, node.val, tuple(node.vals), nodes)


def _subscribe_of(id_: int, request: pb.SubscribeRequest) -> Command:
    return subscribe_of(id_, request, _filter_of(request.tf) if request.HasField("tf") else None)


def _history_of(id_: int, request: pb.HistoryRequest) -> Command:
    return history_of(id_, request, request.since if request.HasField("since") else None)


_METHODS: Final[dict[str, CommandOf]] = {**METHODS, "subscribe": _subscribe_of, "history": _history_of}


def _command_of(content: bytes) -> Command:
    try:
        request = pb.Command.FromString(content)
    except DecodeError:
        raise ProtocolError from None
    if not request.id:
        return message_of(request.send) if request.HasField("send") else Pong()
    for field, asked in request.ListFields():
        if (command_of := _METHODS.get(field.name)) is not None:
            return command_of(request.id, asked)
    raise ProtocolError
