"""Spans reach a collector as they were; one that is away or hangs costs bounded memory and bounded time."""

import time

import structlog

from adapters.telemetry.tracing import Tracer
from core.instants import Instant
from core.traces import ServerSpan, TraceParent
from settings import Tracing
from tests.helpers.collector import attributes, collector
from tests.helpers.eventually import eventually
from tests.helpers.loop import run

PARENT = TraceParent(bytes(range(16)), bytes(range(8)), sampled=True)
BEGAN = Instant(1_795_363_232_482_913)


def span(number: int = 0, *, tracestate: str = "", failed: bool = False) -> ServerSpan:
    return ServerSpan(
        PARENT, tracestate, f"GET /{number}", BEGAN, Instant(BEGAN + 1_500), failed, {"a": 1, "b": "x"}
    )


def tracing(endpoint: str, **settings: object) -> Tracing:
    return Tracing(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **settings)


def test_a_span_arrives_as_it_was() -> None:
    async def scenario() -> None:
        with collector() as there:
            tracer = Tracer(
                tracing(f"{there.endpoint}/", OTEL_EXPORTER_OTLP_HEADERS="x-team=a%20b,x-other=c"), "api-1"
            )
            tracer.record(span(1, tracestate="vendor=1,other@tenant=2"))
            tracer.record(span(2, failed=True))
            await tracer.close()
            ((path, headers, export),) = there.exports
            assert path == "/v1/traces"
            assert headers["content-type"] == "application/x-protobuf"
            assert (headers["x-team"], headers["x-other"]) == ("a b", "c")
            resource = attributes(export.resource_spans[0].resource)
            assert resource == {"service.name": "tidings", "service.instance.id": "api-1"}
            first, second = there.spans
            assert (first.trace_id, first.parent_span_id) == (PARENT.trace_id, PARENT.span_id)
            assert len(first.span_id) == 8
            assert first.span_id not in (PARENT.span_id, second.span_id)
            assert (first.trace_state, second.trace_state) == ("vendor=1,other@tenant=2", "")
            assert (first.name, first.kind) == ("GET /1", first.SPAN_KIND_SERVER)
            assert first.start_time_unix_nano == BEGAN * 1_000
            assert first.end_time_unix_nano == (BEGAN + 1_500) * 1_000
            assert attributes(first) == {"a": 1, "b": "x"}
            assert (first.status.code, second.status.code) == (0, second.status.STATUS_CODE_ERROR)

    run(scenario())


def test_a_span_does_not_wait_for_others_longer_than_it_should() -> None:
    async def scenario() -> None:
        with collector() as there:
            tracer = Tracer(tracing(there.endpoint, flush_s=0.1), "api-1")
            tracer.record(span())
            assert await eventually(lambda: len(there.spans) == 1, within_s=5)
            await tracer.close()

    run(scenario())


def test_a_tracestate_that_is_none_is_dropped_without_a_word() -> None:
    async def scenario() -> None:
        with collector() as there, structlog.testing.capture_logs() as logs:
            tracer = Tracer(tracing(there.endpoint), "api-1")
            tracer.record(span(tracestate="No\tState"))
            await tracer.close()
            assert [sent.trace_state for sent in there.spans] == [""]
            assert not logs

    run(scenario())


def test_a_collector_that_hangs_holds_up_nobody_and_the_queue_keeps_the_newest() -> None:
    async def scenario() -> None:
        with collector() as there, structlog.testing.capture_logs() as logs:
            there.answering.clear()
            tracer = Tracer(
                tracing(there.endpoint, queue_spans_max=4, batch_spans_max=2, flush_s=0.05, export_s=60.0),
                "api-1",
            )
            tracer.record(span(0))
            assert await eventually(lambda: len(there.exports) == 1, within_s=5)
            began = time.monotonic()
            for number in range(1, 1_001):
                tracer.record(span(number))
            assert time.monotonic() - began < 1
            there.answering.set()
            await tracer.close()
            assert [sent.name for sent in there.spans] == [
                "GET /0",
                *(f"GET /{n}" for n in range(997, 1_001)),
            ]
            assert {line["event"] for line in logs} == {"tracing.hindered"}
            assert "Queue full" in logs[0]["detail"]

    run(scenario())


def test_the_end_is_in_time_although_the_collector_hangs() -> None:
    async def scenario() -> None:
        with collector() as there, structlog.testing.capture_logs():
            there.answering.clear()
            tracer = Tracer(tracing(there.endpoint, batch_spans_max=1, export_s=0.5), "api-1")
            for number in range(20):
                tracer.record(span(number))
            began = time.monotonic()
            await tracer.close()
            assert time.monotonic() - began < 2
            assert len(there.exports) < 5

    run(scenario())


def test_a_collector_that_is_away_is_told_in_our_own_log() -> None:
    async def scenario() -> None:
        with collector() as there:
            gone = there.endpoint
        with structlog.testing.capture_logs() as logs:
            tracer = Tracer(tracing(gone, export_s=0.5), "api-1")
            tracer.record(span())
            await tracer.close()
        assert {line["event"] for line in logs} == {"tracing.hindered"}
        assert {line["log_level"] for line in logs} == {"warning"}

    run(scenario())
