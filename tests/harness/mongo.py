from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

from agnocli.db._mongo.place import LOCKS
from agnocli.db.mongo import MongoDb
from agnocli.layout.names import RUNS, SESSIONS
from tests.harness import CUT_OFF, mongo_server


class Harness:
    """A database of the test's own on a server that all tests of the process share."""

    replica_set = False

    def __init__(self, folder: Path) -> None:
        self.url = mongo_server.url(replica_set=self.replica_set)
        self.database = f"agnocli_test_{uuid4().hex[:16]}"

    def open(self) -> MongoDb:
        return MongoDb(db_url=self.url, db_name=self.database)

    def reopen(self) -> MongoDb:
        return self.open()

    def read_only(self) -> MongoDb:
        return MongoDb(db_url=self.url, db_name=self.database, read_only=True)

    def opener(self) -> Callable[[], MongoDb]:
        return partial(MongoDb, db_url=self.url, db_name=self.database)

    def add_column(self, table: str, name: str) -> None:
        """Any field can be held."""

    def lose_session(self, session_id: str) -> bool:
        with self.client() as client:
            client[self.database][SESSIONS].delete_one({"session_id": session_id})
        return True

    def damage(self, session_id: str, part: str) -> bytes | None:
        changes: dict[str, Any] = {"$set": {"runs": CUT_OFF.decode()}}
        if part == "session":  # what is left of Agno 1
            changes = {"$set": {"memory": CUT_OFF.decode()}, "$unset": {"session_type": ""}}
        with self.client() as client:
            if part != "run":
                client[self.database][SESSIONS].update_one({"session_id": session_id}, changes)
        return None if part == "run" else CUT_OFF

    def fingerprint(self) -> Mapping[str, str]:
        with self.client() as client:
            raw = client.get_database(self.database, codec_options=CodecOptions(RawBSONDocument))
            found = {}
            for name in raw.list_collection_names():
                if name != LOCKS or raw[name].count_documents({}):
                    documents = b"".join(one.raw for one in raw[name].find().sort("_id"))
                    indexes = bson.encode({"all": raw[name].index_information()})
                    found[name] = sha256(documents + indexes).hexdigest()
            return found

    def client(self) -> MongoClient[Any]:
        return MongoClient(self.url)

    def left_connected(self) -> bool:
        """A client that is left open is a warning, and so an error, of its own."""
        return False

    def shape(self) -> object:
        """Its collections, their options and indexes."""
        with self.client() as client:
            database = client[self.database]
            found = {one["name"]: one["options"] for one in database.list_collections()}
            indexes = {name: database[name].index_information() for name in found if name != LOCKS}
            return {name: options for name, options in found.items() if name != LOCKS}, indexes

    def empty(self) -> int:
        with self.client() as client:
            database = client[self.database]
            return sum(
                database[one].delete_many({}).deleted_count for one in (RUNS, SESSIONS, LOCKS)
            )

    def close(self) -> None:
        with self.client() as client:
            client.drop_database(self.database)
