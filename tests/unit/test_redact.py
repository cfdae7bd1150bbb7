"""Secrets that are taken out of what is shared: which are found, what is left alone, and what is told of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.db.memory import MemoryDb
from agnocli.errors import DriverMissingError
from agnocli.records import NULL, Document, Run, SessionBundle
from agnocli.secrets import Detector
from agnocli.sessions.redact import Redacted
from agnocli.testing.records import document, sample_bundle, sample_run, sample_session

# put together here, so that nobody's scanner takes them for leaks
TOKENS = {
    "AWS Access Key": "AKIA" + "2E0A8F3B244C9986",
    "Anthropic API Key": "sk-ant-" + "api03-" + "aB3" * 20,
    "OpenAI Token": "sk-proj-" + "aB3_" * 12,
    "GitHub Token": "ghp_" + "aB3d" * 9,
    "Google API Key": "AIza" + "SyA12" * 7,
    "Slack Token": "xoxb-" + "123456789012-1234567890123-" + "abcdef" * 4,
    "Stripe Access Key": "sk_live_" + "abcd" * 6,
    "JSON Web Token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    + "eyJzdWIiOiIxMjM0NTY3ODkwIn0."
    + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "Private Key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----",
}
HUNTER = "Tr0ub4dor&3"


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


def found(detector: Detector, text: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.end]) for one in detector.find(text)]


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("around", ["{}", "it is {}.", '{{"k": "{}"}}', "a\n{}\nb", "`{}`"])
def test_a_token_is_found_whole(detector: Detector, kind: str, around: str) -> None:
    assert found(detector, around.format(TOKENS[kind])) == [(kind, TOKENS[kind])]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"password = '{HUNTER}'", HUNTER),
        (f'"api_key": "{HUNTER}",', HUNTER),
        (f"export DB_PASSWORD={HUNTER}\n", HUNTER),
        (f"MY_SECRET_TOKEN = {HUNTER}", HUNTER),
        (f"postgresql://alice:{HUNTER.replace('&', '-')}@host/db", HUNTER.replace("&", "-")),
    ],
)
def test_a_password_is_found_where_it_is_set(detector: Detector, text: str, secret: str) -> None:
    assert [value for _, value in found(detector, text)] == [secret]


@pytest.mark.parametrize(
    "text",
    [
        "my password is a secret",
        '"password": "the password of the user"',
        'api_key = os.environ["OPENAI_API_KEY"]',
        "secret = '${SECRET}'",
        "password = '<your password>'",
        "password: '********'",
        "550e8400-e29b-41d4-a716-446655440000",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "8.8.8.8 and alice@example.org",
        "xAKIA2E0A8F3B244C9986x" * 3,
        "max_tokens = 'many'",
    ],
)
def test_what_only_looks_like_one_is_left_alone(detector: Detector, text: str) -> None:
    assert found(detector, text) == []


def redacted(*bundles: SessionBundle) -> tuple[list[SessionBundle], dict[str, int]]:
    backend = MemoryDb()
    backend.write(bundles)
    source = Redacted(backend)
    return [bundle for _, bundle in source.scan()], source.kinds


def with_secrets() -> SessionBundle:
    aws, slack = TOKENS["AWS Access Key"], TOKENS["Slack Token"]
    session = sample_session(
        session_data=document(
            {"session_name": aws, "session_state": {"api_key": HUNTER, "n": 1.0}}
        ),
        metadata=document({"tags": ["home"], "agnocli": {"imported": {"from": "llm"}}}),
        summary=document({"summary": f"They use {slack}"}),
    )
    picture = {"id": aws, "content": ("AKIA" * 8) + "A" * 400, "mime_type": "image/png"}
    message = {
        "id": f"m-{aws}",
        "role": "user",
        "content": f"key {aws} and {slack}",
        "images": [picture],
        "tool_calls": [{"id": aws, "function": {"name": "f", "arguments": f'{{"k": "{aws}"}}'}}],
        "provider_data": {"signature": aws, "encrypted_content": aws},
    }
    data = document({"run_id": "session-1.run-0", "agent_id": "a", "messages": [message], aws: 1})
    return SessionBundle(session, (sample_run(run_data=data), sample_run(number=1)))


def test_documents_are_changed_as_values_and_counted() -> None:
    (bundle,), kinds = redacted(with_secrets())
    assert kinds == {"AWS Access Key": 4, "Secret Keyword": 1, "Slack Token": 2}
    metadata = codec.members(bundle.session.metadata)
    assert metadata["agnocli"] == {"imported": {"from": "llm"}, "redacted": kinds}
    assert metadata["tags"] == ["home"]
    state = codec.members(bundle.session.session_data)["session_state"]
    assert state == {"api_key": "[redacted: Secret Keyword]", "n": 1.0}
    data = codec.decode(next(iter(bundle.runs)).run_data)
    (message,) = data["messages"]
    assert message["content"] == "key [redacted: AWS Access Key] and [redacted: Slack Token]"
    call = codec.decode(message["tool_calls"][0]["function"]["arguments"])
    assert call == {"k": "[redacted: AWS Access Key]"}
    assert data["[redacted: AWS Access Key]"] == 1


def test_ids_signatures_and_pictures_are_untouched() -> None:
    aws, (bundle,) = TOKENS["AWS Access Key"], redacted(with_secrets())[0]
    before = with_secrets()
    runs = tuple(bundle.runs)
    assert [run.run_id for run in runs] == [run.run_id for run in before.runs]
    (message,) = codec.decode(runs[0].run_data)["messages"]
    (was,) = codec.decode(next(iter(before.runs)).run_data)["messages"]
    assert message["id"] == f"m-{aws}"
    assert message["images"] == was["images"]
    assert message["tool_calls"][0]["id"] == aws
    assert message["provider_data"] == was["provider_data"]


def test_a_session_without_secrets_is_the_same_to_the_byte() -> None:
    plain = sample_bundle("plain")
    spelled = Document(b'{"session_name":"T" ,  "n": 1.00, "big": 123456789012345678901234567890}')
    plain = SessionBundle(replace(plain.session, session_data=spelled, metadata=NULL), plain.runs)
    found_bundles, kinds = redacted(plain)
    assert (found_bundles, kinds) == ([plain], {})


def test_what_cannot_be_read_is_redacted_as_text() -> None:
    aws = TOKENS["AWS Access Key"].encode()
    run = sample_run(run_data=Document(b'{"broken": "' + aws + b'" \xff'))
    session = sample_session(metadata=Document(b"[" + aws))
    (bundle,), kinds = redacted(SessionBundle(session, (run,)))
    (run,) = bundle.runs
    assert run.run_data == b'{"broken": "[redacted: AWS Access Key]" \xff'
    assert bundle.session.metadata == b"[[redacted: AWS Access Key]"
    assert kinds == {"AWS Access Key": 2}


def test_runs_that_come_as_a_stream_are_counted_in_the_session_before() -> None:
    class Lazy(MemoryDb):
        def scan(self, **options: Any) -> Iterator[Any]:
            for cursor, bundle in super().scan(**options):
                yield cursor, SessionBundle(bundle.session, iter(tuple(bundle.runs)))

    backend = Lazy()
    backend.write([with_secrets()])
    source = Redacted(backend)
    for _ in range(2):
        ((_, bundle),) = source.scan()
        runs: list[Run] = list(bundle.runs)
        counted = codec.members(bundle.session.metadata)["agnocli"]["redacted"]
        assert (
            counted == source.kinds == {"AWS Access Key": 4, "Secret Keyword": 1, "Slack Token": 2}
        )
        assert TOKENS["Slack Token"] not in runs[0].run_data.decode()


def test_without_detect_secrets_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == "detect_secrets"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "detect_secrets", None)
    with pytest.raises(DriverMissingError, match="not installed") as caught:
        Detector()
    assert caught.value.hint == "pip install 'agnocli[secrets]'"
