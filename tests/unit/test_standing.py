"""Ids in raw bytes."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from agnocli.layout.standing import standing


def test_ids_are_found_wherever_they_stand(tmp_path: Path) -> None:
    path, ids = tmp_path / "file", [str(uuid4()) for _ in range(200)]
    others = ["no uuid", "日本", "abc", "x" * 36]
    overlapping = ids[0][:8] + "-" + ids[0]
    path.write_bytes(b"\0".join(one.encode() for one in [overlapping, *ids[1:100], *others]))
    assert standing(path, [*ids, *others]) == {*ids[:100], "no uuid", "日本", "x" * 36}
    assert standing(path, []) == set()
    path.write_bytes(b"a" + ids[0].encode() + b"f")
    assert standing(path, ids) == {ids[0]}
    path.write_bytes(b"")
    assert standing(path, ids) == set()


def test_of_many_ids_that_are_no_uuids_some_are_looked_for(tmp_path: Path) -> None:
    path, ids = tmp_path / "file", [f"id-{number:05}" for number in range(5000)]
    path.write_text(" ".join(ids))
    found = standing(path, ids)
    assert len(found) == 100
    assert {"id-00000", "id-04950"} <= found
