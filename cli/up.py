"""`tidings up`: starts the whole system on this machine, shows each step.

And keeps it running until Ctrl-C.
"""

import asyncio
import signal
import sys
from typing import Final

from adapters.clock import SystemClock
from adapters.embedded.descriptors import raise_limit, warning_of
from adapters.embedded.errors import StartError
from adapters.embedded.folder import DataFolder
from adapters.embedded.haproxy import haproxy
from adapters.embedded.ports import ensure_free
from adapters.embedded.postgres import EmbeddedPostgres
from adapters.embedded.program import Program, end_left_over
from adapters.embedded.ray import FLAGS
from adapters.embedded.supervisor import Supervisor
from adapters.embedded.valkey import valkey
from adapters.entropy import SystemEntropy
from adapters.postgres.migrate import DataFormatError, migrate
from adapters.postgres.sealing import SealingError, ensure_key
from adapters.schemas import load_catalog
from adapters.telemetry.logging import configure_logging
from cli.first import ensure_first
from cli.installation import Access, absolute, edge_dir, with_addresses
from cli.ready import answers, noted, until
from cli.screen import Screen
from cli.welcome import welcome
from core.auth.principal import Organization
from core.resources.schema import SchemaError
from settings import Settings, environment
from wiring import cluster_key_file, kek_file

BACKEND_STOP_S: Final = 14.0
OTHERS_STOP_S: Final = 3.0
RAY_READY_S: Final = 60.0
SERVING_READY_S: Final = 90.0
EDGE_READY_S: Final = 10.0
STORE_READY_S: Final = 10.0
REFUSED: Final = (StartError, SchemaError, SealingError, DataFormatError)
"""What a person at the terminal can do something about, in one sentence each."""


def up(*, single_process: bool) -> int:
    """Run until Ctrl-C and return the exit code."""
    configure_logging("terminal")
    screen = Screen()
    try:
        return asyncio.run(_Up(absolute(Settings()), screen, single_process=single_process).run())
    except REFUSED as error:
        screen.fail(str(error))
        return 1


class _Up:
    """One run: everything that was started, in the order in which it stops."""

    def __init__(self, settings: Settings, screen: Screen, *, single_process: bool) -> None:
        self._settings = settings
        self._screen = screen
        self._single = single_process
        self._folder = DataFolder(settings.installation.data_dir)
        self._supervisor = Supervisor(SystemClock(), screen.warn)
        self._stop = asyncio.Event()
        self._postgres: EmbeddedPostgres | None = None
        self._valkey: Program | None = None
        self._backend: Program | None = None
        self._edge: Program | None = None

    async def run(self) -> int:
        """Start, wait for the end, stop."""
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(sign, self._stop.set)
        try:
            started = loop.create_task(self._start(), name="up.start")
            stopped = loop.create_task(self._stop.wait(), name="up.stop")
            await asyncio.wait({started, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if started.done():
                access, organizations = started.result()
                welcome(self._screen, self._settings, access, organizations)
                await stopped
            else:
                started.cancel()
                await asyncio.wait({started})
            stopped.cancel()
        finally:
            await self._end()
        return 0

    # Starting.

    async def _start(self) -> tuple[Access, list[Organization]]:
        screen, folder, where = self._screen, self._folder, self._settings.installation
        catalog = load_catalog(where.schemas_dir)
        folder.open()
        descriptors = raise_limit()
        screen.head(f"Tidings on {where.origin}, data in {folder.root}")
        if warning := warning_of(descriptors):
            screen.warn(warning)
        self._end_left_overs()
        ports = {"the edge": where.port, "api": where.api_port}
        ensure_free(where.host, ports)
        ensure_free("127.0.0.1", {"WebSocket": where.websocket_port, "streams": where.streams_port})
        self._ensure_keys()
        self._choose_stores()
        screen.say(f"  Resource types: {', '.join(sorted(catalog.names)) or 'none'}")
        if not self._single:
            self._start_backend()  # Ray takes longest: it starts beside the others, and then waits for them
        await self._start_stores()
        database_url = self._settings.installation.database_url
        folder.write_secret(folder.database_url_file, database_url)
        with screen.step("Schema and first organization"):
            log = self._settings.log
            await migrate(database_url, partitions=log.partitions, ahead_days=log.partitions_ahead_days)
            first = await ensure_first(self._settings, folder)
        await self._start_serving()
        await self._start_edge(descriptors)
        self._keep_running()
        return first

    def _end_left_overs(self) -> None:
        for record in sorted(self._folder.run.glob("*.pid")):
            end_left_over(record)

    def _ensure_keys(self) -> None:
        folder, entropy = self._folder, SystemEntropy()
        kek = kek_file(self._settings)
        if ensure_key(kek, entropy):
            self._screen.warn(f"Made {kek}: it opens every secret of the database. Back it up.")
        ensure_key(cluster_key_file(self._settings), entropy)
        if not folder.ray_token.exists():
            folder.write_secret(folder.ray_token, entropy.token(32).hex())

    def _choose_stores(self) -> None:
        """Decide what is embedded, and from here on name the addresses of all.

        Children start before they listen.
        """
        folder, where = self._folder, self._settings.installation
        database_url, redis_url = where.database_url, where.redis_url
        if not database_url:
            self._postgres = EmbeddedPostgres(
                folder.postgres, folder.run / "pg", folder.logs / "postgres.log"
            )
            database_url = self._postgres.dsn
        if not redis_url:
            self._valkey = valkey(folder.run, folder.logs)
            redis_url = folder.redis_url
        self._settings = with_addresses(self._settings, database_url, redis_url)

    async def _start_stores(self) -> None:
        await asyncio.gather(self._start_postgres(), self._start_valkey())

    async def _start_postgres(self) -> None:
        if self._postgres is None:
            return
        with self._screen.step("PostgreSQL"):
            await self._postgres.start()
        if self._postgres.makes_system_user:
            self._screen.say("    As root, PostgreSQL runs as the system user pgserver, made for it.")

    async def _start_valkey(self) -> None:
        if self._valkey is None:
            return
        with self._screen.step("Valkey"):
            self._valkey.start()
            listening = (self._folder.run / "valkey.sock").exists
            await until(self._valkey, "Valkey", listening, STORE_READY_S)

    def _start_backend(self) -> None:
        folder, installation = self._folder, self._settings.installation
        (folder.run / "cluster.progress").unlink(missing_ok=True)
        if self._backend is None:
            name, module = ("The single process", "cli.single") if self._single else ("Ray", "cli.cluster")
            flags = {} if self._single else dict(FLAGS)
            if flags and not installation.ray_address:  # another cluster has its own token
                flags["RAY_AUTH_TOKEN_PATH"] = str(folder.ray_token)
            own = {
                "TIDINGS_DATA_DIR": str(installation.data_dir),
                "TIDINGS_SCHEMAS_DIR": str(installation.schemas_dir),
                "DATABASE_URL": installation.database_url,
                "REDIS_URL": installation.redis_url,
            }
            self._backend = Program(
                name,
                [sys.executable, "-m", module],
                folder.logs / "backend.log",
                folder.run / "backend.pid",
                {**flags, **environment(), **own},
            )
        self._backend.start(hold_stdin=True)

    async def _start_serving(self) -> None:
        where, progress = self._settings.installation, self._folder.run / "cluster.progress"
        if self._single:
            self._start_backend()
        assert self._backend is not None  # noqa: S101 (started above, or before the database)
        if not self._single:
            with self._screen.step("Ray"):
                await until(self._backend, "Ray", noted(progress, "ray"), RAY_READY_S)
            self._backend.say("go")
        with self._screen.step("Owners, REST and sockets"):
            for port in (where.api_port, where.websocket_port, where.streams_port):
                await until(self._backend, "Serving", answers(port, "/healthz"), SERVING_READY_S)

    async def _start_edge(self, descriptors: int) -> None:
        where, folder = self._settings.installation, self._folder
        self._edge = haproxy(
            edge_dir=edge_dir(),
            run_dir=folder.run,
            log_dir=folder.logs,
            host=where.host,
            port=where.port,
            api_port=where.api_port,
            websocket_port=where.websocket_port,
            streams_port=where.streams_port,
            descriptors=descriptors,
        )
        with self._screen.step("Edge"):
            self._edge.start()
            await until(self._edge, "The edge", answers(where.port, "/readyz"), EDGE_READY_S)

    # Running.

    def _keep_running(self) -> None:
        if self._postgres is not None:
            self._supervisor.keep("PostgreSQL", self._postgres.wait, self._postgres.start)
        for program in (self._valkey, self._edge):
            if program is not None:
                self._supervisor.keep(program.name, program.wait, program.restart)
        if self._backend is not None:
            self._supervisor.keep(self._backend.name, self._backend.wait, self._restart_backend)

    async def _restart_backend(self) -> None:
        await asyncio.to_thread(self._start_backend)
        await self._start_serving()

    # Stopping: first those who serve, so that their clients hear of it through the edge; last the database.

    async def _end(self) -> None:
        self._screen.say("Stopping …")
        await self._supervisor.close()
        if self._backend is not None:
            await self._backend.end_input(BACKEND_STOP_S)
        await asyncio.gather(
            *(p.stop(timeout_s=OTHERS_STOP_S) for p in (self._edge, self._valkey) if p is not None)
        )
        if self._postgres is not None:
            await self._postgres.stop()
        self._folder.close()
