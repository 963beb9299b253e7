"""Figures of a process: counted by method, route and status, with labels that are bounded."""

from prometheus_client.parser import text_string_to_metric_families

from adapters.telemetry.metrics import RequestMetrics


def figures(metrics: RequestMetrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_answers_are_counted_and_timed() -> None:
    metrics = RequestMetrics()
    for status, seconds in ((200, 0.002), (200, 0.2), (404, 0.002)):
        metrics.observe("GET", "/v1/rooms", status, seconds)
    found = figures(metrics)
    route = (("method", "GET"), ("route", "/v1/rooms"))
    assert found["tidings_requests_answered_total", (*route, ("status", "200"))] == 2
    assert found["tidings_requests_answered_total", (*route, ("status", "404"))] == 1
    assert found["tidings_requests_duration_seconds_count", route] == 3
    assert found["tidings_requests_duration_seconds_bucket", (("le", "0.005"), *route)] == 2


def test_methods_that_nobody_defined_share_a_label() -> None:
    metrics = RequestMetrics()
    for number in range(50):
        metrics.observe(f"X{number}", "unrouted", 405, 0.001)
    labels = {dict(labels).get("method") for _, labels in figures(metrics)} - {None}
    assert labels == {"other"}


def test_two_of_them_in_one_process_do_not_meet() -> None:
    first, second = RequestMetrics(), RequestMetrics()
    first.observe("GET", "/", 200, 0.001)
    assert not [name for name, _ in figures(second) if name.startswith("tidings_requests")]
