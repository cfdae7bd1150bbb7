"""What was imported from other tools is a session of the real agno's own, media and tools included."""

from __future__ import annotations

from pathlib import Path

from agnocli.db.sqlite import SqliteDb
from agnocli.formats.foreign import open_foreign
from agnocli.formats.foreign.turns import Owner
from tests.formats import llm_logs
from tests.formats.test_foreign import CHAT, CONVERSATION, log, read, said, turns, write
from tests.interop.sides import RealAgno

MEDIA = {
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"file_data": "data:x/odd;base64,AAAA", "filename": "a"}},
                {"type": "file", "file": {"file_data": "data:text/plain;base64,aGk="}},
            ],
        },
        {"role": "assistant", "content": "ok"},
    ]
}


def test_agno_loads_what_was_imported(agno_3: RealAgno, file: Path, tmp_path: Path) -> None:
    llm_logs.older(tmp_path / "old.db")
    given = {
        "openai": write(tmp_path / "x.jsonl", CHAT, log("q", "a"), MEDIA),
        "chatgpt": write(tmp_path / "c.json", [CONVERSATION]),
        "llm": tmp_path / "old.db",
    }
    with SqliteDb(file) as backend:
        for tool, path in given.items():
            source = open_foreign(str(path), tool, Owner())
            backend.write(bundle for _, bundle in source.scan())
            source.close()
    for tool, path in given.items():
        for bundle in read(path, tool):
            session_id = bundle.session.session_id
            loaded = agno_3("stored.session", str(file), session_id)
            assert len(loaded["runs"]) == len(tuple(bundle.runs))
            spoken = [one for turn in turns(bundle) for one in said(turn)]
            assert agno_3("stored.history", str(file), session_id) == [
                [role, text] for role, text in spoken if role != "system"
            ]
