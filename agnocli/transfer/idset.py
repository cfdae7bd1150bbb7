"""A set of session ids of any size, on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from types import TracebackType

CHUNK = 1000


class IdSet(AbstractContextManager["IdSet"]):
    """Gone when closed."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute("CREATE TABLE ids (id BLOB PRIMARY KEY) WITHOUT ROWID")
        self.update(ids)

    def update(self, ids: Iterable[str]) -> None:
        rows = ((_raw(one),) for one in ids)
        while chunk := list(islice(rows, CHUNK)):
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR IGNORE INTO ids VALUES (?)", chunk)
            self._db.execute("COMMIT")

    def __contains__(self, session_id: str) -> bool:
        found = self._db.execute("SELECT 1 FROM ids WHERE id = ?", [_raw(session_id)])
        return found.fetchone() is not None

    def __len__(self) -> int:
        return int(self._db.execute("SELECT COUNT(*) FROM ids").fetchone()[0])

    def __iter__(self) -> Iterator[str]:
        for (raw,) in self._db.execute("SELECT id FROM ids"):
            yield raw.decode("utf-8", "surrogatepass")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
