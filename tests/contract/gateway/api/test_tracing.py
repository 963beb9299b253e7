"""A request is a span of its caller's trace, as often as its organization may have one; lines name both."""

import subprocess
import sys

import pytest
import structlog

from adapters.telemetry.logging import add_names
from core.ids import encode
from settings import Tracing
from tests.helpers.collector import Collector, attributes, collector
from tests.helpers.loop import run
from tests.helpers.rest import rest_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"


def tracing(there: Collector, share: float = 1.0) -> Tracing:
    return Tracing(OTEL_EXPORTER_OTLP_ENDPOINT=there.endpoint, sampled_share_max=share)


def test_a_request_is_a_child_of_its_callers_span(database_url: str) -> None:
    async def scenario() -> None:
        with collector() as there:
            async with rest_of(database_url, tracing=tracing(there)) as api:
                made = await api.post(
                    "/v1/rooms",
                    {"name": "a"},
                    traceparent=SAMPLED,
                    tracestate="vendor=opaque,other@tenant=2",
                    baggage="secret=1",
                    x_request_id="mine-1",
                )
                organization = encode("org", api.organization.organization_id)
            assert made.status == 201
            (span,) = there.spans
            assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, SPAN)
            assert span.trace_state == "vendor=opaque,other@tenant=2"
            assert (span.name, span.kind) == ("POST /v1/rooms", span.SPAN_KIND_SERVER)
            assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 10_000_000_000
            assert attributes(span) == {
                "http.request.method": "POST",
                "http.route": "/v1/rooms",
                "http.response.status_code": 201,
                "url.scheme": "http",
                "tidings.request_id": made.headers["request-id"],
                "tidings.organization_id": organization,
                "tidings.client_request_id": "mine-1",
            }
            assert b"secret" not in there.exports[0][2].SerializeToString()

    run(scenario())


def test_a_refused_request_is_a_span_too_and_only_the_servers_faults_are_errors(database_url: str) -> None:
    async def scenario() -> None:
        with collector() as there:
            async with rest_of(database_url, tracing=tracing(there)) as api:
                await api.get("/v1/nothing", traceparent=SAMPLED)
                await api.get("/v1/rooms/room_x", traceparent=SAMPLED)
                await api.call("TRACE", "/v1/rooms", traceparent=SAMPLED)
                await api.call("GET", "/v1/rooms", key="", traceparent=SAMPLED)
            async with rest_of(database_url, tracing=tracing(there), concurrency_max=0) as api:
                await api.get("/v1/rooms", traceparent=SAMPLED)
            seen = [
                (
                    span.name,
                    attributes(span)["http.request.method"],
                    attributes(span)["http.response.status_code"],
                    span.status.code == span.status.STATUS_CODE_ERROR,
                )
                for span in there.spans
            ]
            assert seen == [
                ("GET", "GET", 404, False),
                ("GET /v1/rooms/{id:str}", "GET", 404, False),
                ("HTTP /v1/rooms", "_OTHER", 405, False),
                ("GET /v1/rooms", "GET", 401, False),
                ("GET /v1/rooms", "GET", 503, True),
            ]

    run(scenario())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": UNSAMPLED},
        {"traceparent": SAMPLED.upper()},
        {"traceparent": f"{SAMPLED}-more"},
        {"traceparent": f"ff{SAMPLED[2:]}"},
        {"tracestate": "vendor=1"},
    ],
    ids=["none", "not sampled", "upper case", "too long", "version", "state alone"],
)
def test_who_does_not_ask_for_a_span_leaves_none(database_url: str, headers: dict[str, str]) -> None:
    async def scenario() -> None:
        with collector() as there:
            async with rest_of(database_url, tracing=tracing(there)) as api:
                assert (await api.get("/v1/rooms", **headers)).status == 200
            assert not there.exports

    run(scenario())


def test_a_tracestate_past_its_limit_is_dropped_and_the_span_is_not(database_url: str) -> None:
    async def scenario() -> None:
        states = [",".join(f"k{n:02}={'x' * 59}" for n in range(8)) + end for end in ("x", "xx")]
        assert [len(state) for state in states] == [512, 513]
        with collector() as there:
            async with rest_of(database_url, tracing=tracing(there)) as api:
                for state in states:
                    await api.get("/v1/rooms", traceparent=SAMPLED, tracestate=state)
            assert [span.trace_state for span in there.spans] == [states[0], ""]

    run(scenario())


def test_a_caller_that_flags_everything_gets_its_organizations_share(database_url: str) -> None:
    async def scenario() -> None:
        with collector() as there:
            async with rest_of(database_url, tracing=tracing(there, 0.05)) as api:
                _, other = await api.another()
                for _ in range(60):
                    await api.get("/v1/rooms", traceparent=SAMPLED)
                await api.call("GET", "/v1/rooms", key=other, traceparent=SAMPLED)
            organizations = [attributes(span)["tidings.organization_id"] for span in there.spans]
            mine = encode("org", api.organization.organization_id)
            assert (organizations.count(mine), len(organizations)) == (3, 4)

    run(scenario())


def test_without_a_collector_nothing_is_sent_and_nothing_is_loaded(database_url: str) -> None:
    async def scenario() -> None:
        with collector() as there:
            async with rest_of(database_url) as api:
                assert (await api.get("/v1/rooms", traceparent=SAMPLED)).status == 200
            assert not there.exports

    run(scenario())
    # Redis's client looks for the SDK's metrics by itself; what makes and sends spans is ours to load.
    loaded = (
        "import sys, wiring; spans = ('opentelemetry.sdk.trace', 'opentelemetry.exporter');"
        "print([name for name in sys.modules if name.startswith(spans)])"
    )
    done = subprocess.run(  # noqa: S603 (our own interpreter)
        [sys.executable, "-c", loaded], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_line_of_a_refusal_names_the_request_its_trace_and_its_organization(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await api.owner.close()
            with structlog.testing.capture_logs(processors=[add_names]) as logs:
                answer = await api.post(
                    "/v1/rooms", {"name": "a"}, traceparent=UNSAMPLED, x_request_id="mine-1"
                )
                structlog.get_logger().info("outside")
            assert answer.status == 503
            (line,) = [line for line in logs if line["event"] == "request.refused"]
            ids = {
                "request_id": answer.headers["request-id"],
                "organization_id": encode("org", api.organization.organization_id),
                "trace_id": TRACE,
                "client_request_id": "mine-1",
            }
            assert ids.items() <= line.items()
            assert not ids.keys() & logs[-1].keys()

    run(scenario())
