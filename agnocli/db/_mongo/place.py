"""A database of a MongoDB deployment: its client, collections and indexes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from threading import Lock
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ASCENDING, IndexModel, MongoClient, ReadPreference
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, OperationFailure
from pymongo.write_concern import WriteConcern

from agnocli.db._mongo.failures import DUPLICATE, translated
from agnocli.errors import ConfigError, LayoutError
from agnocli.layout.names import Tables

Fields = dict[str, Any]

LOCKS = "agnocli_locks"
"""The one collection that is not Agno's: which sessions are being written, empty at rest."""
RUN_ORDER = "session_id_1_run_index_1"
PATIENCE = 5000
"""Milliseconds until a server that does not answer is given up."""

_SESSION_INDEXES = (
    "user_id", "session_type", "agent_id", "team_id", "workflow_id", "created_at", "updated_at",
)  # fmt: skip
_RUN_INDEXES = (
    "session_id", "run_type", "agent_id", "team_id", "workflow_id", "user_id", "parent_run_id",
    "status", "created_at", "updated_at",
)  # fmt: skip
_OTHER_OPTIONS = (85, 86)
"""An index of that key or name is there, but made in another way."""

_CODEC: CodecOptions[Fields] = CodecOptions(
    # what is damaged or out of Python's range is read all the same
    unicode_decode_error_handler="surrogateescape",
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)


class Place:
    """Connects when first needed. A client that was given is never closed."""

    def __init__(
        self,
        url: str | None,
        client: MongoClient[Any] | None,
        db_name: str,
        tables: Tables,
        address: str,
    ) -> None:
        self.tables, self.address, self.db_name = tables, address, db_name
        self._url, self._given = url, client
        self._lock = Lock()
        self._client: MongoClient[Any] | None = None
        self._prepared = False
        self._transactions: bool | None = None
        self._sharded = False

    @property
    def client(self) -> MongoClient[Any]:
        if self._given is not None:
            return self._given
        with self._lock:
            if self._client is None:
                self._client = self._made()
            return self._client

    def _made(self) -> MongoClient[Any]:
        defaults = _defaults(self._url or "")  # what the URL says wins over these
        try:
            with translated(self.address), warnings.catch_warnings():
                # a misspelt option is an error, not a line on somebody's terminal
                warnings.filterwarnings("error", "Unknown option")
                return MongoClient(self._url, appname="agnocli", connect=False, **defaults)
        except (UserWarning, ValueError, TypeError) as error:
            reason = str(error).partition(". ")[0]
            raise ConfigError(
                f"{self.address} cannot be used: {reason}",
                hint="options of PyMongo stand behind a question mark, as tls=true&authSource=admin",
            ) from error

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            self._prepared, self._transactions = False, None
        if client is not None:
            client.close()

    @property
    def database(self) -> Database[Fields]:
        return self.client.get_database(
            self.db_name,
            codec_options=_CODEC,
            read_preference=ReadPreference.PRIMARY,
            write_concern=_durable(self.client.write_concern.document),
        )

    @property
    def sessions(self) -> Collection[Fields]:
        return self.database[self.tables.sessions]

    @property
    def runs(self) -> Collection[Fields]:
        return self.database[self.tables.runs]

    @property
    def early_runs(self) -> Collection[Fields]:
        """For runs whose session is stored behind them: when that is durable on the same server, so are they."""
        return (
            self.runs if self._sharded else self.runs.with_options(write_concern=WriteConcern(w=1))
        )

    @property
    def locks(self) -> Collection[Fields]:
        return self.database.get_collection(LOCKS, write_concern=WriteConcern(w=1))

    @property
    def has_transactions(self) -> bool:
        """Replica sets and sharded clusters have them, a standalone server has not."""
        if self._transactions is None:
            with translated(self.address):
                hello = self.client.admin.command("hello")
            self._sharded = hello.get("msg") == "isdbgrid"
            self._transactions = "setName" in hello or self._sharded
        return self._transactions

    @property
    def is_prepared(self) -> bool:
        return self._prepared

    def prepare(self) -> None:
        """Make collections and indexes as Agno does, unless they are there; once per connection."""
        if self._prepared:
            return
        with translated(self.address, writing=True):
            self._index(self.sessions, "session_id", _SESSION_INDEXES)
            self._index(self.runs, "run_id", _RUN_INDEXES, ("session_id", "run_index"))
            self.locks.create_index("keys", unique=True)
        self._prepared = True

    def _index(
        self,
        collection: Collection[Fields],
        key: str,
        others: tuple[str, ...],
        *compound: tuple[str, ...],
    ) -> None:
        indexes = [IndexModel([(key, ASCENDING)], unique=True)]
        indexes += [IndexModel([(name, ASCENDING)]) for name in others]
        indexes += [IndexModel([(name, ASCENDING) for name in names]) for names in compound]
        try:
            collection.create_indexes(indexes)
        except OperationFailure as error:
            if isinstance(error, DuplicateKeyError) or error.code == DUPLICATE:
                raise self._not_unique(collection, key) from error
            if error.code not in _OTHER_OPTIONS:
                raise
            self._index_each(collection, indexes)

    def _index_each(self, collection: Collection[Fields], indexes: list[IndexModel]) -> None:
        """An index that somebody made in another way is left as it is, if it is unique where it must be."""
        for index in indexes:
            try:
                collection.create_indexes([index])
            except OperationFailure as error:
                if error.code not in _OTHER_OPTIONS:
                    raise
                if index.document.get("unique"):
                    key = next(iter(index.document["key"]))
                    if not _is_unique(collection, key):
                        raise self._not_unique(collection, key) from error

    def _not_unique(self, collection: Collection[Fields], key: str) -> LayoutError:
        return LayoutError(
            f"{self.address}: {key} is not unique in {collection.name!r}",
            hint=f"remove what is there twice and make a unique index on {key}",
        )


def _is_unique(collection: Collection[Fields], key: str) -> bool:
    found = collection.index_information().values()
    return any(one["key"] == [(key, 1)] and one.get("unique") for one in found)


def _durable(asked: Mapping[str, Any]) -> WriteConcern:
    """A write is said to be done when a crash cannot undo it, unless the URL asks for less, or for more."""
    wanted = {"w": "majority", "j": True, **asked}
    if wanted["w"] == 0:  # errors would go unseen
        wanted["w"] = 1
    return WriteConcern(w=wanted["w"], j=wanted["j"], wtimeout=wanted.get("wtimeout"))


def _defaults(url: str) -> dict[str, Any]:
    given = url.partition("?")[2].lower()
    names = ("serverSelectionTimeoutMS", "connectTimeoutMS")
    return {name: PATIENCE for name in names if f"{name.lower()}=" not in given}
