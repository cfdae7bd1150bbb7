"""A file that is not as it was written is refused, with the first bad line, before a session of it is seen."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import Any

import pytest

from agnocli.errors import BackendNotSetUpError, FileFormatError
from agnocli.formats.registry import open_file
from agnocli.records import SESSION_DOCUMENTS
from agnocli.testing.file_base_suite import FileSuite, Opener, exported, ids, read
from agnocli.testing.records import sample_bundle

SEALED = re.compile(rb'\], "sha256": "[0-9a-f]{64}"\}')
BARE: dict[str, Any] = dict.fromkeys(SESSION_DOCUMENTS)
BUNDLES = tuple(sample_bundle(name, runs, **BARE) for name, runs in (("a", 1), ("b", 0), ("c", 2)))


def text_of(data: bytes) -> bytes:
    """What can be read of a file, be it packed or not."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    member = zlib.decompressobj(31)
    return member.decompress(data) + member.flush()


def bad_line(path: Path) -> int:
    with pytest.raises(FileFormatError) as caught:
        next(open_file(str(path)).scan())
    assert str(caught.value).startswith(f"{path}, line {caught.value.line}: ")
    assert "\n" not in str(caught.value)
    return caught.value.line


def first_lines(text: bytes) -> list[int]:
    """The line where each session begins."""
    lines = text.split(b"\n")
    return [number for number, line in enumerate(lines, 1) if line.startswith(b'{"session_id"')]


class FileDamageSuite(FileSuite):
    @pytest.fixture
    def whole(self, path: Path) -> bytes:
        return exported(BUNDLES, path)

    def test_a_file_cut_off_anywhere_is_refused_where_it_ends(
        self, path: Path, whole: bytes
    ) -> None:
        with path.open("r+b") as file:
            for length in range(len(whole) - 1, -1, -1):
                file.truncate(length)
                assert bad_line(path) == text_of(whole[:length]).count(b"\n") + 1, length

    def test_a_file_cut_off_anywhere_gives_what_is_whole_when_that_is_asked_for(
        self, path: Path, whole: bytes
    ) -> None:
        with path.open("r+b") as file:
            for length in range(len(whole) - 1, len(whole) // 3, -37):
                file.truncate(length)
                found = open_file(str(path), partial=True)
                sealed = len(SEALED.findall(text_of(whole[:length])))
                assert found.check().sessions == sealed
                assert read(found) == list(BUNDLES[:sealed])
                assert found.check().error is not None

    def test_a_file_with_one_byte_changed_is_refused_where_that_is(
        self, path: Path, whole: bytes, packed: bool
    ) -> None:
        starts = first_lines(text_of(whole))
        for place in [*range(80), *range(80, len(whole), 3)]:
            changed = bytearray(whole)
            changed[place] ^= 1 << place % 8
            path.write_bytes(changed)
            if packed:
                self.check_refused_or_the_same(path)
                continue
            line = whole.count(b"\n", 0, place) + 1
            session = max((start for start in starts if start <= line), default=1)
            assert session <= bad_line(path) <= line, place

    def check_refused_or_the_same(self, path: Path) -> None:
        """gzip has bytes that mean nothing, as the time it was packed."""
        try:
            assert tuple(read(open_file(str(path)))) == BUNDLES
        except FileFormatError:
            pass

    def test_text_behind_the_end_is_refused(self, path: Path, whole: bytes) -> None:
        for more in (b"\n", b" ", b"{}\n", whole):
            path.write_bytes(whole + more)
            assert bad_line(path) >= text_of(whole).count(b"\n")

    @pytest.mark.parametrize("change", ["mark", "windows", "blank line"])
    def test_what_editors_do_is_refused_unless_it_was_meant(
        self, path: Path, whole: bytes, change: str, packed: bool
    ) -> None:
        text = gzip.decompress(whole) if packed else whole
        changed = {
            "mark": b"\xef\xbb\xbf" + text,
            "windows": text.replace(b"\n", b"\r\n"),
            "blank line": text.replace(b"\n", b"\n\n"),
        }[change]
        path.write_bytes(gzip.compress(changed) if packed else changed)
        assert bad_line(path) <= 2
        assert tuple(read(open_file(str(path), edited=True))) == BUNDLES

    def test_a_changed_value_is_read_when_that_was_meant(
        self, path: Path, whole: bytes, packed: bool
    ) -> None:
        text = gzip.decompress(whole) if packed else whole
        changed = text.replace(b"answer 1", b"another answer")
        path.write_bytes(gzip.compress(changed) if packed else changed)
        bad_line(path)
        _, _, (_, runs) = read(open_file(str(path), edited=True))
        assert b"another answer" in bytes(tuple(runs)[1].run_data)

    def test_a_newer_format_is_refused_as_such(self, path: Path, whole: bytes) -> None:
        text = text_of(whole)
        path.write_bytes(text.replace(b'"version": 1', b'"version": 2'))
        for edited in (False, True):
            with pytest.raises(FileFormatError, match="written by a newer agnocli"):
                open_file(str(path), edited=edited).check()

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\n",
            b"hello\n",
            b"\x00\xff" * 5000,
            b"SQLite format 3\x00" + b"\x00" * 100,
            b"{}",
            b"[]",
            b"null",
            b'{"messages": [{"role": "user", "content": "x"}]}\n' * 3,
            b'[{"title": "Tea", "mapping": {}}]',
            b'{"format": "another", "version": 1}\n',
            gzip.compress(b'{"session_id": "a"}\n', mtime=0),
            gzip.compress(b"", mtime=0),
            b"\x1f\x8b",
            b"\x1f\x8bxxxxxxxxxx",
        ],
    )
    def test_a_file_of_another_kind_is_refused(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        assert bad_line(path) == 1
        for edited in (True, False):
            with pytest.raises(FileFormatError):
                open_file(str(path), edited=edited, partial=True).check()

    def test_a_file_that_is_not_there_is_no_empty_one(self, opened: Opener) -> None:
        with pytest.raises(BackendNotSetUpError, match="no file"):
            ids(opened())

    def test_a_file_that_changes_between_two_readings_is_checked_again(
        self, path: Path, opened: Opener, whole: bytes
    ) -> None:
        file = opened()
        assert file.check() == (3, 3, None)
        path.write_bytes(whole[:-1])
        with pytest.raises(FileFormatError):
            file.check()
