"""Which sessions a file has already, by id: fingerprints in a private database, so that a million take little memory."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b


class Seen:
    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = MEMORY")
        self._db.execute("PRAGMA cache_size = -16000")
        self._db.execute("CREATE TABLE seen (id BLOB PRIMARY KEY, print BLOB) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def get(self, session_id: str) -> bytes | None:
        found = self._db.execute("SELECT print FROM seen WHERE id = ?", (_key(session_id),))
        row = found.fetchone()
        return row[0] if row else None

    def add(self, session_id: str, fingerprint: bytes) -> None:
        self._db.execute("INSERT INTO seen VALUES (?, ?)", (_key(session_id), fingerprint))

    def commit(self) -> None:
        self._db.execute("COMMIT")
        self._db.execute("BEGIN")

    def roll_back(self) -> None:
        self._db.execute("ROLLBACK")
        self._db.execute("BEGIN")

    def close(self) -> None:
        self._db.close()


def _key(session_id: str) -> bytes:
    return blake2b(session_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
