"""A file appears whole or not at all, and what was written of it is gone on with."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from agnocli.abc import ConflictPolicy, Cursor, Loader
from agnocli.errors import (
    BackendError,
    BackendUnavailableError,
    ExistsError,
    FileFormatError,
    SessionConflictError,
    UsageError,
)
from agnocli.formats.registry import SessionFile, open_file
from agnocli.records import Run, SessionBundle
from agnocli.testing.file_base_suite import FileSuite, Opener, exported, ids, read
from agnocli.testing.records import sample_bundle, sample_run, sample_session

ALL = tuple(sample_bundle(f"s{number}", number % 3) for number in range(6))
OTHER = sample_bundle("s0", 0, name="another")


def interrupted(file: SessionFile, *batches: list[SessionBundle]) -> None:
    """A loading that ends by Ctrl-C behind these."""
    with pytest.raises(KeyboardInterrupt), file.loading():
        for batch in batches:
            file.write(batch)
        raise KeyboardInterrupt


def left(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir())


def failing_runs() -> Iterator[Run]:
    yield sample_run("broken", 0)
    raise ConnectionError("the source is gone")


class FileWritingSuite(FileSuite):
    def test_a_write_alone_is_a_whole_file(self, path: Path, opened: Opener) -> None:
        assert opened().write(ALL).written == tuple(one.session.session_id for one in ALL)
        assert read(opened()) == list(ALL)
        assert left(path) == [path.name]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_all_writes_of_a_loading_are_one_file(self, path: Path, opened: Opener) -> None:
        file = opened()
        assert isinstance(file, Loader)
        with file.loading():
            for bundle in ALL:
                file.write([bundle])
                assert not path.exists()
        assert read(file) == list(ALL)
        assert left(path) == [path.name]
        assert path.read_bytes() == exported(ALL, path.with_name(f"other-{path.name}"))

    def test_a_loading_without_a_write_is_an_empty_file(self, opened: Opener) -> None:
        file = opened()
        with file.loading():
            pass
        assert read(file) == []

    def test_a_file_is_overwritten_only_by_force(self, path: Path, opened: Opener) -> None:
        opened().write([OTHER])
        before = path.read_bytes()
        for attempt in (lambda: opened().write(ALL), lambda: opened().loading().__enter__()):
            with pytest.raises(ExistsError, match="is a file") as caught:
                attempt()
            assert "--force" in (caught.value.hint or "")
        assert path.read_bytes() == before
        assert left(path) == [path.name]
        opened(force=True).write(ALL)
        assert read(opened()) == list(ALL)

    def test_a_file_that_came_in_between_is_not_overwritten(
        self, path: Path, opened: Opener
    ) -> None:
        file = opened()
        with pytest.raises(ExistsError), file.loading():
            file.write(ALL)
            path.write_bytes(b"mine")
        assert path.read_bytes() == b"mine"

    def test_a_write_that_fails_leaves_nothing(self, path: Path, opened: Opener) -> None:
        broken = SessionBundle(sample_session("broken"), failing_runs())
        with pytest.raises(ConnectionError):
            opened().write([*ALL, broken])
        assert left(path) == []

    def test_an_interrupted_loading_is_gone_on_with(self, path: Path, opened: Opener) -> None:
        interrupted(opened(), list(ALL[:2]), [ALL[2]])
        assert not path.exists()
        with pytest.raises(BackendError):
            ids(opened())
        file = opened()
        with file.loading():
            result = file.write(ALL[1:])
        assert result.identical == ("s1", "s2")
        assert result.written == ("s3", "s4", "s5")
        assert path.read_bytes() == exported(ALL, path.with_name(f"other-{path.name}"))

    def test_a_loading_that_wrote_nothing_leaves_nothing(self, path: Path, opened: Opener) -> None:
        interrupted(opened())
        assert left(path) == []

    def test_what_was_left_is_thrown_away_when_that_is_asked_for(
        self, path: Path, opened: Opener
    ) -> None:
        interrupted(opened(), [OTHER])
        with (file := opened(restart=True)).loading():
            assert file.write([ALL[0]]).written == ("s0",)
        assert read(file) == [ALL[0]]

    def test_a_loading_survives_a_cut_of_what_was_left_anywhere(
        self, path: Path, opened: Opener
    ) -> None:
        whole = exported(ALL, path)
        path.unlink()
        interrupted(opened(), list(ALL))
        parts = {one: one.read_bytes() for one in path.parent.iterdir()}
        length = max(len(data) for data in parts.values())
        for cut in range(0, length + 1, 61):
            for part, data in parts.items():
                part.write_bytes(data[:cut])
            with (file := opened()).loading():
                result = file.write(ALL)
            assert sorted(result.identical + result.written) == [f"s{n}" for n in range(6)]
            assert path.read_bytes() == whole
            path.unlink()

    def test_a_damaged_rest_is_not_gone_on_with(
        self, path: Path, opened: Opener, packed: bool
    ) -> None:
        interrupted(opened(), list(ALL))
        rest = path.with_name(f"{path.name}.part{'.rest' if packed else ''}")
        rest.write_bytes(rest.read_bytes().replace(b"answer 0", b"answer x"))
        with pytest.raises(FileFormatError, match="altered") as caught, opened().loading():
            raise AssertionError
        assert "--restart" in (caught.value.hint or "")

    def test_a_batch_that_fails_leaves_no_trace(self, path: Path, opened: Opener) -> None:
        file = opened()
        with file.loading():
            file.write(ALL[:2])
            broken = SessionBundle(sample_session("broken"), failing_runs())
            with pytest.raises(ConnectionError):
                file.write([ALL[2], broken])
            assert file.write(ALL[2:]).written == ("s2", "s3", "s4", "s5")
        assert path.read_bytes() == exported(ALL, path.with_name(f"other-{path.name}"))

    @pytest.mark.parametrize("policy", ConflictPolicy)
    def test_an_identical_session_is_no_conflict(
        self, opened: Opener, policy: ConflictPolicy
    ) -> None:
        file = opened()
        with file.loading():
            file.write(ALL[:2])
            result = file.write([ALL[2], ALL[0], ALL[2]], policy)
        assert (result.written, result.identical) == (("s2",), ("s0", "s2"))
        assert read(file) == list(ALL[:3])

    @pytest.mark.parametrize(
        "policy", [one for one in ConflictPolicy if one is not ConflictPolicy.SKIP]
    )
    def test_another_session_of_the_same_id_is_a_conflict(
        self, opened: Opener, policy: ConflictPolicy
    ) -> None:
        file = opened()
        with file.loading():
            file.write(ALL[:2])
            with pytest.raises(SessionConflictError, match=r"'s0' is in .* already, and differs"):
                file.write([ALL[2], OTHER], policy)
        assert read(file) == list(ALL[:2])

    def test_another_session_of_the_same_id_is_skipped_when_that_is_asked_for(
        self, opened: Opener
    ) -> None:
        file = opened()
        with file.loading():
            result = file.write([*ALL[:2], OTHER, ALL[2]], ConflictPolicy.SKIP)
        assert (result.written, result.skipped) == (("s0", "s1", "s2"), ("s0",))
        assert read(file) == list(ALL[:3])

    def test_two_cannot_write_one_file_at_once(self, opened: Opener) -> None:
        file = opened()
        with file.loading():
            file.write(ALL[:1])
            with pytest.raises(BackendUnavailableError, match="another process"):
                opened(force=True).write([OTHER])
            file.write(ALL[1:])
        assert read(file) == list(ALL)

    @pytest.mark.parametrize("verb", ["write", "read"])
    def test_a_place_that_is_none_is_an_error_of_ours(
        self, tmp_path: Path, suffix: str, verb: str
    ) -> None:
        (tmp_path / "file").touch()
        (tmp_path / f"folder.{suffix}").mkdir()
        for place in (f"none/x.{suffix}", f"file/x.{suffix}", f"folder.{suffix}"):
            file = open_file(str(tmp_path / place), force=True)
            with pytest.raises(BackendError) as caught:
                file.write(ALL) if verb == "write" else ids(file)
            assert str(tmp_path / place) in str(caught.value)

    def test_a_scan_goes_on_behind_a_cursor(self, opened: Opener) -> None:
        opened().write(ALL)
        cursors = [cursor for cursor, _ in opened().scan()]
        for number, cursor in enumerate(cursors, 1):
            found = [bundle.session.session_id for _, bundle in opened().scan(after=cursor)]
            assert found == [f"s{later}" for later in range(number, 6)]
        with pytest.raises(UsageError):
            next(opened().scan(after=Cursor("nowhere")))

    def test_only_wanted_sessions_are_read(self, opened: Opener) -> None:
        opened().write(ALL)
        asked: list[str] = []

        def wanted(session_id: str) -> bool:
            asked.append(session_id)
            return session_id in ("s1", "s4")

        found = [bundle for _, bundle in opened().scan(wanted=wanted)]
        assert [one.session.session_id for one in found] == ["s1", "s4"]
        assert asked == [f"s{number}" for number in range(6)]
        assert [cursor for cursor, _ in opened().scan(wanted=wanted)] == ["2", "5"]
