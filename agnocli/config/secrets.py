"""What may be shown of a value: everything but secrets. A `${…}` reference shows as written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_plus

from agnocli.config.references import MARK, REFERENCE

HIDDEN = "***"

_SECRET_KEY = re.compile(
    r"(^pass|pass(word|wd|phrase|code)|pwd|secrets?|token|credentials?|authorization"
    r"|(api|access|private|account|secret)[_-]?key|authmechanismproperties)$"
)
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_URL_IN_TEXT = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>`]+")


def is_secret(key: str) -> bool:
    return bool(_SECRET_KEY.search(key.lower()))


def masked(value: object) -> object:
    """`value` without its secrets: passwords in URLs, and whatever a key like `password` or `api_key` holds."""
    if isinstance(value, str):
        return masked_url(value) if _URL.match(value) else _masked_text(value)
    if isinstance(value, Mapping):
        return {key: masked_member(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(masked(item) for item in value)
    return value


def masked_member(key: str, value: object) -> object:
    """What a table may show for one of its keys."""
    if is_secret(key) and value is not None and not isinstance(value, bool):
        return _hide(value) if isinstance(value, str) else HIDDEN
    return masked(value)


def _hide(secret: str) -> str:
    return secret if not REFERENCE.sub("", secret) else HIDDEN


def _masked_text(text: str) -> str:
    return _URL_IN_TEXT.sub(lambda url: masked_url(url.group()), text)


def masked_url(url: str) -> str:
    """A URL without its password and its secret query parameters.

    A password may hold an unencoded `/`, `?`, `#` or `@`: it ends at the last `@`, so rather too much is hidden.
    """
    references = [match.group() for match in REFERENCE.finditer(url)]
    scheme, separator, rest = REFERENCE.sub(MARK, url).partition("://")
    if not separator:
        return url
    user, at, place = rest.rpartition("@")
    if at and not rest.startswith("/"):
        name, colon, password = user.partition(":")
        rest = name + colon + _hide_marked(password) + at + place
    path, mark, query = rest.partition("?")
    if mark:
        rest = path + mark + "&".join(map(_masked_parameter, query.split("&")))
    return _restore(scheme + separator + rest, references)


def _masked_parameter(parameter: str) -> str:
    key, equals, value = parameter.partition("=")
    return key + equals + _hide_marked(value) if is_secret(unquote_plus(key)) else parameter


def _hide_marked(secret: str) -> str:
    """Hidden references keep their marks out of sight, so that later ones are restored in their places."""
    if not secret.strip(MARK):
        return secret
    return HIDDEN + "\ue001" * secret.count(MARK)


def _restore(text: str, references: list[str]) -> str:
    left = iter(references)
    return re.sub(
        "[\ue000\ue001]",
        lambda mark: next(left) if mark.group() == MARK else (next(left), "")[1],
        text,
    )
