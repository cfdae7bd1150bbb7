"""Every contract, on one page.

Backends and file formats are the same kind of thing: a `Source` and a `Sink` of sessions. A `Backend` is both, and can
be edited in place. Whatever cannot be done raises an error of `agnocli.errors`; `None` never means "failed".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from types import TracebackType
from typing import NewType, Protocol, Self, runtime_checkable

import msgspec

from agnocli.records import Document, RawPiece, Run, Session, SessionBundle, SessionInfo

Cursor = NewType("Cursor", str)
"""A place in a listing or scan. Opaque: only the backend that made it reads it."""

Wanted = Callable[[str], bool]
"""Whether a session of this id is to be read."""

HELD_BYTES = 8 * 2**20
"""A session whose run documents are at most so many bytes is handed over with its runs in a tuple."""


class ConflictPolicy(StrEnum):
    """What a sink does with a session that is there already. An identical one is never a conflict.

    Another user's session is a conflict under every policy but `skip`. `newer` replaces what was updated earlier and
    skips the rest.
    """

    ERROR = "error"
    SKIP = "skip"
    REPLACE = "replace"
    NEWER = "newer"


class Sort(StrEnum):
    UPDATED = "updated"
    CREATED = "created"


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend can do. Ask this, never which backend it is."""

    durable: bool = True
    """What was written is there after the process ends."""
    needs_setup: bool = True
    """Tables must be made before the first write; reading before that raises BackendNotSetUpError."""
    atomic_batches: bool = True
    """`write` stores all its bundles or none; otherwise each session whole or absent."""
    max_atomic_bytes: int | None = None
    """A batch of more is stored as where batches are not atomic."""
    keeps_json_text: bool = True
    """A document comes back byte for byte; otherwise only its value does."""
    respells_json: bool = False
    """Every document comes back in the engine's own spelling."""
    keeps_null_kind: bool = True
    """SQL NULL and JSON null come back as what they were; otherwise both as SQL NULL."""
    holds_nul: bool = True
    holds_nul_in_keys: bool = True
    """Asked only where NUL is held at all."""
    holds_surrogates: bool = True
    holds_nan: bool = True
    holds_big_integers: bool = True
    """Integers past 64 bit."""
    holds_nul_in_ids: bool = True
    max_id_length: int | None = None
    """Characters."""
    reserved_id_prefixes: tuple[str, ...] = ()
    """Ids that begin so are refused."""
    max_document_bytes: int | None = None
    max_depth: int | None = None
    """Levels of objects and arrays within a document."""
    keeps_extra_columns: bool = True
    """Columns that are not Agno's survive every write."""
    keeps_expiry: bool = False
    """`expires_at` of sessions and runs is kept; otherwise what is stored stays."""
    keeps_deleted: tuple[str, ...] = ()
    """Where its engine may keep what was deleted, beyond this program's reach; in words."""
    writes_beside: bool = False
    """Two that write other sessions are faster than one."""
    one_moment: bool = True
    """A scan shows what was there when it began; otherwise each session as it is when it is read."""


class SessionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions, in which order. Times are epoch seconds over the sort field: since <= t < until.

    `text` is found in id, name or title, ignoring case; `name` is a glob over the name. Ties sort by id.
    """

    text: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    team_id: str | None = None
    session_type: str | None = None
    since: int | None = None
    until: int | None = None
    name: str | None = None
    tag: str | None = None
    status: str | None = None
    model: str | None = None
    id_prefix: str | None = None
    sort: Sort = Sort.UPDATED
    reverse: bool = False
    """Newest first, unless reversed."""
    limit: int | None = 20
    skip: int = 0
    after: Cursor | None = None


class Page(msgspec.Struct, frozen=True):
    """`next` is None on the last page; `total` counts all matches, None where that would cost a full read."""

    items: tuple[SessionInfo, ...]
    next: Cursor | None = None
    total: int | None = None


class WriteResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each session of a batch, by id."""

    written: tuple[str, ...] = ()
    identical: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


class BackendReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is found at a backend, for `backends check`. `layout`: v3, v2, mixed or empty."""

    address: str
    layout: str
    sessions: int = 0
    runs: int = 0
    versions: Mapping[str, str] = {}
    tables: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    others: Mapping[str, int] = {}
    """What else is kept there and is no session or run, with its number of records: memories, traces, knowledge …"""


class Traces(msgspec.Struct, frozen=True, kw_only=True):
    """`places` are the files whose bytes were searched; `named` says which records name an id, `raw` which ids stand
    there without that."""

    places: tuple[str, ...] = ()
    named: Mapping[str, tuple[str, ...]] = {}
    raw: tuple[str, ...] = ()


class Source(Protocol):
    @property
    def address(self) -> str:
        """Where it is, as a user would write it, never with a password."""

    def scan(
        self, *, after: Cursor | None = None, wanted: Wanted | None = None
    ) -> Iterator[tuple[Cursor, SessionBundle]]:
        """Every session once, in an order of the source's own; `after` goes on behind that place.

        `wanted` is asked with an id before the session's bodies are read. All are of one moment where the engine has
        one to offer. Runs are a tuple up to HELD_BYTES, else an iterator: read it before drawing the next bundle. An
        undecodable record is carried as it is. Close the iterator when it is not read to its end.
        """

    def close(self) -> None: ...


class Sink(Protocol):
    @property
    def address(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def write(
        self, bundles: Iterable[SessionBundle], policy: ConflictPolicy = ConflictPolicy.ERROR
    ) -> WriteResult:
        """Store sessions with their runs exactly as given, times and indexes included.

        SessionConflictError under `error` when a different session of that id is stored; an error while the
        bundles are being read goes to the caller. Either way the batch leaves no trace.
        """

    def close(self) -> None: ...


@runtime_checkable
class Loader(Protocol):
    """A sink that wants to know when many sessions come, and when that was all."""

    def loading(self) -> AbstractContextManager[None]:
        """Around all writes of a transfer. What was put off (an index, a file's last line and its name) is done at
        the end; after an error what was written stays, and a later `loading` goes on from there."""


@runtime_checkable
class Readable(Protocol):
    """A source whose sessions can be read in any order."""

    def ids(self) -> Iterator[str]:
        """The id of every session, once, in the order of `scan`."""

    def read(self, session_ids: Sequence[str]) -> Iterator[SessionBundle]:
        """Those of these sessions that are there, whole and once each, in an order of the backend's own.

        In few calls to the engine. Runs as in `scan`.
        """


@runtime_checkable
class Searchable(Protocol):
    """A source that can be asked for its sessions by what they are."""

    def find(self, query: SessionQuery) -> Page:
        """One page of a listing, without reading a run's body. A row that cannot be decoded is listed still."""


@runtime_checkable
class Marked(Protocol):
    """A backend that can tell what has changed without handing it over."""

    def marks(self) -> Iterator[tuple[str, str]]:
        """Each session's id, once, with a text that is another one after a change of the session or of its runs.

        A change that leaves times, sizes and numbers of runs as they were may go unnoticed, where the engine keeps
        nothing better.
        """

    def version(self) -> str | None:
        """The same as long as nothing at all was written; None where the engine cannot tell that at once."""


@runtime_checkable
class Noting(Protocol):
    """A backend that keeps notes of a job beside its sessions, for programs on other machines to go on with."""

    def notes(self, job: str) -> Iterator[bytes]:
        """In the order in which they were made; none where nothing was ever noted."""

    def note(self, job: str, text: bytes) -> None:
        """ASCII; durable when this returns."""

    def forget_notes(self, job: str) -> None:
        """Nothing of them stays."""


@runtime_checkable
class Erasing(Protocol):
    """A backend whose deletions can be made to leave nothing behind."""

    def erasing(self) -> AbstractContextManager[None]:
        """Around deletions: at the end what the engine still held of them is gone from its reach.

        BackendUnavailableError at the beginning when another program bars that; nothing is deleted then.
        """


@runtime_checkable
class Searched(Protocol):
    """A backend whose own bytes can be searched for what should not be there."""

    def traces(self, ids: Collection[str]) -> Traces:
        """Where ids of sessions and runs still stand, in records or outside of them: the first few that do."""


@runtime_checkable
class Auditable(Protocol):
    """A backend that can tell which of its runs no session has."""

    def orphans(self) -> Iterator[Run]:
        """Runs whose session is not there, or does not know of them; whole, those of a session together, in order."""

    def adopt(self, session: Session, run_ids: Sequence[str]) -> None:
        """Give orphans of this session's id back to it, behind the runs it has; it is stored where it is not there.

        All of its runs are numbered anew. RunNotFoundError names one that is no orphan of it, and nothing is done.
        """

    def delete_orphans(self, run_ids: Sequence[str]) -> int:
        """Delete those of these runs that are orphans; returns how many. A run that a session has stays."""


@runtime_checkable
class Salvageable(Protocol):
    """A source that hands over what it stores of a session also where nobody can make a session of it."""

    def raw(self, session_id: str) -> Iterator[RawPiece]:
        """All that is stored of it, undecoded: its own record, then run by run. SessionNotFoundError."""


class Backend(Source, Readable, Searchable, Sink, Protocol):
    """A place that holds sessions. Safe to use from several threads and processes."""

    def connect(self) -> None:
        """Reach it now; everything else does so when first needed. BackendUnavailableError."""

    def setup(self) -> None:
        """Create what is missing. The first write does so by itself; a read never does."""

    def get(self, session_id: str) -> Session:
        """SessionNotFoundError when there is none."""

    def runs(self, session_id: str, *, last: int | None = None) -> Iterator[Run]:
        """Runs in order, oldest first; with `last`, only the newest so many, read as so many.

        SessionNotFoundError at the call, not at the first step.
        """

    def append_run(self, run: Run) -> Run:
        """Store a new run behind all others and date the session; its `run_index` is the backend's choice.

        Two writers never get one index. SessionNotFoundError; SessionConflictError when the run id is taken.
        """

    def put_run(self, run: Run) -> None:
        """Replace a stored run, by id. Index and creation time stay. RunNotFoundError when it is gone."""

    def update(
        self,
        session_id: str,
        changes: Mapping[str, Document | str | int | None],
        expected: Mapping[str, Document | str | int | None] | None = None,
    ) -> Session:
        """Set columns of a session, and `updated_at` to now unless given; returns the new row.

        SessionNotFoundError; SessionConflictError when a column is not as `expected` any more.
        """

    def delete(self, session_ids: Sequence[str]) -> int:
        """Delete sessions and all of their runs, all or none; SessionNotFoundError names one that is not there."""

    def delete_runs(self, session_id: str, run_ids: Sequence[str]) -> int:
        """Delete runs, an old layout's copy included, and close the gaps in `run_index`; returns how many.

        RunNotFoundError names one that is not there, and nothing is deleted.
        """

    def inspect(self) -> BackendReport:
        """What is there: layout, counts, version stamps. BackendNotSetUpError when nothing is."""

    def probe(self) -> None:
        """Write and roll back. Raises what a write would."""

    def close(self) -> None:
        """Release connections; using it again opens them anew."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a model: `messages` as Chat Completions takes them (role, content, …)."""

    messages: Sequence[Mapping[str, object]]
    stream: bool = True
    options: Mapping[str, object] = {}
    """Further fields of the request, as temperature or max_tokens."""
    tools: Sequence[Mapping[str, object]] = ()
    """As Chat Completions takes them: type, function {name, description, parameters}."""
    tool_choice: str | None = None
    """`none`: the tools are shown and not to be called. None leaves it to the model."""


class TextDelta(msgspec.Struct, frozen=True):
    text: str


class ReasoningDelta(msgspec.Struct, frozen=True):
    text: str


class ModelFinished(msgspec.Struct, frozen=True, kw_only=True):
    """The answer's end. `reason` is the provider's (`stop`, `length`, …), None when it just stopped talking."""

    reason: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    tool_calls: tuple[Mapping[str, object], ...] = ()
    """Calls as Chat Completions gives them: id, type, function {name, arguments}."""


ModelEvent = TextDelta | ReasoningDelta | ModelFinished


class ChatModel(Protocol):
    """A model that can be talked to. `name`, `id` and `provider` are what Agno stores of it."""

    @property
    def name(self) -> str: ...

    @property
    def id(self) -> str: ...

    @property
    def provider(self) -> str: ...

    def stream(self, request: ChatRequest) -> Iterator[ModelEvent]:
        """Ask; yields what comes, `ModelFinished` last. ModelError for whatever goes wrong, also half-way.

        Closing the iterator ends the request.
        """
