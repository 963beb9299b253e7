"""A subscriber of one channel alone, and what a client library makes of the publications that it gets."""

from collections.abc import Iterable
from typing import Any

import orjson
from centrifuge.fossil import apply_delta

from gateway.realtime.forms import Form
from gateway.realtime.parts import Forms
from tests.helpers.recorder import Recorder

FORMS = Forms()


class Listener:
    """Keeps what is written to it (`gateway.realtime.lane.Subscriber`)."""

    def __init__(self, form: Form = FORMS.websocket_json, client_id: str = "somebody") -> None:
        self.form = form
        self.client_id = client_id
        self.wire = Recorder(form)
        self.refused = 0

    def push(self, messages: list[bytes]) -> None:
        self.wire.send(messages)

    def refuse_payload(self) -> None:
        self.refused += 1

    @property
    def publications(self) -> list[dict[str, Any]]:
        """What it got."""
        return [push["pub"] for push in self.wire.pushes("pub")]

    @property
    def offsets(self) -> list[int]:
        """Where they stand; 0: nowhere."""
        return [publication.get("offset", 0) for publication in self.publications]


class Following:
    """The payloads of one subscription with delta: patches put together as the official client does."""

    def __init__(self) -> None:
        self._base: bytes | None = None
        self.patches = 0

    def take(self, publication: dict[str, Any]) -> bytes:
        """Return the payload of the next publication."""
        data = publication["data"]
        data = data if isinstance(data, bytes) else data.encode()
        if publication.get("delta"):
            assert self._base is not None, "a patch of nothing"
            self.patches += 1
            data = apply_delta(self._base, data)
        self._base = bytes(data)
        return self._base

    def take_all(self, publications: Iterable[dict[str, Any]]) -> list[bytes]:
        """Return the payloads of the next publications."""
        return [self.take(publication) for publication in publications]


def document(number: int, **members: Any) -> bytes:
    """Return a payload that differs little from its neighbours."""
    words = "the same words again and again, for the sake of patches"
    return orjson.dumps({"text": words, "n": number, **members})
