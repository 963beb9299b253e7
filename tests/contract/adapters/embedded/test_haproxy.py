"""The edge as HAProxy: a configuration that it accepts, sized by the limit on descriptors."""

import subprocess
from pathlib import Path

import pytest

from adapters.embedded.haproxy import binary, connections_max, haproxy

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "::1"])  # noqa: S104 (what may be chosen)
def test_haproxy_accepts_what_is_written(tmp_path: Path, host: str) -> None:
    edge = haproxy(
        edge_dir=ROOT / "edge",
        run_dir=tmp_path,
        log_dir=tmp_path,
        host=host,
        port=29_900,
        api_port=29_910,
        websocket_port=29_911,
        streams_port=29_912,
        descriptors=5_000,
        origin="http://localhost:29900",
    )
    assert edge.pid is None  # not started yet
    configuration = tmp_path / "haproxy.cfg"
    done = subprocess.run(  # noqa: S603 (ours)
        [str(binary()), "-c", "-f", str(configuration)],
        env=edge.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written = configuration.read_text()
    assert f"bind {host}:29900" in written
    assert f"maxconn {connections_max(5_000)}" in written
    assert [port for port in (29_910, 29_911, 29_912) if f"127.0.0.1:{port}" not in written] == []
    assert "$" not in written.replace("Dollar", "")


def test_each_client_costs_two_descriptors_and_the_edge_some() -> None:
    for limit in (4_096, 65_536, 1_048_576):
        assert 2 * connections_max(limit) + 200 <= limit
    assert connections_max(65_536) > 32_000
    assert connections_max(100) == 100
