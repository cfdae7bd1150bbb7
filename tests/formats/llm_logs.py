"""Logs as `llm` writes them: the tables that hold conversations, in the two layouts there are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

DAY = "2025-11-27T00:00"

_SHARED = """
CREATE TABLE IF NOT EXISTS attachments (id TEXT PRIMARY KEY, type TEXT, path TEXT, url TEXT, content BLOB);
CREATE TABLE IF NOT EXISTS fragments (id INTEGER PRIMARY KEY, hash TEXT, content TEXT, datetime_utc TEXT, source TEXT);
INSERT OR IGNORE INTO attachments VALUES
 ('p', 'image/png', NULL, NULL, x'000102'), ('f', 'application/pdf', '/home/a.pdf', NULL, NULL);
INSERT OR IGNORE INTO fragments VALUES (1, 'h', 'a long text', NULL, NULL);
"""
_OLDER = f"""
CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);
CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT, prompt_json TEXT,
 options_json TEXT, response TEXT, response_json TEXT, conversation_id TEXT, duration_ms INTEGER, datetime_utc TEXT,
 input_tokens INTEGER, output_tokens INTEGER, token_details TEXT, schema_id TEXT, reasoning TEXT);
CREATE TABLE prompt_attachments (response_id TEXT, attachment_id TEXT, "order" INTEGER);
CREATE TABLE prompt_fragments (response_id TEXT, fragment_id INTEGER, "order" INTEGER);
CREATE TABLE tool_calls (id INTEGER PRIMARY KEY, response_id TEXT, tool_id INTEGER, name TEXT, arguments TEXT, tool_call_id TEXT);
CREATE TABLE tool_results (id INTEGER PRIMARY KEY, response_id TEXT, tool_id INTEGER, name TEXT, output TEXT, tool_call_id TEXT);
INSERT INTO conversations VALUES ('01a', 'Hello', 'demo'), ('01b', 'Long', 'demo');
INSERT INTO responses (id, model, prompt, system, response, conversation_id, datetime_utc, input_tokens, output_tokens, reasoning)
VALUES ('1', 'demo', 'hello', 'Be brief', 'hi', '01a', '{DAY}:00.5+00:00', 5, 3, NULL),
 ('2', 'demo', 'use it', NULL, '', '01a', '{DAY}:10+00:00', 5, 3, NULL),
 ('3', 'demo', '', NULL, 'done', '01a', '{DAY}:11+00:00', 5, 3, 'think'),
 ('4', 'demo', 'and a question', NULL, 'ok', '01b', '{DAY}:20+00:00', NULL, NULL, NULL);
INSERT INTO prompt_attachments VALUES ('1', 'p', 0), ('1', 'f', 1);
INSERT INTO prompt_fragments VALUES ('4', 1, 0);
INSERT INTO tool_calls VALUES (1, '2', 1, 'upper', '{{"text": "abc"}}', 'tc1');
INSERT INTO tool_results VALUES (1, '3', 1, 'upper', 'ABC', 'tc1');
"""
_NEWER = f"""
CREATE TABLE messages (hash TEXT PRIMARY KEY, parent_hash TEXT, role TEXT, provider_metadata TEXT);
CREATE TABLE parts (id INTEGER PRIMARY KEY, message_hash TEXT, position INTEGER, type TEXT, tool_name TEXT, text TEXT, payload TEXT);
CREATE TABLE part_attachments (part_id INTEGER, attachment_id TEXT, "order" INTEGER);
CREATE TABLE threads (id TEXT PRIMARY KEY, name TEXT, tip_message_hash TEXT, forked_from TEXT, datetime_utc TEXT);
CREATE TABLE turns (id TEXT PRIMARY KEY, thread_id TEXT, parent_message_hash TEXT, tip_message_hash TEXT, model TEXT,
 datetime_utc TEXT, input_tokens INTEGER, output_tokens INTEGER);
INSERT INTO messages VALUES ('m1', NULL, 'system', NULL), ('m2', 'm1', 'user', NULL), ('m3', 'm2', 'assistant', NULL),
 ('m4', 'm3', 'user', NULL), ('m5', 'm4', 'assistant', NULL), ('m6', 'm5', 'tool', NULL), ('m7', 'm6', 'assistant', NULL),
 ('n1', NULL, 'user', NULL), ('n2', 'n1', 'assistant', NULL);
INSERT INTO parts VALUES (1, 'm1', 0, 'text', NULL, 'Be brief', NULL), (2, 'm2', 0, 'text', NULL, 'hello', NULL),
 (3, 'm2', 1, 'attachment', NULL, NULL, '{{"attachment": {{"id": "p"}}}}'),
 (4, 'm2', 2, 'attachment', NULL, NULL, '{{"attachment": {{"id": "f"}}}}'), (5, 'm3', 0, 'text', NULL, 'hi', NULL),
 (6, 'm4', 0, 'text', NULL, 'use it', NULL),
 (7, 'm5', 0, 'tool_call', 'upper', NULL, '{{"name": "upper", "arguments": {{"text": "abc"}}, "tool_call_id": "tc1"}}'),
 (8, 'm6', 0, 'tool_result', 'upper', NULL, '{{"name": "upper", "output": "ABC", "tool_call_id": "tc1"}}'),
 (9, 'm7', 0, 'reasoning', NULL, 'think', NULL), (10, 'm7', 1, 'text', NULL, 'done', NULL),
 (11, 'n1', 0, 'text', NULL, NULL, '{{"text_ref": [{{"fragment": 1}}, {{"literal": "\\nand a question"}}]}}'),
 (12, 'n2', 0, 'text', NULL, 'ok', NULL);
INSERT INTO part_attachments VALUES (3, 'p', 0), (4, 'f', 0);
INSERT INTO threads VALUES ('01a', 'Hello', 'm7', NULL, '{DAY}:00'), ('01b', 'Long', 'n2', NULL, '{DAY}:20');
INSERT INTO turns VALUES ('1', '01a', 'm2', 'm3', 'demo', '{DAY}:00.5+00:00', 5, 3),
 ('2', '01a', 'm4', 'm5', 'demo', '{DAY}:10+00:00', 5, 3), ('3', '01a', 'm6', 'm7', 'demo', '{DAY}:11+00:00', 5, 3),
 ('4', '01b', 'n1', 'n2', 'demo', '{DAY}:20+00:00', NULL, NULL);
"""


def older(path: Path) -> None:
    """Responses of conversations."""
    _run(path, _SHARED + _OLDER)


def newer(path: Path) -> None:
    """Turns of threads that point into a tree of messages."""
    _run(path, _SHARED + _NEWER)


def _run(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)
