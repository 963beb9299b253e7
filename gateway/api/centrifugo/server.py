"""`/api` over HTTP: who asks, for which method, with what body, and how the answer is told."""

from typing import Final
from urllib.parse import parse_qs

from adapters.postgres.server_api import ServerApiStore
from adapters.telemetry.metrics import RequestMetrics
from core.errors import Code, TidingsError
from core.ports import Clock
from gateway.api.body import DisconnectedError, Receive, read_body
from gateway.api.call import Answer
from gateway.api.centrifugo.answers import STATUSES, bare_error, code_of
from gateway.api.centrifugo.caller import Caller, Callers
from gateway.api.centrifugo.methods import BATCH, Done, Methods, UnreadableError
from gateway.api.shell import Application, Scope, Send, Shell
from gateway.api.writing import trace_id_of
from settings import Api

PATH: Final = "/api"
PARAMETERS_MAX: Final = 100
ERROR_MODE: Final = b"x-centrifugo-error-mode"
TRANSPORT: Final = b"transport"

_TEXT: Final = b"text/plain; charset=utf-8"
_NO_METHOD: Final = Answer(404, b"404 page not found\n", media_type=_TEXT)
_NOT_POST: Final = Answer(405, b"Method Not Allowed\n", ((b"allow", b"POST"),), _TEXT)
_NO_KEY: Final = Answer(401, media_type=_TEXT)
_UNREADABLE: Final = Answer(400, b"Bad Request\n", media_type=_TEXT)


class CentrifugoApi:
    """Serves `/api` and everything below it.

    Args:
        shell: gives requests their ids, and sends answers.
        methods: runs commands.
        callers: finds out who asks.
        store: knows how an organization wants to be told of errors.
        metrics: counts and times what was answered.
        clock: times.
        settings: limits.
    """

    def __init__(
        self,
        shell: Shell,
        methods: Methods,
        callers: Callers,
        store: ServerApiStore,
        metrics: RequestMetrics,
        clock: Clock,
        settings: Api,
    ) -> None:
        self._shell = shell
        self._methods = methods
        self._callers = callers
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._settings = settings

    def beside(self, application: Application) -> Application:
        """Return the application that answers what is for this API, and hands on the rest."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            path: str = scope.get("path", "")
            mine = scope["type"] == "http" and (path == PATH or path.startswith(f"{PATH}/"))
            await (self._serve if mine else application)(scope, receive, send)

        return serve

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, name = self._clock.monotonic(), scope["path"].removeprefix(PATH).removeprefix("/")
        is_known = not name or self._methods.has(name)
        scope["route"] = f"{PATH}/{name}".rstrip("/") if is_known else f"{PATH}/{{method}}"
        status = 0
        try:
            answer = await self._answer(name, scope, receive) if is_known else _NO_METHOD
            await self._shell.send(answer, scope, send)
            status = answer.status
        except DisconnectedError:
            pass  # nobody is left to be answered
        finally:
            self._metrics.observe(scope["method"], scope["route"], status, self._clock.monotonic() - began)

    async def _answer(self, name: str, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            return _NOT_POST
        headers = dict(scope["headers"])
        by_status = headers.get(ERROR_MODE) == TRANSPORT
        if self._shell.is_full:
            return _refused(TidingsError(Code.CAPACITY_REDUCED), by_status=by_status)
        try:
            caller = await self._caller(headers, scope)
            if caller is None:
                return _NO_KEY
            scope["organization_id"] = caller.organization_id
            body = await read_body(headers, receive, self._settings)
            done = await self._done(caller, name, body)
            by_status = by_status or (
                isinstance(done, Done)
                and done.code != 0
                and await self._store.errors_by_status(caller.organization_id)
            )
        except TidingsError as error:
            return _refused(error, by_status=by_status)
        except (UnreadableError, UnicodeDecodeError):
            return _UNREADABLE
        return Answer(200, done) if isinstance(done, bytes) else _told(done, by_status=by_status)

    async def _caller(self, headers: dict[bytes, bytes], scope: Scope) -> Caller | None:
        try:
            query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=PARAMETERS_MAX)
        except ValueError:
            raise UnreadableError from None
        return await self._callers.find(
            headers.get(b"x-api-key", b"").decode("latin-1"),
            headers.get(b"authorization", b"").decode("latin-1"),
            query.get("api_key", [""])[0],
            trace_id_of(headers),
        )

    async def _done(self, caller: Caller, name: str, body: bytes) -> Done | bytes:
        body.decode()  # payloads are passed on without another look
        if not body:
            raise UnreadableError
        if not name:
            return await self._methods.lines(caller, body)
        if name == BATCH:
            return await self._methods.batch(caller, body)
        return await self._methods.call(caller, name, body)


def _told(done: Done, *, by_status: bool) -> Answer:
    if done.code and by_status:
        return Answer(STATUSES[done.code], bare_error(done.code))
    return Answer(200, done.answer)


def _refused(error: TidingsError, *, by_status: bool) -> Answer:
    """Return the answer to a request that did not come as far as its method."""
    if error.row.retry == "never" or error.code is Code.REQUEST_TIMEOUT:
        return Answer(error.row.status, f"{error.row.title}\n".encode(), media_type=_TEXT)
    return _told(Done(b"", code_of(error)), by_status=by_status)
