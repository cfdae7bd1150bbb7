from __future__ import annotations

from agnocli.agent.models.providers import PROVIDERS
from tests.cli.conftest import Agno, fingerprint


def rows(agno: Agno) -> dict[str, dict[str, object]]:
    return {row["key"]: row for row in agno("models", "list", "-o", "json").json}


def test_every_provider_that_can_be_used_is_listed(agno: Agno) -> None:
    assert list(rows(agno)) == [one.key for one in PROVIDERS if not one.unservable]
    assert fingerprint(agno.home) == {}


def test_a_row_says_what_the_provider_needs(agno: Agno) -> None:
    groq = rows(agno)["groq"]
    assert groq["base_url"] == "https://api.groq.com/openai/v1"
    assert groq["key_env"] == ["GROQ_API_KEY"]
    assert (groq["key_required"], groq["key_set"]) == (True, False)
    assert rows(agno)["ollama"]["key_required"] is False


def test_a_key_is_told_to_be_set_and_not_shown(agno: Agno) -> None:
    agno.variables |= {"GROQ_API_KEY": "sk-hunter2", "OPENAI_BASE_URL": "http://me:hunter2@x/v1"}
    found = rows(agno)
    assert found["groq"]["key_set"] is True
    assert found["openai"]["base_url"] == "http://x/v1"
    for output in ("table", "tsv", "csv", "json", "jsonl", "ids"):
        assert "hunter2" not in agno("models", "list", "-o", output).out


def test_ids_are_what_a_model_begins_with(agno: Agno) -> None:
    assert agno("models", "list", "-o", "ids").lines[:2] == ["echo", "openai"]
    assert agno("models", "list", "--fields", "key,key_env", "-o", "tsv").lines[2] == (
        "openai\tOPENAI_API_KEY"
    )
