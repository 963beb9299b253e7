"""Spans for a collector over OTLP/HTTP.

Imported only where a collector is named: the SDK costs start-up time and memory, and whoever has no collector
shall not pay it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.util.re import parse_env_headers

from core.traces import ServerSpan
from settings import Tracing

_NANOSECONDS: Final = 1_000  # of a microsecond, in which instants count
_TELLS_OF_CALLERS: Final = "opentelemetry.trace"


class _Journal(logging.Handler):
    """Puts what the SDK has to say among our own lines, instead of plain text on standard error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._log = structlog.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        """Log one line; what only says that a caller's header is odd is no news to an operator."""
        if not record.name.startswith(_TELLS_OF_CALLERS):
            self._log.warning("tracing.hindered", source=record.name, detail=record.getMessage())


class Tracer:
    """Hands spans to the collector, from a thread of its own.

    Args:
        settings: where the collector is, and the limits.
        process: which of the installation's processes this is.
    """

    def __init__(self, settings: Tracing, process: str) -> None:
        journal = logging.getLogger("opentelemetry")
        journal.handlers, journal.propagate = [_Journal()], False
        self._exporter = OTLPSpanExporter(
            f"{settings.endpoint.rstrip('/')}/v1/traces",
            headers=parse_env_headers(settings.headers, liberal=True),
            timeout=settings.export_s,
        )
        self._export_s = settings.export_s
        # Who is sampled is decided before a span is made.
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource({"service.name": "tidings", "service.instance.id": process}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter,
                max_queue_size=settings.queue_spans_max,
                schedule_delay_millis=settings.flush_s * 1_000,
                max_export_batch_size=min(settings.batch_spans_max, settings.queue_spans_max),
            )
        )
        self._tracer = self._provider.get_tracer("tidings")

    def record(self, span: ServerSpan) -> None:
        """Queue one span, at once and without I/O: not durable, sent within `flush_s`.

        When the queue is full its oldest span is dropped; an export that is not over within `export_s` drops
        what it holds. Neither is told to the caller.
        """
        parent = SpanContext(
            int.from_bytes(span.parent.trace_id, "big"),
            int.from_bytes(span.parent.span_id, "big"),
            is_remote=True,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
            trace_state=TraceState.from_header([span.tracestate]),
        )
        made = self._tracer.start_span(
            span.name,
            set_span_in_context(NonRecordingSpan(parent)),
            SpanKind.SERVER,
            span.attributes,
            start_time=span.began_at * _NANOSECONDS,
        )
        if span.failed:
            made.set_status(Status(StatusCode.ERROR))
        made.end(span.ended_at * _NANOSECONDS)

    async def close(self) -> None:
        """Send what is queued and end the thread: over within twice `export_s`, however the collector is."""
        end: Callable[[], None] = self._provider.shutdown
        give_up: Callable[[], None] = self._exporter.shutdown
        ending = asyncio.get_running_loop().run_in_executor(None, end)
        await asyncio.wait({ending}, timeout=self._export_s)
        if not ending.done():
            give_up()  # what is queued behind the attempt under way is dropped
            await asyncio.wait({ending}, timeout=self._export_s)
