"""Which model providers there are, as data, and how a model is named: `PROVIDER:ID[@BASE_URL]`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

import msgspec

from agnocli.agent.models.urls import checked, is_local, ollama_host, shown_url
from agnocli.errors import ConfigError


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider's Chat Completions differ from the common ground."""

    system_role: str = "system"
    stream_usage: bool = True
    """It takes `stream_options`."""
    message_names: bool = True
    """It takes `name` in a message."""
    tool_id_rule: str | None = None
    """`alnum9`: ids of tool calls are nine letters or digits; `call40`: `call_…`, at most forty characters."""
    supports_tools: bool = True
    max_tokens: str = "max_tokens"


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """`label` and `model_class` are what Agno stores as a model's provider and name.

    `base_url` may hold `{ENV}` and `{ENV=default}`; `keyed_url` takes its place when a key is set.
    """

    key: str
    label: str
    model_class: str
    base_url: str = ""
    key_env: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    key_required: bool = True
    base_url_env: str | None = None
    keyed_url: str = ""
    quirks: Quirks = Quirks()
    quirks_at_home: bool = False
    """The quirks hold at `base_url` only: elsewhere it is the plain protocol."""
    notes: str = ""
    unservable: str = ""
    """Why it cannot be spoken to."""


def _row(key: str, label: str, base_url: str, *key_env: str, **more: object) -> Provider:
    fields = {"key": key, "label": label, "base_url": base_url, "key_env": key_env}
    return Provider(**{"model_class": label, **fields, **more})  # type: ignore[arg-type]


def _local(key: str, label: str, base_url: str, *key_env: str, **more: object) -> Provider:
    return _row(key, label, base_url, *key_env, key_required=False, **more)


def _sdk(key: str, label: str, vendor: str, *aliases: str) -> Provider:
    reason = f"needs {vendor}'s own SDK; agnocli speaks OpenAI's protocol only"
    return _row(key, label, "", aliases=aliases, unservable=reason)


ECHO = _local("echo", "agnocli", "", model_class="Echo", notes="offline; for trying agnocli")
OPENAI = _row(
    "openai",
    "OpenAI",
    "https://api.openai.com/v1",
    "OPENAI_API_KEY",
    model_class="OpenAIChat",
    aliases=("openai-chat", "openai-responses"),
    base_url_env="OPENAI_BASE_URL",
    quirks=Quirks(
        system_role="developer", max_tokens="max_completion_tokens", tool_id_rule="call40"
    ),
    quirks_at_home=True,
)
_GOOGLE = "https://generativelanguage.googleapis.com/v1beta/openai"
_CLOUDFLARE = (
    "https://gateway.ai.cloudflare.com/v1/{CLOUDFLARE_ACCOUNT_ID}"
    "/{CLOUDFLARE_AI_GATEWAY_ID=default}/compat"
)

# fmt: off
PROVIDERS: tuple[Provider, ...] = (
    ECHO,
    OPENAI,
    _local("openai-like", "OpenAI", "", "OPENAI_LIKE_API_KEY", model_class="OpenAILike",
           aliases=("custom", "openailike", "open-responses"),
           notes="any other server: openai-like:MODEL@http://HOST:PORT/v1"),
    _local("ollama", "Ollama", "http://localhost:11434/v1", "OLLAMA_API_KEY",
           aliases=("ollama-responses",), base_url_env="OLLAMA_HOST",
           keyed_url="https://ollama.com/v1", notes="Ollama's cloud when a key is set"),
    _local("lmstudio", "LMStudio", "http://127.0.0.1:1234/v1", aliases=("lm-studio",)),
    _local("llama-cpp", "LlamaCpp", "http://127.0.0.1:8080/v1", aliases=("llamacpp", "llama.cpp"),
           notes="for tools start the server with --jinja"),
    _local("vllm", "VLLM", "http://localhost:8000/v1", "VLLM_API_KEY",
           base_url_env="VLLM_BASE_URL"),
    _local("litellm", "LiteLLM", "http://localhost:4000", "LITELLM_API_KEY",
           model_class="LiteLLMOpenAI", aliases=("litellm-openai",)),
    _row("anthropic", "Anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY",
         model_class="Claude", aliases=("claude",)),
    _row("azure", "Azure", "{AZURE_OPENAI_ENDPOINT}/openai/v1", "AZURE_OPENAI_API_KEY",
         model_class="AzureOpenAI", aliases=("azure-openai", "azure-openai-responses"),
         notes="the model is the name of your deployment"),
    _row("google", "Google", _GOOGLE, "GOOGLE_API_KEY", "GEMINI_API_KEY",
         model_class="Gemini", aliases=("gemini", "google-interactions")),
    _row("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY",
         aliases=("openrouter-responses",)),
    _row("groq", "Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY",
         quirks=Quirks(message_names=False)),
    _row("deepseek", "DeepSeek", "https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    _row("together", "Together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    _row("mistral", "Mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY",
         model_class="MistralChat", quirks=Quirks(tool_id_rule="alnum9")),
    _row("xai", "xAI", "https://api.x.ai/v1", "XAI_API_KEY", aliases=("xai-responses",)),
    _row("fireworks", "Fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY",
         notes="models are named accounts/fireworks/models/NAME"),
    _row("cohere", "Cohere", "https://api.cohere.ai/compatibility/v1", "CO_API_KEY",
         "COHERE_API_KEY", model_class="cohere", quirks=Quirks(stream_usage=False)),
    _row("huggingface", "HuggingFace", "https://router.huggingface.co/v1", "HF_TOKEN"),
    _row("perplexity", "Perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY",
         quirks=Quirks(supports_tools=False), notes="no tools"),
    _row("cerebras", "Cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY",
         aliases=("cerebras-openai",)),
    _row("nvidia", "Nvidia", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    _row("sambanova", "Sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    _row("deepinfra", "DeepInfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    _row("dashscope", "Dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
         "DASHSCOPE_API_KEY", "QWEN_API_KEY", model_class="Qwen"),
    _row("moonshot", "Moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    _row("minimax", "MiniMax", "https://api.minimax.io/v1", "MINIMAX_API_KEY"),
    _row("siliconflow", "Siliconflow", "https://api.siliconflow.cn/v1", "SILICONFLOW_API_KEY"),
    _row("nebius", "Nebius", "https://api.tokenfactory.nebius.com/v1", "NEBIUS_API_KEY"),
    _row("meta", "LlamaOpenAI", "https://api.llama.com/compat/v1", "LLAMA_API_KEY",
         aliases=("llama-openai",)),
    _row("vercel", "Vercel", "https://api.v0.dev/v1", "V0_API_KEY", model_class="v0",
         aliases=("v0",)),
    _row("aimlapi", "AIMLAPI", "https://api.aimlapi.com/v1", "AIMLAPI_API_KEY"),
    _row("cometapi", "OpenAI", "https://api.cometapi.com/v1", "COMETAPI_KEY",
         model_class="CometAPI"),
    _row("requesty", "Requesty", "https://router.requesty.ai/v1", "REQUESTY_API_KEY"),
    _row("n1n", "N1N", "https://api.n1n.ai/v1", "N1N_API_KEY"),
    _row("inception", "InceptionLabs", "https://api.inceptionlabs.ai/v1", "INCEPTION_API_KEY",
         model_class="Inception"),
    _row("xiaomi", "Xiaomi MiMo", "https://api.xiaomimimo.com/v1", "MIMO_API_KEY",
         model_class="MiMo"),
    _row("flexai", "FlexAI", "https://api.flex.ai/v1", "FLEXAI_API_KEY"),
    _row("cloudflare", "Cloudflare", _CLOUDFLARE, "CLOUDFLARE_API_TOKEN"),
    _row("internlm", "InternLM", "https://internlm-chat.intern-ai.org.cn/puyu/api/v1",
         "INTERNLM_API_KEY"),
    _sdk("aws-bedrock", "AwsBedrock", "AWS", "bedrock", "awsbedrock"),
    _sdk("aws-claude", "AwsBedrock", "AWS"),
    _sdk("vertexai-claude", "VertexAI", "Google", "vertexai"),
    _sdk("ibm", "IBM", "IBM", "watsonx"),
    _sdk("azure-ai-foundry", "Azure", "Azure", "azure-foundry-claude"),
)
# fmt: on

_BY_NAME = {name: one for one in PROVIDERS for name in (one.key, *one.aliases)}


class Secret:
    """A key that shows itself to nobody but who asks for it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('…')"


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A model and the way to it. `str()` of it can be parsed again."""

    provider: Provider
    id: str
    base_url: str = ""
    own_url: bool = False
    """The address was given with the model, and is not the provider's."""
    key: Secret | None = None
    quirks: Quirks = Quirks()

    def __str__(self) -> str:
        suffix = f"@{shown_url(self.base_url)}" if self.own_url else ""
        return f"{self.provider.key}:{self.id}{suffix}"


class ProviderRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `models list`; `key_set` is whether one of `key_env` has a value."""

    key: str
    label: str
    base_url: str
    key_env: tuple[str, ...]
    key_required: bool
    key_set: bool
    notes: str


def list_providers(environ: Mapping[str, str]) -> tuple[ProviderRow, ...]:
    return tuple(_listed(one, environ) for one in PROVIDERS if not one.unservable)


def _listed(provider: Provider, environ: Mapping[str, str]) -> ProviderRow:
    found = next((name for name in provider.key_env if environ.get(name, "").strip()), None)
    url = environ.get(provider.base_url_env or "", "").strip()
    if not url:
        url = (found and provider.keyed_url) or provider.base_url
    return ProviderRow(
        key=provider.key,
        label=provider.label,
        base_url=shown_url(url),
        key_env=provider.key_env,
        key_required=provider.key_required,
        key_set=found is not None,
        notes=provider.notes,
    )


def find_provider(name: str) -> Provider | None:
    return _BY_NAME.get(name.strip().lower().replace("_", "-"))


def parse_model(text: str, *, base_url: str | None = None, environ: Mapping[str, str]) -> ModelSpec:
    """`PROVIDER:ID`, `PROVIDER:ID@BASE_URL`, `echo`, or a bare id where a base URL is known.

    `base_url` wins over one in the text. Raises ConfigError for what no request could be made of.
    """
    name, inline = _without_url(text.strip())
    given = (base_url or "").strip() or inline
    prefix, colon, model_id = name.partition(":")
    provider = find_provider(prefix)
    if provider is ECHO:
        return _echo(model_id.strip(), given)
    if provider is not None and colon:
        return _named(provider, model_id.strip(), given, environ)
    if name and (given or environ.get("OPENAI_BASE_URL", "").strip()):
        return _named(OPENAI, name, given, environ)
    raise _nameless(name, prefix, colon, provider)


def _without_url(text: str) -> tuple[str, str]:
    """Only an @ with http(s):// behind it starts a URL; `@cf/meta/llama` is an id."""
    name, *rest = re.split(r"@(?=https?://)", text, maxsplit=1)
    return name.strip(), rest[0] if rest else ""


def _echo(options: str, given: str) -> ModelSpec:
    if given:
        raise ConfigError("echo answers by itself", hint="leave the base URL out")
    return ModelSpec(provider=ECHO, id=options or "echo")


def _nameless(name: str, prefix: str, colon: str, provider: Provider | None) -> ConfigError:
    if not name:
        return ConfigError("no model is named", hint="write PROVIDER:MODEL, or echo")
    if provider is not None:
        return _no_id(provider)
    if not colon:
        return ConfigError(
            f"model {name!r} names no provider",
            hint=f"write PROVIDER:MODEL, as openai:{name}; `agno models list` shows the providers",
        )
    near = difflib.get_close_matches(prefix.strip().lower(), _BY_NAME, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    return ConfigError(
        f"unknown model provider {prefix.strip()!r}",
        hint=f"{guess}`agno models list` shows all; any other server: openai-like:MODEL@URL",
    )


def _no_id(provider: Provider) -> ConfigError:
    return ConfigError(
        f"{provider.key!r} is a provider, the model is missing",
        hint=f"write {provider.key}:MODEL",
    )


def _named(provider: Provider, model_id: str, given: str, environ: Mapping[str, str]) -> ModelSpec:
    if provider.unservable:
        raise ConfigError(
            f"{provider.key} {provider.unservable}",
            hint="put a gateway before it, as LiteLLM, and use litellm:MODEL",
        )
    if not model_id:
        raise _no_id(provider)
    key = _key(provider, environ)
    base_url = _base_url(provider, given, key, environ)
    if key is None and provider.key_required and not is_local(base_url):
        raise _no_key(provider, model_id, base_url)
    home = provider.base_url == base_url
    return ModelSpec(
        provider=provider,
        id=model_id,
        base_url=base_url,
        own_url=bool(given),
        key=key,
        quirks=Quirks() if provider.quirks_at_home and not home else provider.quirks,
    )


def _key(provider: Provider, environ: Mapping[str, str]) -> Secret | None:
    for name in provider.key_env:
        if value := environ.get(name, "").strip():
            if not (value.isascii() and value.isprintable() and " " not in value):
                raise ConfigError(
                    f"{name} holds characters that no key has", hint=f"set {name} anew"
                )
            return Secret(value)
    return None


def _no_key(provider: Provider, model_id: str, base_url: str) -> ConfigError:
    names = " or ".join(provider.key_env)
    hint = f"export {provider.key_env[0]}=…, or try the offline model: echo"
    if base_url != provider.base_url and "{" not in provider.base_url:
        hint = (
            f"export {provider.key_env[0]}=…, or for a server that wants no key: "
            f"openai-like:{model_id}@{shown_url(base_url)}"
        )
    return ConfigError(f"{provider.key} needs a key, {names} is not set", hint=hint)


def _base_url(
    provider: Provider, given: str, key: Secret | None, environ: Mapping[str, str]
) -> str:
    if given:
        return checked(given, "base URL")
    if provider.base_url_env and (value := environ.get(provider.base_url_env, "").strip()):
        value = ollama_host(value) if provider.base_url_env == "OLLAMA_HOST" else value
        return checked(value, provider.base_url_env)
    if not provider.base_url:
        raise ConfigError(
            f"{provider.key} needs the address of a server",
            hint=f"write {provider.key}:MODEL@http://HOST:PORT/v1, or use --base-url",
        )
    if key is not None and provider.keyed_url:
        return provider.keyed_url
    return checked(_filled(provider, environ), provider.base_url)


def _filled(provider: Provider, environ: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        found = environ.get(name, "").strip().rstrip("/") or default
        if not found:
            raise ConfigError(
                f"{provider.key} needs {name}, it is not set", hint=f"export {name}=…"
            )
        return found

    return re.sub(r"\{(?P<name>\w+)(?:=(?P<default>\w+))?\}", value, provider.base_url)
