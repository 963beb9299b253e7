"""What stands around messages on each kind of wire, and how many of them go out at once."""

import pytest

from core.connections.codec_json import JSON
from gateway.realtime.forms import Form, frame_form, sse_form, stream_form, websocket_form
from gateway.realtime.parts import Forms

FORMS = Forms()
FIRST, SECOND = b'{"a":1}', b'{"b":2}'


@pytest.mark.parametrize(
    ("form", "written"),
    [
        (FORMS.websocket_json, b'\x81\x0f{"a":1}\n{"b":2}'),
        (FORMS.websocket_protobuf, b'\x82\x0e{"a":1}{"b":2}'),
        (FORMS.uni_websocket, b'\x81\x07{"a":1}\x81\x07{"b":2}'),
        (FORMS.sse_json, b'data: {"a":1}\n\ndata: {"b":2}\n\n'),
        (FORMS.uni_sse, b'data: {"a":1}\n\ndata: {"b":2}\n\n'),
        (FORMS.stream_json, b'{"a":1}\n{"b":2}\n'),
        (FORMS.uni_stream, b'{"a":1}\n{"b":2}\n'),
        (FORMS.stream_protobuf, b'{"a":1}{"b":2}'),
    ],
    ids=lambda value: value.name if isinstance(value, Form) else "",
)
def test_messages_that_belong_together_are_written_at_once_as_the_wire_has_them(
    form: Form, written: bytes
) -> None:
    assert form.frames([FIRST, SECOND], 100) == [written]
    assert form.frames([], 100) == []


@pytest.mark.parametrize(
    ("sizes", "frames"),
    [([10], 1), ([40, 40], 1), ([60, 60], 2), ([200], 1), ([10, 200, 10], 3), ([30] * 9, 3)],
)
def test_what_is_written_is_bounded_and_a_longer_message_goes_alone(sizes: list[int], frames: int) -> None:
    messages = [b"%d" % (number % 10) * size for number, size in enumerate(sizes)]
    made = stream_form("lines", JSON).frames(messages, 100)
    assert len(made) == frames
    assert b"".join(made) == b"".join(message + b"\n" for message in messages)
    assert all(len(written) <= 101 or written.count(b"\n") == 1 for written in made)


def test_forms_are_told_apart_by_what_they_are_and_not_by_what_they_look_like() -> None:
    """Who shares a form shares bytes: an equal one of another wire must not be taken for it."""
    made = [websocket_form("x", JSON), frame_form("x", JSON), sse_form("x", JSON), sse_form("x", JSON)]
    assert len(set(made)) == 4
    names = [form.name for form in vars(FORMS).values()]
    assert len(set(names)) == len(names)
