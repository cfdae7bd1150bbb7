"""What is promised of every format of session files, as tests.

class TestMyFormat(FormatSuite):
    @pytest.fixture
    def suffix(self): return "jsonl.gz"
"""

from __future__ import annotations

from collections.abc import Iterator

from agnocli.abc import HELD_BYTES
from agnocli.records import Run, SessionBundle
from agnocli.testing.file_base_suite import Opener
from agnocli.testing.file_damage_suite import FileDamageSuite
from agnocli.testing.file_values_suite import FileValuesSuite
from agnocli.testing.file_writing_suite import FileWritingSuite
from agnocli.testing.records import document, sample_run, sample_session
from agnocli.testing.scale_suite import peak

BODY = document({"messages": [{"role": "user", "content": "all work and no play " * 2000}]})
RUNS = 4 * HELD_BYTES // len(BODY)


class FormatSuite(FileValuesSuite, FileDamageSuite, FileWritingSuite):
    def test_a_session_of_any_size_takes_little_memory(self, opened: Opener) -> None:
        def runs() -> Iterator[Run]:
            return (sample_run("long", number, run_data=BODY) for number in range(RUNS))

        file = opened()
        assert (
            peak(lambda: file.write([SessionBundle(sample_session("long"), runs())])) < HELD_BYTES
        )
        assert peak(file.check) < HELD_BYTES
        found: list[int] = []
        taken = peak(lambda: found.extend(sum(1 for _ in b.runs) for _, b in file.scan()))
        assert found == [RUNS]
        assert taken < 2 * HELD_BYTES
        assert peak(lambda: [cursor for cursor, _ in file.scan()]) < 2 * HELD_BYTES
        edited = opened(edited=True)
        assert peak(lambda: [sum(1 for _ in b.runs) for _, b in edited.scan()]) < 2 * HELD_BYTES


__all__ = ["FormatSuite"]
