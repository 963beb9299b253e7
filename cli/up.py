"""`tidings up`: starts the whole system on this machine, shows each step, keeps it running until Ctrl-C."""

import asyncio
import signal
import sys
from contextlib import ExitStack
from typing import Final

from adapters.clock import SystemClock
from adapters.embedded.descriptors import raise_limit, warning_of
from adapters.embedded.folder import DataFolder
from adapters.embedded.haproxy import haproxy
from adapters.embedded.ports import claimed
from adapters.embedded.postgres import EmbeddedPostgres
from adapters.embedded.program import Program, end_left_over
from adapters.embedded.ray import FLAGS, joining
from adapters.embedded.supervisor import Supervisor
from adapters.embedded.valkey import valkey
from adapters.entropy import SystemEntropy
from adapters.postgres.migrate import migrate
from adapters.postgres.sealing import ensure_key
from adapters.schemas import load_catalog
from cli.first import First, ensure_first
from cli.installation import absolute, edge_dir, variables, with_addresses
from cli.one_machine import require_one_machine
from cli.ready import answers, noted, until
from cli.screen import Screen
from cli.stopping import end
from cli.stores import reach_cache, reach_database
from cli.verb import attempt
from cli.welcome import welcome
from settings import Settings, environment, read_settings
from wiring import cluster_key_file, kek_file

RAY_READY_S: Final = 60.0
SERVING_READY_S: Final = 90.0
EDGE_READY_S: Final = 10.0
STORE_READY_S: Final = 10.0

# All of it ends within 20 s of Ctrl-C: what has not ended in order by STOP_S is killed. What stops before it
# gets less, so that PostgreSQL still stops in order when others hang.
STOP_S: Final = 17.0
BACKEND_STOP_S: Final = 9.0
UNFINISHED_STOP_S: Final = 1.0
"""For a Ray that nobody is served by yet."""
OTHERS_STOP_S: Final = 2.0
NAMES: Final = {"backend": "Ray or the single process", "edge": "the edge", "valkey": "Valkey"}
"""Of the processes that leave a record, by its file's name."""


def up(*, single_process: bool) -> int:
    """Run until Ctrl-C and return the exit code."""
    return attempt(lambda: _up(single_process=single_process))


def _up(*, single_process: bool) -> int:
    settings = require_one_machine(absolute(read_settings()))
    return asyncio.run(_Up(settings, Screen(), single_process=single_process).run())


class _Up:
    """One run: everything that was started, in the order in which it stops."""

    def __init__(self, settings: Settings, screen: Screen, *, single_process: bool) -> None:
        self._settings = settings
        self._screen = screen
        self._single = single_process
        self._folder = DataFolder(settings.installation.data_dir)
        self._supervisor = Supervisor(SystemClock(), screen.warn)
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._claims = ExitStack()
        self._serves = False
        self._postgres: EmbeddedPostgres | None = None
        self._valkey: Program | None = None
        self._backend: Program | None = None
        self._edge: Program | None = None

    async def run(self) -> int:
        """Start, wait for the end, stop."""
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(sign, self._asked_to_stop, sign)
        try:
            started = loop.create_task(self._start(), name="up.start")
            stopped = loop.create_task(self._stop.wait(), name="up.stop")
            await asyncio.wait({started, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if started.done():
                welcome(self._screen, self._settings, started.result())
                await stopped
            else:
                started.cancel()
                await asyncio.wait({started})
            stopped.cancel()
        finally:
            await self._end()
        return 0

    def _asked_to_stop(self, sign: signal.Signals) -> None:
        if self._stop.is_set() and sign is signal.SIGINT:  # a closed terminal sends the others more than once
            self._hurry.set()
        self._stop.set()

    # Starting.

    async def _start(self) -> First:
        screen, folder, where = self._screen, self._folder, self._settings.installation
        catalog = load_catalog(where.schemas_dir)
        folder.open()
        descriptors = raise_limit()
        screen.head(f"Tidings on {where.origin}, data in {folder.root}")
        if warning := warning_of(descriptors):
            screen.warn(warning)
        self._end_left_overs()
        self._claim_ports()
        self._ensure_keys()
        await self._reach_given_stores()
        self._choose_stores()
        screen.say(f"  Resource types: {', '.join(sorted(catalog.names)) or 'none'}")
        if not self._single:
            self._start_backend()  # Ray takes longest: it starts beside the others, and then waits for them
        await self._start_stores()
        database_url = self._settings.installation.database_url
        folder.note_running(variables(self._settings))
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
            if pid := end_left_over(record):
                self._screen.warn(f"Ended {NAMES[record.stem]} left by an earlier run (process {pid}).")

    def _claim_ports(self) -> None:
        where = self._settings.installation
        ports = {"api": where.api_port, "WebSocket": where.websocket_port, "streams": where.streams_port}
        self._claims.enter_context(claimed(where.host, {"the edge": where.port}))
        self._claims.enter_context(claimed(where.bind, ports, variable="TIDINGS_BIND"))

    def _ensure_keys(self) -> None:
        folder, entropy = self._folder, SystemEntropy()
        kek = kek_file(self._settings)
        if ensure_key(kek, entropy):
            self._screen.warn(f"Made {kek}: it opens every secret of the database. Back it up.")
        ensure_key(cluster_key_file(self._settings), entropy)
        if not folder.ray_token.exists():
            folder.write_secret(folder.ray_token, entropy.token(32).hex())

    async def _reach_given_stores(self) -> None:
        where = self._settings.installation
        for what, url, reach in (
            ("PostgreSQL of DATABASE_URL", where.database_url, reach_database),
            ("Valkey or Redis of REDIS_URL", where.redis_url, reach_cache),
        ):
            if url:
                with self._screen.step(what):
                    await reach(url)

    def _choose_stores(self) -> None:
        """Decide what is embedded and name the addresses of all, since children start before these listen."""
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
        if pid := self._postgres.left_over:
            self._screen.warn(f"Ended PostgreSQL left by an earlier run (process {pid}).")
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
        folder = self._folder
        (folder.run / "cluster.progress").unlink(missing_ok=True)
        if self._backend is None:
            name, module = ("The single process", "cli.single") if self._single else ("Ray", "cli.cluster")
            self._backend = Program(
                name,
                [sys.executable, "-m", module],
                folder.logs / "backend.log",
                folder.run / "backend.pid",
                {**self._flags(), **environment(), **variables(self._settings)},
            )
        self._backend.start(hold_stdin=True)

    def _flags(self) -> dict[str, str]:
        if self._single:
            return {}
        if self._settings.installation.ray_address:
            return joining(environment())
        return {**FLAGS, "RAY_AUTH_TOKEN_PATH": str(self._folder.ray_token)}

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
        self._serves = True

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
            origin=where.origin,
        )
        with self._screen.step("Edge"):
            self._edge.start()
            answering = answers(where.port, "/readyz", where.edge_address)
            await until(self._edge, "The edge", answering, EDGE_READY_S)

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
        self._stop.set()  # from now on another Ctrl-C means: at once
        self._screen.say("Stopping …")
        try:
            await end(self._end_in_order(), self._hurry, STOP_S, self._screen.warn)
        finally:
            self._claims.close()
            self._folder.close()

    async def _end_in_order(self) -> None:
        await self._supervisor.close()
        if self._backend is not None:
            own_ray = not self._single and not self._settings.installation.ray_address
            patient = self._serves or not own_ray  # with its own Ray goes all that was begun
            await self._backend.end_input(BACKEND_STOP_S if patient else UNFINISHED_STOP_S)
        await asyncio.gather(
            *(p.stop(timeout_s=OTHERS_STOP_S) for p in (self._edge, self._valkey) if p is not None)
        )
        if self._postgres is not None:
            await self._postgres.stop()
