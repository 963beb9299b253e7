"""A line names what it was logged for, whoever logs it, and nothing that is over."""

import asyncio
import io
import json
import sys

import pytest
import structlog

from adapters.telemetry.logging import LinesAbout, add_names, configure_logging
from tests.helpers.loop import run


def say(event: str, **more: str) -> None:
    structlog.get_logger().info(event, **more)


def test_a_line_bears_the_names_of_its_block_alone() -> None:
    async def work(name: str) -> None:
        with LinesAbout(lambda: {"request_id": name}):
            await asyncio.sleep(0)
            say("at work", name=name)

    async def scenario() -> None:
        with structlog.testing.capture_logs(processors=[add_names]) as logs:
            await asyncio.gather(work("a"), work("b"))
            say("outside")
        assert [line.get("request_id") for line in logs] == ["a", "b", None]
        assert all(line.get("name") == line.get("request_id") for line in logs)

    run(scenario())


def test_a_task_that_outlives_its_block_is_named_no_more() -> None:
    async def scenario() -> None:
        over = asyncio.Event()

        async def left_behind() -> None:
            say("during")
            await over.wait()
            say("after")

        with structlog.testing.capture_logs(processors=[add_names]) as logs:
            with LinesAbout(lambda: {"request_id": "a"}):
                task = asyncio.create_task(left_behind())
                await asyncio.sleep(0)
            over.set()
            await task
        assert [(line["event"], line.get("request_id")) for line in logs] == [
            ("during", "a"),
            ("after", None),
        ]

    run(scenario())


def test_a_line_is_written_at_once_whoever_has_taken_standard_error_over(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = io.StringIO()
    monkeypatch.setattr(sys, "stderr", taken)  # as Ray Serve does, which keeps lines until there are many
    before = structlog.get_config()
    try:
        configure_logging("json")
        say("here")
    finally:
        structlog.configure(**before)
    assert json.loads(capfd.readouterr().err)["event"] == "here"
    assert not taken.getvalue()


def test_names_are_asked_for_when_a_line_is_logged_and_not_before() -> None:
    names: dict[str, str] = {}
    with structlog.testing.capture_logs(processors=[add_names]) as logs, LinesAbout(lambda: names):
        say("before")
        names["organization_id"] = "org_1"
        say("after")
        say("own", organization_id="org_2")
    assert [line.get("organization_id") for line in logs] == [None, "org_1", "org_2"]


def test_the_lines_of_a_service_are_json_with_their_names(capfd: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    try:
        configure_logging("json")
        with LinesAbout(lambda: {"request_id": "req_1", "trace_id": "ab"}):
            say("room.entered", seq="1")
    finally:
        structlog.configure(**before)
    line = json.loads(capfd.readouterr().err)
    assert line.pop("timestamp")
    assert line == {
        "event": "room.entered", "level": "info", "seq": "1", "request_id": "req_1", "trace_id": "ab",
    }  # fmt: skip
