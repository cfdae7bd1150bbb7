"""What every part of the format suite starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from agnocli.formats.registry import SessionFile, open_file
from agnocli.records import SessionBundle

Opener = Callable[..., SessionFile]


class FileSuite:
    """Base of the parts. Inherit from `FormatSuite` and give it a fixture `suffix`, as `jsonl.gz`."""

    @pytest.fixture
    def path(self, tmp_path: Path, suffix: str) -> Path:
        """Of a file that is not there."""
        return tmp_path / f"sessions.{suffix}"

    @pytest.fixture
    def opened(self, path: Path) -> Opener:
        """`open_file` on that path."""
        return lambda **options: open_file(str(path), **options)

    @pytest.fixture
    def packed(self, suffix: str) -> bool:
        return suffix.endswith(".gz")


def read(file: SessionFile) -> list[SessionBundle]:
    return [SessionBundle(session, tuple(runs)) for _, (session, runs) in file.scan()]


def ids(file: SessionFile) -> list[str]:
    return [bundle.session.session_id for _, bundle in file.scan()]


def exported(bundles: Iterable[SessionBundle], path: Path) -> bytes:
    """The bytes of a file of just these."""
    open_file(str(path), force=True).write(bundles)
    return path.read_bytes()
