"""The only reader of the environment: one frozen object, read once, passed by value.

Every key has its unit in its name, a default, and beside it what happens at the limit. A group `log` with a
key `batch_commands_max` is set by `TIDINGS_LOG_BATCH_COMMANDS_MAX`; `DATABASE_URL`, `REDIS_URL`,
`RAY_ADDRESS` and `OTEL_EXPORTER_OTLP_…` keep the names that every host gives them.
"""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

EVERYWHERE = ("0.0.0.0", "::", "*")  # noqa: S104 (names of it, nothing is bound here)
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class SettingsError(Exception):
    """A variable of the environment can't be used; the message is one sentence that names it."""


Seconds = Annotated[float, Field(ge=0.001, le=86_400)]
Milliseconds = Annotated[int, Field(ge=1, le=600_000)]
Days = Annotated[int, Field(ge=1, le=3_650)]
Bytes = Annotated[int, Field(ge=1, le=2**30)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]


class Installation(BaseSettings):
    """Where this installation lives and what it is reached by."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="TIDINGS_")

    data_dir: Path = Field(default=Path(".tidings"), description="Data, keys, logs; Ray's are in `/tmp`.")
    host: str = Field(default="127.0.0.1", description="Address that the edge listens on.")
    port: int = Field(
        default=8000, ge=1, le=65_500, description="Port of the edge; +10 api, +11 WebSocket, +12 streams."
    )
    bind: str = Field(
        default="127.0.0.1",
        description="Address of replicas and owners; on a cluster `node`: as Ray knows each node.",
    )
    public_url: str = Field(
        default="",
        description="Origin as clients see it; empty: http://<host>:<port>, with localhost for a host "
        "that means this machine or all of its addresses.",
    )
    schemas_dir: Path = Field(default=Path("schemas"), description="Resource types, one JSON Schema a file.")
    kek_file: Path | None = Field(
        default=None, description="Key file that seals secrets; empty: <data_dir>/kek, made at first."
    )
    cluster_key_file: Path | None = Field(
        default=None, description="Key that links prove; empty: <data_dir>/cluster_key."
    )
    database_url: str = Field(
        default="", validation_alias=AliasChoices("DATABASE_URL"), description="External PostgreSQL."
    )
    redis_url: str = Field(
        default="", validation_alias=AliasChoices("REDIS_URL"), description="External Redis or Valkey."
    )
    ray_address: str = Field(
        default="", validation_alias=AliasChoices("RAY_ADDRESS"), description="External Ray cluster."
    )

    @property
    def origin(self) -> str:
        """Scheme, host and port under which clients reach this installation, without a trailing slash."""
        host = "localhost" if self.host in (*LOOPBACK, *EVERYWHERE) else self.host
        shown = f"[{host}]" if ":" in host else host
        return (self.public_url or f"http://{shown}:{self.port}").rstrip("/")

    @property
    def edge_address(self) -> str:
        """Address at which this machine reaches the edge."""
        return "127.0.0.1" if self.host in EVERYWHERE else self.host

    @property
    def api_port(self) -> int:
        """Port of the REST listeners, shared by the replicas of a node."""
        return self.port + 10

    @property
    def websocket_port(self) -> int:
        """Port of the WebSocket listeners, shared by the replicas of a node."""
        return self.port + 11

    @property
    def streams_port(self) -> int:
        """Port of the SSE and HTTP-stream listeners, shared by the replicas of a node."""
        return self.port + 12


class Log(BaseSettings):
    """The single writers of the log, and how long it is kept."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="TIDINGS_LOG_")

    partitions: Count = Field(
        default=4, ge=1, le=1024, description="Partitions of the log; fixed at first start."
    )
    owners: Count = Field(default=2, ge=1, le=256, description="Owner actors; each holds several partitions.")
    lease_s: Seconds = Field(default=10.0, description="A partition whose lease ran out may be taken.")
    lease_renew_s: Seconds = Field(default=3.0, description="How often an owner renews its leases.")
    commit_deadline_s: Seconds = Field(
        default=5.0, description="Then the commit's socket is dropped; outcome unknown."
    )
    batch_commands_max: Count = Field(
        default=500, description="Commands in one commit; the rest waits for the next."
    )
    batch_bytes_max: Bytes = Field(default=1_048_576, description="Bytes of commands in one commit.")
    queue_commands_max: Count = Field(default=10_000, description="Per partition; past it capacity_reduced.")
    queue_bytes_max: Bytes = Field(default=16_777_216, description="Per partition; past it capacity_reduced.")
    channel_heads_max: Count = Field(
        default=100_000, description="Channel heads in memory per owner; the oldest leave."
    )
    retention_days: Days = Field(default=30, ge=1, description="How long events can be read.")
    retention_slack_days: Days = Field(
        default=2, ge=1, description="A day is dropped this long after its retention."
    )
    partitions_ahead_days: Days = Field(
        default=7, ge=2, description="Days whose table partitions exist in advance."
    )
    idempotency_days: Days = Field(
        default=1, ge=1, description="Whole days that keys are kept beyond the day of use."
    )
    request_deadline_ms: Milliseconds = Field(
        default=10_000, description="How long a caller waits for an outcome."
    )


class Links(BaseSettings):
    """The connections between processes that carry commands and live events."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="TIDINGS_LINKS_")

    ping_s: Seconds = Field(default=1.0, description="Each side sends at least this often.")
    silence_s: Seconds = Field(default=5.0, description="A link that is silent this long is closed.")
    outstanding_commands_max: Count = Field(default=10_000, description="Per link; past it capacity_reduced.")
    outstanding_bytes_max: Bytes = Field(
        default=16_777_216, description="Per link; past it capacity_reduced."
    )
    unsent_bytes_max: Bytes = Field(
        default=16_777_216, description="Per link; past it the owner drops the link."
    )
    frame_bytes_max: Bytes = Field(default=16_777_216, description="A longer frame closes the link.")
    route_refresh_s: Seconds = Field(
        default=5.0, description="How often callers re-read where partitions live."
    )
    connect_s: Seconds = Field(
        default=2.0, description="To open a link, proof included; then the owner counts as unreachable."
    )
    head_s: Seconds = Field(default=10.0, description="How long a caller waits for a head; then unavailable.")
    unproven_links_max: Count = Field(
        default=64, description="Links of one owner that have not proved the key; more are turned away."
    )
    organizations_max: Count = Field(
        default=100_000, description="Organizations whose partition a process remembers; the oldest leave."
    )


class Api(BaseSettings):
    """Limits of REST."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="TIDINGS_API_")

    body_bytes_max: Bytes = Field(default=1_048_576, description="Decoded request body; past it 413.")
    document_bytes_max: Bytes = Field(default=65_536, description="One resource or publication; past it 413.")
    publish_entries_max: Count = Field(
        default=10_000, description="Pairs of item and channel in one /v1/publish; past it 422."
    )
    uri_bytes_max: Bytes = Field(default=8_192, description="Past it 414.")
    body_s: Seconds = Field(default=30.0, description="A body that is not complete by then: 408.")
    page_bytes_max: Bytes = Field(
        default=4_194_304, description="Bytes of events in one page; a page may be shorter than its limit."
    )
    head_bytes_max: Bytes = Field(default=15_360, description="All headers of a request; past it 431.")
    head_lines_max: Count = Field(default=100, description="Headers of a request; past it 431.")
    concurrency_max: int = Field(
        default=1_000, ge=0, le=1_000_000, description="Requests in flight per replica; past it 503."
    )
    credential_cache_s: Seconds = Field(default=60.0, description="How long a verified key is believed.")
    credentials_max: Count = Field(
        default=10_000, description="Cached credentials per process; the oldest leave."
    )
    database_connections_max: Count = Field(
        default=8, description="Read connections per process; more callers wait."
    )


class Realtime(BaseSettings):
    """Limits of sockets and streams."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="TIDINGS_REALTIME_")

    replicas: Count = Field(
        default=1, ge=1, le=1_000, description="Processes that hold sockets and streams, all nodes together."
    )
    ping_s: Seconds = Field(default=25.0, description="Server ping interval.")
    pong_s: Seconds = Field(default=8.0, description="Then 3012.")
    connect_s: Seconds = Field(
        default=10.0, description="A socket without connect is closed after this with 3502."
    )
    expiry_grace_s: Seconds = Field(default=25.0, description="A connection lives this long past its token.")
    handshake_s: Seconds = Field(
        default=5.0, description="For the whole request that opens a socket; then it is dropped."
    )
    message_bytes_max: Bytes = Field(default=65_536, description="Incoming message; past it close 1009.")
    outbox_bytes_max: Bytes = Field(default=1_048_576, description="Unsent bytes of a socket; past it 3008.")
    kernel_unsent_bytes_max: Bytes = Field(
        default=131_072, description="What the kernel may take to send later; 4 MB by itself, in no outbox."
    )
    frame_bytes_max: Bytes = Field(default=262_144, description="One outgoing frame; more is split.")
    compression: bool = Field(
        default=False, description="permessage-deflate on sockets that offer it: fewer bytes for more CPU."
    )
    channels_max: Count = Field(default=128, description="Subscriptions per connection; past it error 106.")
    frame_commands_max: Count = Field(
        default=2_048,
        description="Commands in one frame; past it 3501. An SDK sends all its subscribes at once.",
    )
    pending_commands_max: Count = Field(
        default=256, description="Unanswered commands per connection; then it is read no further."
    )
    history_max: Count = Field(default=300, description="Publications in one page of history and recovery.")
    page_bytes_max: Bytes = Field(default=262_144, description="Bytes in one page of recovery.")
    recent_bytes_max: Bytes = Field(
        default=8_388_608, description="Newest events in memory per organization; older from PostgreSQL."
    )
    gap_events_max: Count = Field(
        default=10_000, description="Live events held while a gap is filled; more is re-read."
    )
    noted_events_max: Count = Field(
        default=1_000, description="Events noted for one subscription that catches up; more is re-read."
    )
    connections_max: Count = Field(default=100_000, description="Sockets per replica; past it 503.")
    address_connects_per_s: float = Field(
        default=500.0, gt=0, description="Connections that one address may open, per replica; past it 429."
    )
    address_connects_burst: Count = Field(
        default=1_000, ge=1, description="How many of them at once, after a pause."
    )
    address_connections_max: Count = Field(
        default=20_000, description="Connections of one address, per replica; past it 429."
    )
    organization_connects_per_s: float = Field(
        default=500.0,
        gt=0,
        description="Clients of one organization that may connect, per replica; past it error 111.",
    )
    organization_connects_burst: Count = Field(
        default=1_000, ge=1, description="How many of them at once, after a pause."
    )
    organization_connections_max: Count = Field(
        default=100_000, description="Connected clients of one organization, per replica; past it error 111."
    )
    admissions_max: Count = Field(
        default=100_000,
        ge=1,
        description="Addresses, and organizations, whose rate a replica counts; the idle ones leave.",
    )
    drain_s: float = Field(
        default=3.0, ge=0, le=3_600, description="Over which a stopping replica closes its sockets."
    )
    origins: str = Field(
        default="",
        pattern=r"^[!-~ ]*$",
        description="Origins whose pages may connect, separated by commas; `*`: any. The installation's own "
        "always may; empty: that one, and localhost.",
    )
    body_s: Seconds = Field(
        default=10.0, description="For the whole body of an opening or emulation request; then 408."
    )
    upstream_calls_max: Count = Field(
        default=16, description="Emulation calls of one session that wait to be read; past it 503."
    )
    upstream_wait_s: Seconds = Field(
        default=5.0, description="How long such a call waits while too much is unanswered; then 503."
    )
    stalled_s: Seconds = Field(
        default=30.0, description="A stream whose reader takes nothing for this long is cut off."
    )
    flush_s: Seconds = Field(
        default=5.0, description="How long a stream that ends may take to say its last; then it is cut off."
    )
    read_buffer_bytes: Bytes = Field(
        default=2_048, ge=2_048, description="First read buffer of a socket; grows as needed."
    )
    forward_s: Seconds = Field(
        default=2.0, description="How long an emulation call waits for the replica of its session; then 503."
    )
    forwarded_max: Count = Field(
        default=1_000, description="Emulation calls for other replicas, and from them; past it 503."
    )


class Presence(BaseSettings):
    """Who is in which channel, as Redis or Valkey holds it."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="TIDINGS_PRESENCE_")

    beat_s: Seconds = Field(default=3.0, description="How often a replica tells that it lives.")
    silence_s: Seconds = Field(
        default=10.0, description="Clients of a replica that is silent this long are no longer there."
    )
    answer_s: Seconds = Field(
        default=1.0,
        description="How long a subscribe waits for Redis; then it goes on, and is entered later.",
    )
    batch_changes_max: Count = Field(
        default=500, description="Entries and leaves in one round trip; the rest is the next."
    )
    pending_changes_max: Count = Field(
        default=100_000, description="That wait per replica; past it all are dropped, and made up for."
    )
    members_max: Count = Field(
        default=10_000, description="Clients in one reply on a socket; REST pages through all."
    )


class Occupancy(BaseSettings):
    """What organizations are told of how many are in their channels."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="TIDINGS_OCCUPANCY_")

    interval_s: Seconds = Field(default=1.0, description="Between two levels of one channel, at least.")
    pending_channels_max: Count = Field(
        default=100_000,
        description="Noted per replica because somebody came or left; past it they are found by walking.",
    )
    reconcile_s: Seconds = Field(
        default=5.0, description="Between two pages of channels that a replica looks at without a reason."
    )
    reconcile_channels_max: Count = Field(default=500, le=1_000, description="In one such page.")


class Journeys(BaseSettings):
    """What is remembered of each connection, in Redis or Valkey, to say why it did not get a publication."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="TIDINGS_JOURNEYS_")

    enabled: bool = Field(default=True, description="Without, every such question is answered `unknown`.")
    kept_s: Seconds = Field(default=3_600.0, ge=60, description="After its end, or the last word of it.")
    connections_max: Count = Field(default=100_000, description="Per organization; new ones are left out.")
    steps_max: Count = Field(default=100, ge=10, description="Of one connection; the oldest leave.")
    pending_steps_max: Count = Field(default=100_000, description="Per replica; past it all is told anew.")
    batch_connections_max: Count = Field(default=200, description="In one round trip; the rest is the next.")
    flush_s: float = Field(default=1.0, ge=0.01, le=60, description="How long a step waits for others.")


class Tokens(BaseSettings):
    """Tokens of clients: the key sets that verify them, and those that were taken back."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="TIDINGS_TOKENS_")

    jwks_cache_s: Seconds = Field(default=600.0, description="How long a fetched key set is believed.")
    jwks_stale_s: Seconds = Field(
        default=3_600.0, description="How long it is believed while it can't be fetched anew; then no longer."
    )
    jwks_refetch_s: Seconds = Field(
        default=60.0, description="A key that a set lacks is asked for at most this often; else error 100."
    )
    jwks_s: Seconds = Field(default=5.0, description="To fetch a key set; then error 100.")
    jwks_bytes_max: Bytes = Field(default=262_144, description="Of a key set; a longer one is not used.")
    jwks_sets_max: Count = Field(default=1_000, description="Key sets per process; the oldest leave.")
    jwks_private: bool = Field(
        default=False, description="Key sets may come from private addresses, and by plain http."
    )
    revocations_max: Count = Field(
        default=1_000, le=10_000, description="In force at a time per organization; past it 422."
    )


class Backend(BaseSettings):
    """Calls to the backends of organizations, which judge what their clients may do, and answer RPC."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="TIDINGS_BACKEND_")

    connections_max: Count = Field(
        default=64, description="To the backends of one organization, per replica; more calls wait for one."
    )
    calls_max: Count = Field(
        default=1_000, description="Unanswered calls of one organization per replica; past it error 100."
    )
    answer_bytes_max: Bytes = Field(default=131_072, description="Of an answer; a longer one is error 100.")
    failures_max: Count = Field(
        default=10, description="Calls in a row that fail; then the URL is left alone for the pause."
    )
    pause_s: Seconds = Field(
        default=5.0, description="Error 100 for all but one call, which finds out whether it is back."
    )
    organizations_max: Count = Field(
        default=1_000, description="Whose connections a replica keeps; those idle longest are closed."
    )
    private: bool = Field(
        default=False, description="Backends may have private addresses, and be called by plain http."
    )


class Tracing(BaseSettings):
    """Spans of REST requests, for a collector that speaks OTLP over HTTP."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="TIDINGS_TRACING_")

    endpoint: str = Field(
        default="",
        pattern=r"^(https?://.+)?$",
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="Collector; spans are sent to <endpoint>/v1/traces. Empty: no spans.",
    )
    headers: str = Field(
        default="",
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_HEADERS"),
        description="Headers for the collector: name=value,name=value with percent-encoded values.",
    )
    sampled_share_max: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Of an organization's requests per replica; callers that flag more leave no spans.",
    )
    organizations_max: Count = Field(
        default=100_000, ge=1, description="Organizations whose share a process counts; the oldest leave."
    )
    queue_spans_max: Count = Field(
        default=2_048, ge=1, description="Spans that wait for the collector; past it the oldest are dropped."
    )
    batch_spans_max: Count = Field(
        default=512, ge=1, description="Spans in one export; the rest is the next."
    )
    flush_s: Seconds = Field(default=5.0, gt=0, description="How long a span waits for others to go with.")
    export_s: Seconds = Field(
        default=5.0, gt=0, description="For one export with its retries; then its spans are dropped."
    )


class Settings(BaseModel):
    """All settings of one process."""

    # Reads no environment itself: a variable `LOG` or `API` of some other program is not meant for us.
    model_config = ConfigDict(frozen=True)

    installation: Installation = Field(default_factory=Installation)
    log: Log = Field(default_factory=Log)
    links: Links = Field(default_factory=Links)
    api: Api = Field(default_factory=Api)
    realtime: Realtime = Field(default_factory=Realtime)
    presence: Presence = Field(default_factory=Presence)
    occupancy: Occupancy = Field(default_factory=Occupancy)
    journeys: Journeys = Field(default_factory=Journeys)
    tokens: Tokens = Field(default_factory=Tokens)
    backend: Backend = Field(default_factory=Backend)
    tracing: Tracing = Field(default_factory=Tracing)


def read_settings() -> Settings:
    """Return the settings that this process's environment gives.

    Raises:
        SettingsError: a value is none that its variable can have.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        groups = [field.annotation for field in Settings.model_fields.values()]
        prefix = next(
            str(group.model_config.get("env_prefix", ""))
            for group in groups
            if isinstance(group, type) and issubclass(group, BaseSettings) and group.__name__ == error.title
        )
        variable = field if field.isupper() else f"{prefix}{field}".upper()  # an alias is spelled out
        raise SettingsError(
            f"{variable} is {first['input']!r}, which it can't be ({first['msg']}): "
            "correct it, or leave it out."
        ) from None


def environment() -> dict[str, str]:
    """Return a copy of this process's environment, for the children that it starts."""
    return dict(os.environ)


def load_environment(file: Path) -> None:
    """Add the `NAME=value` lines of a file to this process's environment; what is set already stays."""
    for name, value in read_variables(file).items():
        os.environ.setdefault(name, value)


def read_variables(file: Path) -> dict[str, str]:
    """Return what the `NAME=value` lines of a file say, the first of each name."""
    found: dict[str, str] = {}
    for line in file.read_text().splitlines():
        name, separator, value = line.strip().partition("=")
        if separator and not name.startswith("#"):
            quoted = value[:1] in {"'", '"'} and value[:1] == value[-1:]  # as a shell would read the file
            found.setdefault(name, value[1:-1] if quoted else value)
    return found
