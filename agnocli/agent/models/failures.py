"""What went wrong between us and a model, in one line, and what to do about it."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from agnocli import codec
from agnocli.agent.models.providers import ModelSpec
from agnocli.agent.models.urls import is_local, shown_url
from agnocli.errors import ModelError

_CONTEXT = re.compile(
    r"context[ _](length|window|size|limit)|maximum context|too many tokens|prompt is too long"
    r"|exceeds? the (model'?s )?(maximum|available)|input is too long",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"insufficient_quota|billing|credit|payment", re.IGNORECASE)


def refused(
    spec: ModelSpec, status: int, body: object, retry_after: str | None = None
) -> ModelError:
    """A status of 400 or above."""
    words = said(spec, body)
    detail = f"{_who(spec)} answered {status}" + (f": {words}" if words else "")
    if status in (401, 403):
        return ModelError(detail, hint=_key_hint(spec))
    if status == 402 or (status == 429 and _QUOTA.search(as_text(body))):
        return ModelError(detail, hint="the account has no credit left: see its billing page")
    if _too_long(status, body):
        return ModelError(
            detail,
            hint="the conversation is too long for this model: send less of it (--history N)",
        )
    if status == 404:
        return ModelError(detail, hint=_missing_hint(spec))
    if status == 429:
        wait = f"wait {retry_after} seconds" if retry_after else "wait a little"
        return ModelError(detail, hint=f"too many requests: {wait}, then ask again", transient=True)
    if status >= 500 or status in (408, 409):
        return ModelError(detail, hint="ask again in a moment", transient=True)
    return ModelError(detail, hint="the server does not take this request; try another model")


def _too_long(status: int, body: object) -> bool:
    return status == 413 or (status in (400, 422, 500) and bool(_CONTEXT.search(as_text(body))))


def _key_hint(spec: ModelSpec) -> str:
    if not spec.provider.key_env:
        return "the server wants a key: openai-like:MODEL@URL takes one from OPENAI_LIKE_API_KEY"
    name = spec.provider.key_env[0]
    if spec.key is None:
        return f"the server wants a key: export {name}=…"
    return f"check the key in {' or '.join(spec.provider.key_env)}, and what it may be used for"


def _missing_hint(spec: ModelSpec) -> str:
    if spec.provider.key == "ollama" and is_local(spec.base_url):
        return f"get the model with `ollama pull {spec.id}`"
    if urlsplit(spec.base_url).path in ("", "/") and _elsewhere(spec):
        return f"does the address end in /v1? Try {shown_url(spec.base_url)}/v1"
    return f"check the model's name ({spec.id}); `agno models list` shows the providers"


def timed_out(spec: ModelSpec, started: bool) -> ModelError:
    if started:
        return broken_off(spec, "nothing came any more")
    return ModelError(
        f"{_who(spec)} did not answer in time",
        hint=f"is the server at {shown_url(spec.base_url)} busy? Ask again",
        transient=True,
    )


def broken_off(spec: ModelSpec, why: str = "the connection was lost") -> ModelError:
    return ModelError(
        f"the answer of {_who(spec)} broke off: {why}", hint="ask again", transient=True
    )


def unreachable(spec: ModelSpec, error: BaseException) -> ModelError:
    """No connection, or one that was lost before the first word, by its cause."""
    url = shown_url(spec.base_url)
    causes = tuple(_causes(error))
    tls = next((one for one in causes if isinstance(one, ssl.SSLError)), None)
    if tls is not None or any("SSL" in str(one) for one in causes):
        return ModelError(
            f"no secure connection to {url}: {_reason(tls or causes[-1])}",
            hint="is it http rather than https? For a private certificate set SSL_CERT_FILE",
        )
    if any(isinstance(one, socket.gaierror) for one in causes):
        host = urlsplit(spec.base_url).hostname
        return ModelError(f"no host {host!r} is known", hint=f"check the address {url}")
    if not any(type(one).__name__.startswith(("Connect", "Proxy")) for one in causes):
        return broken_off(spec)
    return ModelError(
        f"cannot reach {url}: {_reason(causes[-1])}",
        hint=f"is the server running at {url}?",
        transient=True,
    )


def reported(spec: ModelSpec, body: object, started: bool) -> ModelError:
    """An error object that came in place of an answer, or in the middle of it."""
    code = body.get("code") if isinstance(body, dict) else None
    status = int(str(code)) if str(code).isdecimal() else 0
    if 400 <= status < 600:
        return refused(spec, status, body)
    if _too_long(400, body):
        return refused(spec, 400, body)
    where = "broke off" if started else "did not begin"
    words = said(spec, body) or "the server reported an error"
    transient = bool(re.search(r"server_error|overload|rate.?limit|timeout", as_text(body), re.I))
    return ModelError(
        f"the answer of {_who(spec)} {where}: {words}", hint="ask again", transient=transient
    )


def malformed(spec: ModelSpec, what: str) -> ModelError:
    return ModelError(
        f"{_who(spec)} sent {what}",
        hint=f"is {shown_url(spec.base_url)} an OpenAI-compatible address? Most end in /v1",
    )


def unusable_network(error: Exception) -> ModelError:
    """The client itself cannot be made: proxy or certificate settings of the environment."""
    return ModelError(
        f"the network settings cannot be used: {_reason(error)}",
        hint="check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(16):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _reason(error: BaseException) -> str:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    words = re.sub(r"\s*\(_ssl\.c:\d+\)", "", words)
    return _one_line(words or type(error).__name__)


def _who(spec: ModelSpec) -> str:
    return f"the server at {shown_url(spec.base_url)}" if _elsewhere(spec) else spec.provider.label


def _elsewhere(spec: ModelSpec) -> bool:
    """Whether it is not the provider's own address that was asked."""
    home = (spec.provider.base_url, spec.provider.keyed_url)
    return spec.own_url or (spec.base_url not in home and "{" not in spec.provider.base_url)


def said(spec: ModelSpec, body: object) -> str:
    """The server's own words out of an error body, with no key in them."""
    words = _words(body)
    if words.lstrip().startswith("<"):
        return "a web page"
    if spec.key is not None:
        words = words.replace(spec.key.reveal(), "…")
    return _one_line(words)


def _words(body: object) -> str:
    if isinstance(body, dict):
        found = next(
            (body[name] for name in ("message", "detail", "error") if body.get(name)), None
        )
        return _words(found) if found is not None else codec.line(body)
    if isinstance(body, list):
        return "; ".join(
            _words(one.get("msg", one) if isinstance(one, dict) else one) for one in body
        )
    return "" if body is None else str(body)


def _one_line(words: str) -> str:
    words = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    return words if len(words) <= 300 else words[:299] + "…"


def as_text(body: object) -> str:
    return body if isinstance(body, str) else codec.line(body)
