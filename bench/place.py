"""Where a run goes: the system that is up, straight at its ports and through its edge."""

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.wire import Door

API_PORT_OFFSET = 10
WEBSOCKET_PORT_OFFSET = 11
SOCKET_PATH = "/connection/websocket"


@dataclass(frozen=True, slots=True)
class Place:
    """One column of the table: `straight` or `edge`."""

    name: str
    door: Door
    origin: str
    data_dir: Path

    @property
    def is_edge(self) -> bool:
        """Whether what stands between is the edge."""
        return self.name == "edge"

    @property
    def socket_port(self) -> int:
        """The port that sockets are opened at."""
        return self.door.address[1]

    @property
    def replica_port(self) -> int:
        """The port that the replicas of `realtime` listen on."""
        return self.socket_port + WEBSOCKET_PORT_OFFSET if self.is_edge else self.socket_port


def places(
    data_dir: Path, *, url: str = "", key: str = "", sockets: str = "", straight_only: bool = False
) -> list[Place]:
    """Return the columns.

    Args:
        data_dir: its `cli.json` gives what the other arguments leave open.
        url: origin of the edge; the straight ports are this port + 10 and + 11.
        key: API key.
        sockets: WebSocket URL of any server of the Centrifuge protocol; it is then the only column.
        straight_only: leave the edge out.

    Raises:
        FileNotFoundError: neither arguments nor a running system say where to go.
    """
    if sockets:
        return [Place("straight", Door(sockets, key), url, data_dir)]
    written = data_dir / "cli.json"
    if not (url and key):
        found = json.loads(written.read_text())
        url, key = url or found["url"], key or found["api_key"]
    port = urlsplit(url).port or 80
    straight = Place(
        "straight",
        Door(f"ws://127.0.0.1:{port + WEBSOCKET_PORT_OFFSET}{SOCKET_PATH}", key),
        f"http://127.0.0.1:{port + API_PORT_OFFSET}",
        data_dir,
    )
    edge = Place(
        "edge", Door(f"ws://127.0.0.1:{port}{SOCKET_PATH}", key), f"http://127.0.0.1:{port}", data_dir
    )
    return [straight] if straight_only else [straight, edge]
