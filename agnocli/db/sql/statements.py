"""The SQL that is read and written: plain text with bound parameters, built for one dialect and the columns found."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

from agnocli.abc import Capabilities, SessionQuery, Sort
from agnocli.db.sql.dialect import Dialect, Insert, Statement
from agnocli.layout.names import LEDGER, Tables
from agnocli.records import RUN_COLUMNS, SESSION_COLUMNS, SESSION_DOCUMENTS

BLOB = "runs"
"""Agno 2's column of all runs in the session row."""

_DOCUMENTS = frozenset({*SESSION_DOCUMENTS, "run_data", BLOB})


class Statements(msgspec.Struct, frozen=True, dict=True):
    """`session_columns` and `run_columns` are those the tables really have."""

    dialect: Dialect
    tables: Tables
    session_columns: tuple[str, ...]
    run_columns: tuple[str, ...]
    can: Capabilities = Capabilities()

    @property
    def has_blob(self) -> bool:
        return BLOB in self.session_columns

    @property
    def has_runs(self) -> bool:
        return bool(self.run_columns)

    @cached_property
    def session_fields(self) -> tuple[str, ...]:
        extra = (one for one in self.session_columns if one not in {*SESSION_COLUMNS, BLOB})
        return (*SESSION_COLUMNS, *extra)

    @cached_property
    def run_fields(self) -> tuple[str, ...]:
        return (*RUN_COLUMNS, *(one for one in self.run_columns if one not in RUN_COLUMNS))

    def _name(self, identifier: str) -> str:
        mark = self.dialect.quote
        return mark + self.dialect.escaped(identifier) + mark

    def _table(self, name: str) -> str:
        schema = self.dialect.schema
        return self._name(name) if schema is None else f"{self._name(schema)}.{self._name(name)}"

    @cached_property
    def sessions(self) -> str:
        return self._table(self.tables.sessions)

    @cached_property
    def runs(self) -> str:
        return self._table(self.tables.runs)

    @property
    def _run_order(self) -> tuple[str, ...]:
        return ("run_index", "created_at", self.dialect.id_order.format("run_id"))

    def _read(self, column: str, table: str = "") -> str:
        name = table + self._name(column)
        return self.dialect.read_document.format(name) if column in _DOCUMENTS else name

    def _bind(self, column: str) -> str:
        mark = self.dialect.placeholder
        return self.dialect.bind_document.format(mark) if column in _DOCUMENTS else mark

    @cached_property
    def _session_list(self) -> str:
        return self._session_fields_of("")

    def _session_fields_of(self, table: str) -> str:
        return ", ".join(self._read(one, table) for one in self.session_fields)

    def session(self, *, lock: bool = False) -> str:
        tail = self.dialect.lock_row if lock else ""
        return f"SELECT {self._session_list} FROM {self.sessions} WHERE session_id = {self.dialect.placeholder}{tail}"

    def blob(self) -> str:
        return f"SELECT {self._read(BLOB)} FROM {self.sessions} WHERE session_id = {self.dialect.placeholder}"

    def stored_ids(self, sessions: int) -> str:
        return (
            f"SELECT session_id FROM {self.sessions} WHERE session_id IN ({self._marks(sessions)})"
        )

    def session_ids(self, first: bool) -> str:
        where = "" if first else f" WHERE session_id > {self.dialect.placeholder}"
        return f"SELECT session_id FROM {self.sessions}{where} ORDER BY session_id LIMIT {self.dialect.placeholder}"

    @cached_property
    def _run_list(self) -> str:
        return ", ".join(self._read(one) for one in self.run_fields)

    def session_sizes(self, sessions: int) -> str:
        """(session_id, bytes of the row's documents, bytes of Agno 2's runs)"""
        own = " + ".join(f"COALESCE({self._size(one)}, 0)" for one in SESSION_DOCUMENTS)
        blob = f"COALESCE({self._size(BLOB)}, 0)" if self.has_blob else "0"
        return f"SELECT session_id, {own}, {blob} FROM {self.sessions} WHERE session_id IN ({self._marks(sessions)})"

    def run_sizes(self, sessions: int) -> str:
        """(session_id, bytes of the documents of its runs)"""
        return (
            f"SELECT session_id, SUM({self._size('run_data')}) FROM {self.runs}"
            f" WHERE session_id IN ({self._marks(sessions)}) GROUP BY session_id"
        )

    def session_marks(self, sessions: int) -> str:
        """(session_id, when it changed, what differs when the row does)"""
        columns = [*SESSION_DOCUMENTS, *([BLOB] if self.has_blob else [])]
        return (
            f"SELECT session_id, {_moment(Sort.UPDATED)}, {self._marks_of(*columns)} FROM {self.sessions}"
            f" WHERE session_id IN ({self._marks(sessions)}) GROUP BY session_id, updated_at, created_at"
        )

    def run_marks(self, sessions: int) -> str:
        """(session_id, what differs when one of its runs does)"""
        return (
            f"SELECT session_id, COUNT(*), MAX(run_index), MAX(updated_at), {self._marks_of('run_id', 'run_data')}"
            f" FROM {self.runs} WHERE session_id IN ({self._marks(sessions)}) GROUP BY session_id"
        )

    def _marks_of(self, *columns: str) -> str:
        return self.dialect.marks([self._name(one) for one in columns])

    def _size(self, column: str) -> str:
        return self.dialect.size.format(self._name(column))

    def runs_of(self, sessions: int) -> str:
        """All runs of sessions, in no order."""
        return f"SELECT {self._run_list} FROM {self.runs} WHERE session_id IN ({self._marks(sessions)})"

    def run_places(self, session_id: str) -> Statement:
        """(run_id, bytes of the document) of a session's runs, oldest first."""
        return (
            f"SELECT run_id, {self._size('run_data')} FROM {self.runs}"
            f" WHERE session_id = {self.dialect.placeholder} ORDER BY {self._oldest_first}",
            [session_id],
        )

    def orphan_places(self) -> Statement:
        """(run_id, bytes of the document) of runs without a session, those of a session together, oldest first."""
        return (
            f"SELECT run_id, {self._size('run_data')} FROM {self.runs} WHERE {self._has_no_session}"
            f" ORDER BY session_id, {self._oldest_first}",
            [],
        )

    @property
    def _has_no_session(self) -> str:
        return (
            f"NOT EXISTS (SELECT 1 FROM {self.sessions} AS owner"
            f" WHERE owner.session_id = {self.runs}.session_id)"
        )

    def orphans_of(self, session_id: str) -> Statement:
        """Their ids."""
        mark = self.dialect.placeholder
        return (
            f"SELECT run_id FROM {self.runs} WHERE session_id = {mark} AND {self._has_no_session}",
            [session_id],
        )

    def delete_orphan(self) -> str:
        mark = self.dialect.placeholder
        return f"DELETE FROM {self.runs} WHERE run_id = {mark} AND {self._has_no_session}"

    def runs_called(self, number: int) -> str:
        """Runs by id, in no order."""
        return f"SELECT {self._run_list} FROM {self.runs} WHERE run_id IN ({self._marks(number)})"

    def stored(self, table: str, key: str, columns: Sequence[str]) -> str:
        """Columns of rows whose key is just that text, which is bound twice: for an index, and for certain."""
        names, mark = ", ".join(self._read(one) for one in columns), self.dialect.placeholder
        exact = self.dialect.exact.format(key, mark)
        return f"SELECT {names} FROM {self._table(table)} WHERE {key} = {mark} AND {exact}"

    def newest_runs(self, session_id: str, number: int) -> Statement:
        """The last so many runs, newest first."""
        order = f" ORDER BY {', '.join(f'{one} DESC' for one in self._run_order)}"
        limit = f" LIMIT {self.dialect.placeholder}"
        parts = [self._runs_where(part) + order + limit for part in reversed(self._parts())]
        if len(parts) == 1:
            return parts[0], [session_id, number]
        both = " UNION ALL ".join(f"({part})" for part in parts)
        last = order.replace("run_index DESC", "run_index DESC NULLS LAST")
        return (
            f"SELECT * FROM ({both}) AS newest{last}{limit}",
            [session_id, number, session_id, number, number],
        )

    def _parts(self) -> tuple[str, ...]:
        """Conditions that part runs such that each part comes out of an index in order."""
        if self.dialect.nulls_first:
            return ("",)
        return (" AND run_index IS NULL", " AND run_index IS NOT NULL")

    def _runs_where(self, more: str) -> str:
        mark = self.dialect.placeholder
        return f"SELECT {self._run_list} FROM {self.runs} WHERE session_id = {mark}{more}"

    def run_order(self) -> str:
        return (
            f"SELECT run_id, run_index, status FROM {self.runs} WHERE session_id = {self.dialect.placeholder}"
            f" ORDER BY {self._oldest_first}"
        )

    @property
    def _oldest_first(self) -> str:
        first = "" if self.dialect.nulls_first else " NULLS FIRST"
        index, *rest = self._run_order
        return ", ".join([index + first, *rest])

    def stored_run(self) -> str:
        return f"SELECT run_id FROM {self.runs} WHERE run_id = {self.dialect.placeholder}"

    def next_index(self) -> str:
        return f"SELECT COALESCE(MAX(run_index) + 1, 0) FROM {self.runs} WHERE session_id = {self.dialect.placeholder}"

    def insert(self, table: str, columns: Sequence[str]) -> str:
        names = ", ".join(self._name(one) for one in columns)
        return f"INSERT INTO {self._table(table)} ({names}) VALUES ({', '.join(self._bind(one) for one in columns)})"

    def bulk(self, table: str, columns: Sequence[str]) -> Insert:
        name, names = self._table(table), ", ".join(self._name(one) for one in columns)
        if self.dialect.doubles_percent:
            name, names = name.replace("%%", "%"), names.replace("%%", "%")
        documents = frozenset(place for place, one in enumerate(columns) if one in _DOCUMENTS)
        return Insert(
            self.insert(table, columns), name, f"{name} ({names})", tuple(columns), documents
        )

    def update(self, table: str, columns: Sequence[str], keys: Sequence[str]) -> str:
        changes = ", ".join(f"{self._name(one)} = {self._bind(one)}" for one in columns)
        where = " AND ".join(f"{one} = {self.dialect.placeholder}" for one in keys)
        return f"UPDATE {self._table(table)} SET {changes} WHERE {where}"

    def delete(self, table: str, key: str) -> str:
        return f"DELETE FROM {self._table(table)} WHERE {key} = {self.dialect.placeholder}"

    def drop_index(self, name: str) -> str:
        return f"DROP INDEX {self._table(name)}"

    def any_row(self, table: str) -> str:
        return f"SELECT 1 FROM {self._table(table)} LIMIT 1"

    def make_notes(self) -> str:
        return (
            f"CREATE TABLE {self._table(LEDGER)} (note_id VARCHAR(32) PRIMARY KEY, job VARCHAR(64) NOT NULL,"
            f" made_at BIGINT NOT NULL, note {self.dialect.long_text} NOT NULL)"
        )

    def note_ids(self) -> str:
        return f"SELECT note_id FROM {self._table(LEDGER)} WHERE job = {self.dialect.placeholder} ORDER BY made_at, note_id"

    def note(self) -> str:
        return f"SELECT note FROM {self._table(LEDGER)} WHERE note_id = {self.dialect.placeholder}"

    def drop_table(self, table: str) -> str:
        return f"DROP TABLE {self._table(table)}"

    def count(self, table: str) -> str:
        return f"SELECT COUNT(*) FROM {self._table(table)}"

    def run_counts(self, sessions: int) -> str:
        return f"SELECT session_id, COUNT(*), MAX(run_index) FROM {self.runs} WHERE session_id IN ({self._marks(sessions)}) GROUP BY session_id"

    def last_statuses(self, highest: Sequence[tuple[str, int | None]]) -> Statement:
        """(session_id, status) of the runs at the highest index; the last row of a session is its last run."""
        mark, where, bound = self.dialect.placeholder, [], list[Any]()
        for session_id, index in highest:
            place = "IS NULL" if index is None else f"= {mark}"
            where.append(f"(session_id = {mark} AND run_index {place})")
            bound += [session_id] if index is None else [session_id, index]
        order = f"session_id, created_at, {self.dialect.id_order.format('run_id')}"
        return (
            f"SELECT session_id, status FROM {self.runs} WHERE {' OR '.join(where)} ORDER BY {order}",
            bound,
        )

    def sessions_of(self, sessions: int, *, with_blob: bool) -> str:
        """Session rows, with Agno 2's runs behind the columns."""
        blob = f", {self._read(BLOB)}" if with_blob else ""
        return f"SELECT {self._session_list}{blob} FROM {self.sessions} WHERE session_id IN ({self._marks(sessions)})"

    def _marks(self, number: int) -> str:
        return ", ".join([self.dialect.placeholder] * number)

    def versions(self) -> str:
        return f"SELECT table_name, version FROM {self._table(self.tables.versions)}"

    def matching(self, query: SessionQuery) -> tuple[str, list[Any]]:
        """A WHERE clause for the column predicates of a query."""
        where, bound = ["1 = 1"], []
        for column in ("user_id", "agent_id", "team_id", "session_type"):
            if (value := getattr(query, column)) is not None:
                where.append(self.dialect.exact.format(column, self.dialect.placeholder))
                bound.append(value)
        for bound_value, sign in ((query.since, ">="), (query.until, "<")):
            if bound_value is not None:
                where.append(f"{_moment(query.sort)} {sign} {self.dialect.placeholder}")
                bound.append(bound_value)
        if query.id_prefix is not None:
            mark = self.dialect.placeholder
            where.append(self.dialect.exact.format(f"SUBSTR(session_id, 1, {mark})", mark))
            bound += [len(query.id_prefix), query.id_prefix]
        return " AND ".join(where), bound

    def listing(
        self, query: SessionQuery, after: tuple[int, str] | None, limit: int | None
    ) -> Statement:
        """Session rows in listing order; ids are chosen first, so that documents are read only for those."""
        where, bound = self.matching(query)
        mark, moment = self.dialect.placeholder, _moment(query.sort)
        place = self.dialect.id_order.format("session_id")
        time_down, id_down = ("", " DESC") if query.reverse else (" DESC", "")
        if after is not None:
            time_sign, id_sign = (">", "<") if query.reverse else ("<", ">")
            where += f" AND ({moment} {time_sign} {mark} OR ({moment} = {mark} AND {place} {id_sign} {mark}))"
            bound += [after[0], after[0], after[1]]
        chosen = (
            f"SELECT session_id AS id, {place} AS place, {moment} AS moment"
            f" FROM {self.sessions} WHERE {where}"
        )
        if limit is not None:
            chosen += self._bound_by_newest(query, where)
            chosen += f" ORDER BY moment{time_down}, place{id_down} LIMIT {mark}"
            bound += [*bound, limit, limit]
        return (
            f"SELECT {self._session_fields_of('s.')} FROM ({chosen}) AS page"
            f" JOIN {self.sessions} AS s ON s.session_id = page.id"
            f" ORDER BY page.moment{time_down}, page.place{id_down}",
            bound,
        )

    def _bound_by_newest(self, query: SessionQuery, where: str) -> str:
        """Whatever is on the page lies at or above the lowest of any so many matching rows.

        Those made last are at hand in an index and mostly are the page: so nearly nothing is left to sort.
        """
        best, down, sign = ("MAX", "", "<=") if query.reverse else ("MIN", " DESC", ">=")
        moment = _moment(query.sort)
        return (
            f" AND {moment} {sign} (SELECT {best}(moment) FROM (SELECT {moment} AS moment FROM {self.sessions}"
            f" WHERE {where} ORDER BY created_at{down} LIMIT {self.dialect.placeholder}) AS newest)"
        )

    def total(self, query: SessionQuery) -> Statement:
        where, bound = self.matching(query)
        return f"SELECT COUNT(*) FROM {self.sessions} WHERE {where}", bound


def _moment(sort: Sort) -> str:
    return "created_at" if sort is Sort.CREATED else "COALESCE(updated_at, created_at)"
