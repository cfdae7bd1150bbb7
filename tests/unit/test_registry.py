from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agnocli import db
from agnocli.config import BackendConfig, backend_config
from agnocli.config.model import Config
from agnocli.db.registry import EXTRAS, backend_types, open_backend
from agnocli.errors import ConfigError, DriverMissingError

OPENER = """
def open_backend(options, *, name, read_only):
    return ("{who}", dict(options), name, read_only)
"""
Module = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def modules_are_forgotten() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if not name.startswith(("psycopg", "pymysql")):  # compiled parts load once
            del sys.modules[name]


@pytest.fixture
def built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Puts a module among the built-in backends."""
    folder = tmp_path / "db"
    folder.mkdir()
    monkeypatch.setattr(db, "__path__", [*db.__path__, str(folder)])

    def write(name: str, text: str) -> None:
        (folder / f"{name}.py").write_text(text)

    return write


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Installs a package whose entry point `name` is `target`."""
    site = tmp_path / "site"
    (site / "plugin-1.0.dist-info").mkdir(parents=True)
    (site / "plugin-1.0.dist-info" / "METADATA").write_text("Name: plugin\nVersion: 1.0\n")
    (site / "agnocli_plugin.py").write_text(OPENER.format(who="plugin") + "\nnumber = 5\n")
    monkeypatch.syspath_prepend(str(site))

    def install(name: str, target: str) -> None:
        entry_points = site / "plugin-1.0.dist-info" / "entry_points.txt"
        entry_points.write_text(f"[agnocli.backends]\n{name} = {target}\n")

    return install


def config(kind: str, **more: Any) -> BackendConfig:
    return BackendConfig(name="mine", type=kind, **more)


def opened(kind: str, *, read_only: bool = False, **more: Any) -> Any:
    return open_backend(config(kind, **more), read_only=read_only)


def refused(kind: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        opened(kind)
    return caught.value


def test_a_built_in_type_is_the_module_of_its_name(built_in: Module) -> None:
    built_in("shelf", OPENER.format(who="shelf"))
    assert opened("shelf", options={"a": 1}) == ("shelf", {"a": 1}, "mine", False)


@pytest.mark.parametrize(
    ("asked", "configured", "expected"),
    [(False, False, False), (True, False, True), (False, True, True), (True, True, True)],
)
def test_it_is_read_only_when_either_side_says_so(
    built_in: Module, asked: bool, configured: bool, expected: bool
) -> None:
    built_in("shelf", OPENER.format(who="shelf"))
    assert opened("shelf", read_only=asked, options={})[3] is asked
    assert open_backend(config("shelf", read_only=configured), read_only=asked)[3] is expected  # type: ignore[index]


def test_an_installed_type_is_found_by_its_entry_point(installed: Module) -> None:
    installed("elsewhere", "agnocli_plugin:open_backend")
    assert opened("elsewhere")[0] == "plugin"
    assert "elsewhere" in backend_types()


def test_a_url_of_an_installed_type_opens_it(installed: Module) -> None:
    installed("elsewhere", "agnocli_plugin:open_backend")
    found: Any = open_backend(backend_config(Config(), "elsewhere://h", {}))
    assert found[1] == {"db_url": "elsewhere://h"}


def test_a_built_in_type_wins_over_an_installed_one_and_needs_no_metadata(
    built_in: Module, installed: Module
) -> None:
    built_in("shelf", OPENER.format(who="shelf"))
    installed("shelf", "agnocli_plugin:open_backend")
    assert opened("shelf")[0] == "shelf"
    assert "agnocli_plugin" not in sys.modules


@pytest.mark.parametrize(
    "target", ["agnocli_plugin:nothing", "agnocli_plugin:number", "agnocli_plugin"]
)
def test_an_entry_point_that_is_no_function_is_refused(installed: Module, target: str) -> None:
    installed("elsewhere", target)
    error = refused("elsewhere")
    assert "'elsewhere'" in error.message
    assert target in error.message
    assert "agnocli.backends" in str(error.hint)


@pytest.mark.parametrize("kind", EXTRAS)
def test_a_type_of_a_later_version_is_said_to_be_missing(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "__path__", [])
    monkeypatch.delitem(sys.modules, f"{db.__name__}.{kind}", raising=False)
    error = refused(kind)
    assert error.message == f"this version of agnocli has no {kind} backend yet"
    assert not isinstance(error, DriverMissingError)


def test_an_unknown_type_is_refused_with_the_nearest_and_all(built_in: Module) -> None:
    built_in("shelf", OPENER.format(who="shelf"))
    error = refused("shelve")
    assert "'shelve'" in error.message
    assert "'mine'" in error.message
    assert "'shelf'" in str(error.hint)
    assert all(kind in str(error.hint) for kind in backend_types())


def test_a_misspelt_scheme_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        open_backend(backend_config(Config(), "postgresq://u:geheim@h/db", {}))
    assert "'postgresql'" in str(caught.value.hint)
    assert "geheim" not in caught.value.message + str(caught.value.hint)


@pytest.mark.parametrize(
    "kind",
    ["registry", "sql", "__init__", "_hidden", "", "a.b", "../x", "sql.store", "no-name", "os"],
)
def test_what_is_no_backend_is_never_opened(built_in: Module, kind: str) -> None:
    built_in("_hidden", OPENER.format(who="hidden"))
    assert "no backend type" in refused(kind).message


@pytest.mark.parametrize("driver", ["nodriver_x", "nodriver_x.sub"])
def test_a_missing_driver_is_named_with_the_extra_that_brings_it(
    built_in: Module, monkeypatch: pytest.MonkeyPatch, driver: str
) -> None:
    built_in("redis", f"raise ModuleNotFoundError('No module named', name='{driver}')")
    monkeypatch.setattr(db, "__path__", db.__path__[-1:])
    monkeypatch.delitem(sys.modules, f"{db.__name__}.redis", raising=False)
    with pytest.raises(DriverMissingError) as caught:
        opened("redis")
    assert "nodriver_x is not installed" in caught.value.message
    assert caught.value.hint == "pip install 'agnocli[redis]'"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("import nodriver_x", "nodriver_x is not installed", "pip install nodriver_x"),
        ("import _nodriver_x", "_nodriver_x is not installed", "another Python"),
        ("raise ImportError('no libpq\\nat all')", "no libpq", None),
        ("def open_backend(o, *, name, read_only):\n    import nodriver_x", "nodriver_x", "pip"),
    ],
)
def test_a_driver_that_cannot_be_loaded_is_told(
    built_in: Module, text: str, message: str, hint: str | None
) -> None:
    built_in("shelf", text)
    with pytest.raises(DriverMissingError) as caught:
        opened("shelf")
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert (hint in (caught.value.hint or "")) if hint else caught.value.hint is None


def test_a_missing_driver_of_an_installed_type_is_told(installed: Module) -> None:
    installed("elsewhere", "nodriver_x.backend:open_backend")
    with pytest.raises(DriverMissingError) as caught:
        opened("elsewhere")
    assert caught.value.hint == "pip install nodriver_x"


def test_a_mistake_of_our_own_is_not_taken_for_a_missing_driver(built_in: Module) -> None:
    built_in("shelf", "import agnocli.nothing_there")
    with pytest.raises(ModuleNotFoundError):
        opened("shelf")


def test_the_types_are_the_modules_and_the_entry_points(
    built_in: Module, installed: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in("shelf", OPENER.format(who="shelf"))
    built_in("_hidden", "")
    built_in("registry", "")
    installed("elsewhere", "agnocli_plugin:open_backend")
    monkeypatch.setattr(db, "__path__", db.__path__[-1:])
    types = backend_types()
    assert types == ("elsewhere", "shelf")


def test_these_are_the_types() -> None:
    assert backend_types() == ("memory", "mongo", "mysql", "postgres", "redis", "sqlite")


@pytest.mark.parametrize("kind", backend_types())
def test_an_option_that_a_backend_does_not_know_is_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match=r"backend 'mine': unknown option 'nonsense'"):
        opened(kind, options={"nonsense": 1})


@pytest.mark.parametrize(
    ("kind", "option", "value", "wanted"),
    [
        ("sqlite", "db_file", 1, "text"),
        ("postgres", "db_url", True, "text"),
        ("postgres", "create_schema", "yes", "true or false"),
        ("mysql", "create_schema", 1, "true or false"),
        ("redis", "port", "6379", "a whole number"),
        ("redis", "db", True, "a whole number"),
        ("redis", "ssl", 1, "true or false"),
        ("mongo", "host", None, "text"),
        ("mongo", "port", False, "a whole number"),
    ],
)
def test_an_option_that_is_not_of_its_kind_is_refused(
    kind: str, option: str, value: object, wanted: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(kind, options={option: value})
    assert caught.value.message == f"backend 'mine': {option} must be {wanted}"


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mysql", "mongo"])
def test_a_backend_that_is_not_told_where_it_is_says_how(kind: str) -> None:
    with pytest.raises(ConfigError, match="is missing") as caught:
        opened(kind)
    assert (caught.value.hint or "").startswith("add: db_")


def test_opening_a_built_in_type_leaves_package_metadata_alone(
    built_in: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwanted(**_: object) -> None:
        pytest.fail("entry points were read")

    monkeypatch.setattr("importlib.metadata.entry_points", unwanted)
    built_in("shelf", OPENER.format(who="shelf"))
    opened("shelf")


def test_the_default_backend_opens_without_touching_the_disk(tmp_path: Path) -> None:
    chosen = backend_config(Config(), None, {"HOME": str(tmp_path)})
    with open_backend(chosen) as backend:
        assert str(tmp_path) in backend.address
    assert not list(tmp_path.iterdir())
