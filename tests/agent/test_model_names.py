from __future__ import annotations

import subprocess
import sys

import pytest

from agnocli.agent.models import list_providers, open_model
from agnocli.agent.models.providers import PROVIDERS

from .conftest import (
    AZURE,
    KEYS,
    parse,
    refusal,
)


@pytest.mark.parametrize(
    ("text", "key", "model_id", "base_url"),
    [
        ("openai:gpt-4o", "openai", "gpt-4o", "https://api.openai.com/v1"),
        (" OpenAI-Chat : gpt-4o ", "openai", "gpt-4o", "https://api.openai.com/v1"),
        ("ollama:qwen2.5:0.5b", "ollama", "qwen2.5:0.5b", "https://ollama.com/v1"),
        ("openrouter:a/b:free", "openrouter", "a/b:free", "https://openrouter.ai/api/v1"),
        ("llama_cpp:x", "llama-cpp", "x", "http://127.0.0.1:8080/v1"),
        ("cloudflare:@cf/meta/llama", "cloudflare", "@cf/meta/llama", None),
        ("openai-like:m@http://h:1/v1", "openai-like", "m", "http://h:1/v1"),
        ("openai-like:a@b@https://u:p@h/v1/", "openai-like", "a@b", "https://u:p@h/v1"),
        ("custom:m@http://h/v1/chat/completions", "openai-like", "m", "http://h/v1"),
        ("azure:dep", "azure", "dep", "https://me.openai.azure.com/openai/v1"),
    ],
)
def test_a_model_is_named_by_provider_and_id_and_maybe_address(
    text: str, key: str, model_id: str, base_url: str | None
) -> None:
    spec = parse(text, **KEYS, **AZURE)
    assert (spec.provider.key, spec.id) == (key, model_id)
    assert base_url is None or spec.base_url == base_url


def test_a_placeholder_of_an_address_has_a_default_or_is_asked_for() -> None:
    spec = parse("cloudflare:m", **KEYS, **AZURE)
    assert spec.base_url == "https://gateway.ai.cloudflare.com/v1/acc/default/compat"
    assert "CLOUDFLARE_ACCOUNT_ID" in refusal("cloudflare:m", **KEYS)[0]


def test_the_base_url_option_wins_over_the_text_and_the_environment() -> None:
    environ = {"OPENAI_BASE_URL": "http://env/v1", "OPENAI_API_KEY": "k"}
    assert parse("openai:m", **environ).base_url == "http://env/v1"
    assert parse("openai:m@http://text/v1", **environ).base_url == "http://text/v1"
    assert (
        parse("openai:m@http://text/v1", "http://flag/v1", **environ).base_url == "http://flag/v1"
    )


@pytest.mark.parametrize("text", ["qwen", "llama3:8b", "ollama", "a/b:free"])
def test_a_bare_id_is_enough_where_a_base_url_is_known(text: str) -> None:
    for spec in (
        parse(text, "http://localhost:1/v1"),
        parse(text, OPENAI_BASE_URL="http://localhost:1/v1"),
        parse(f"{text}@http://localhost:1/v1"),
    ):
        assert (spec.provider.key, spec.id) == ("openai", text)
        assert spec.base_url == "http://localhost:1/v1"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "no model is named", "PROVIDER:MODEL"),
        ("gpt-4o", "names no provider", "openai:gpt-4o"),
        ("opanai:gpt-4o", "unknown model provider 'opanai'", "did you mean openai?"),
        ("zzz:gpt-4o", "unknown model provider 'zzz'", "agno models list"),
        ("ollama", "the model is missing", "ollama:MODEL"),
        ("ollama: ", "the model is missing", "ollama:MODEL"),
        ("openai-like:m", "needs the address", "openai-like:MODEL@http"),
        ("openai:gpt-4o", "OPENAI_API_KEY is not set", "export OPENAI_API_KEY"),
        ("gemini:x", "GOOGLE_API_KEY or GEMINI_API_KEY is not set", "export GOOGLE_API_KEY"),
        ("openai:m@http://h.example/v1", "OPENAI_API_KEY", "openai-like:m@http://h.example/v1"),
        ("aws-bedrock:x", "AWS's own SDK", "litellm:MODEL"),
        ("openai-like:m@http://", "is not an http(s) address", "http://HOST:PORT/v1"),
        ("openai-like:m@http://h:99999/v1", "is not an http(s) address", "http://HOST:PORT/v1"),
        ("echo@http://h/v1", "echo answers by itself", "leave the base URL out"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_next_step(
    text: str, message: str, hint: str
) -> None:
    said = refusal(text)
    assert message in said[0]
    assert hint in said[1]


def test_a_wrong_address_in_the_environment_is_named_by_its_variable() -> None:
    assert "OPENAI_BASE_URL" in refusal("openai:m", OPENAI_BASE_URL="ftp://x")[0]
    assert "base URL" in refusal("openai:m", "localhost:8000", OPENAI_API_KEY="k")[0]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "me.localhost"])
def test_a_server_on_this_machine_needs_no_key(host: str) -> None:
    assert parse("openai:m", OPENAI_BASE_URL=f"http://{host}:9/v1").key is None


def test_any_of_the_key_variables_will_do_and_blanks_are_no_key() -> None:
    spec = parse("google:m", GOOGLE_API_KEY=" ", GEMINI_API_KEY=" abc\n")
    assert spec.key is not None
    assert spec.key.reveal() == "abc"


def test_a_key_with_impossible_characters_is_refused_without_being_shown() -> None:
    said = refusal("openai:m", OPENAI_API_KEY="sk-ключ")
    assert "OPENAI_API_KEY holds characters" in said[0]
    assert "ключ" not in "".join(said)


def test_neither_key_nor_password_shows_in_a_spec() -> None:
    spec = parse("openai:m@https://user:pa55@h/v1?token=t0k", OPENAI_API_KEY="sk-s3cret")
    shown = f"{spec} {spec.key!r}"
    assert shown.startswith("openai:m@https://h/v1 ")
    for secret in ("pa55", "t0k", "sk-s3cret"):
        assert secret not in shown
        assert secret not in repr(list_providers({"OPENAI_API_KEY": secret}))
    assert "sk-s3cret" not in repr(spec)
    assert "pa55" not in refusal("openai-like:m@https://user:pa55@h:99999/v1")[0]


@pytest.mark.parametrize(
    "text", ["openai:gpt-4o", "ollama:a:b", "openai-like:m@http://h/v1", "echo:slow=2"]
)
def test_the_text_of_a_spec_names_the_same_model(text: str) -> None:
    assert str(parse(text, **KEYS)) == text


@pytest.mark.parametrize(
    ("value", "base_url"),
    [
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("box:8000", "http://box:8000/v1"),
        (":8000", "http://localhost:8000/v1"),
        ("https://box", "https://box/v1"),
        ("http://box:1/v1/", "http://box:1/v1"),
    ],
)
def test_ollama_is_found_by_its_own_variable(value: str, base_url: str) -> None:
    assert parse("ollama:m", OLLAMA_HOST=value, OLLAMA_API_KEY="k").base_url == base_url


def test_ollama_is_local_without_a_key_and_in_the_cloud_with_one() -> None:
    assert parse("ollama:m").base_url == "http://localhost:11434/v1"
    assert parse("ollama:m", OLLAMA_API_KEY="k").base_url == "https://ollama.com/v1"


def test_every_provider_of_the_table_parses_or_says_why_not() -> None:
    for provider in PROVIDERS:
        address = "http://h/v1" if provider.key == "openai-like" else None
        for name in (provider.key, *provider.aliases):
            if provider.unservable:
                assert "own SDK" in refusal(f"{name}:m", address, **KEYS)[0]
            else:
                assert parse(f"{name}:m", address, **KEYS, **AZURE).provider is provider


def test_no_name_means_two_providers() -> None:
    names = [name for one in PROVIDERS for name in (one.key, *one.aliases)]
    assert len(names) == len(set(names)) >= 60


def test_providers_are_listed_with_whether_their_key_is_set() -> None:
    rows = {
        one.key: one
        for one in list_providers({"GEMINI_API_KEY": "k", "OLLAMA_HOST": "http://box:1"})
    }
    assert rows["google"].key_set
    assert not rows["openai"].key_set
    assert rows["openai"].base_url == "https://api.openai.com/v1"
    assert rows["ollama"].base_url == "http://box:1"
    assert (rows["echo"].key_required, rows["echo"].key_env) == (False, ())
    assert "aws-bedrock" not in rows


@pytest.mark.parametrize(
    ("text", "name", "provider"),
    [
        ("openai:m", "OpenAIChat", "OpenAI"),
        ("openai-like:m@http://h/v1", "OpenAILike", "OpenAI"),
        ("ollama:m", "Ollama", "Ollama"),
        ("cohere:m", "cohere", "Cohere"),
        ("echo", "Echo", "agnocli"),
    ],
)
def test_a_model_bears_the_names_that_agno_stores(text: str, name: str, provider: str) -> None:
    model = open_model(parse(text, **KEYS))
    assert (model.name, model.provider) == (name, provider)


def test_nothing_heavy_is_imported_before_a_real_model_is_opened() -> None:
    code = """
import sys
from agnocli.agent.models import open_model, parse_model, preload
assert not {"openai", "httpx", "httpx2", "asyncio"} & set(sys.modules), "import"
list(open_model(parse_model("echo", environ={})).stream(__import__("agnocli.abc").abc.ChatRequest(messages=[])))
assert "openai" not in sys.modules, "echo"
preload()
assert "openai" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
