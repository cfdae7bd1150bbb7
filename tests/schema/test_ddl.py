from __future__ import annotations

import pytest

from agnocli.db.mysql import dialect as mysql
from agnocli.db.postgres import dialect as postgresql
from agnocli.db.sql import schema
from agnocli.db.sql.dialect import Dialect
from agnocli.db.sqlite import DIALECT as SQLITE
from agnocli.layout.names import Tables
from tests.schema.tables import DIALECTS, compiled

ODD = Tables('a "table`', "50 % {runs}", "versions")
KNOWN = {"sqlite": SQLITE, "postgresql": postgresql("{odd}"), "mysql": mysql("{odd}")}


@pytest.mark.parametrize("name", DIALECTS)
def test_the_statements_in_the_package_are_what_sqlalchemy_compiles(name: str) -> None:
    for path, text in compiled(name):
        assert path.read_text() == text, "run: python -m tests.schema.tables"


@pytest.mark.parametrize("dialect", KNOWN.values(), ids=KNOWN)
def test_only_what_is_missing_is_made(dialect: Dialect) -> None:
    tables = Tables("My_sessions", "My_runs", "My_versions")
    for missing in (tables.sessions, tables.runs, tables.versions):
        first, *rest = schema.creation(dialect, tables, {missing}, "c", "r")
        mark = dialect.quote
        assert first.startswith("CREATE TABLE")
        assert f"{mark}{missing}{mark} (\n" in first
        assert all(one.startswith(f"CREATE INDEX {mark}") and missing in one for one in rest)


@pytest.mark.parametrize("dialect", KNOWN.values(), ids=KNOWN)
def test_names_are_filled_in_as_they_are_quoted(dialect: Dialect) -> None:
    made = list(schema.creation(dialect, ODD, {ODD.runs}, "c", "r"))
    mark = dialect.quote
    percent = "%%" if "%" in dialect.placeholder else "%"
    assert f"{mark}50 {percent} {{runs}}{mark} (" in made[0]
    assert f"{mark}{ODD.sessions.replace(mark, mark * 2)}{mark} (session_id)" in made[0]
    assert dialect.schema is None or f"{mark}{{odd}}{mark}." in made[0]


def test_names_of_agnos_own_stand_without_quotes_as_it_writes_them() -> None:
    made = list(schema.creation(SQLITE, Tables(), {Tables().runs}, None, None))
    assert made[0].startswith("CREATE TABLE agno_runs (\n")
    assert made[-1] == "CREATE INDEX idx_agno_runs_workflow_id ON agno_runs (workflow_id)"


@pytest.mark.parametrize("dialect", KNOWN.values(), ids=KNOWN)
def test_indexes_are_told_by_their_names_in_the_database(dialect: Dialect) -> None:
    found = dict(schema.indexes(dialect, ODD))
    assert "idx_50 % {runs}_status" in found
    assert f"idx_{ODD.sessions}_created_at" in found
    made = schema.creation(dialect, ODD, {ODD.sessions, ODD.runs}, "c", "r")
    assert set(found.values()) == {one for one in made if one.startswith("CREATE INDEX")}
