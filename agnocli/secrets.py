"""Secrets in text and in session state: keys, tokens and passwords, found by detect-secrets.

Only what it finds reliably, so that what is shared stays readable: guesses by randomness are not asked for, nor
addresses. Beside its detectors stand the keys of model providers, which it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from agnocli.config.secrets import is_secret
from agnocli.errors import DriverMissingError

_NOT_ASKED = {
    # random text, which hashes and pictures are as well
    "Base64HighEntropyString",
    "HexHighEntropyString",
    # no secret
    "IPPublicDetector",
    # blanks around words that begin with AP
    "ArtifactoryDetector",
    # looked for where its words are
    "KeywordDetector",
    # its first line only; we take the whole key
    "PrivateKeyDetector",
}
_OURS = {
    "Anthropic API Key": r"sk-ant-[\w-]{20,}",
    "OpenAI Token": r"sk-(?:proj|svcacct|admin|None)-[\w-]{20,}|sk-[A-Za-z0-9]{32,}",
    "OpenRouter API Key": r"sk-or-v1-[0-9a-f]{32,}",
    "Google API Key": r"AIza[\w-]{35}",
    "Hugging Face Token": r"hf_[A-Za-z0-9]{30,}",
    "Groq API Key": r"gsk_[A-Za-z0-9]{40,}",
    "xAI API Key": r"xai-[A-Za-z0-9]{40,}",
    "GitHub Token": r"github_pat_\w{36,}",
    # to the end of the text where it has no end
    "Private Key": r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
}
_ENVIRONMENT = re.compile(
    r"^[ \t]*(?:export[ \t]+)?[A-Z][A-Z0-9_]*(?:SECRET|PASSWORD|PASSWD|TOKEN|KEY)[A-Z0-9_]*"
    r"[ \t]*=[ \t]*([^\s\"'`]+)",
    re.MULTILINE,
)
"""A line as in a file of environment variables, where values need no quotes."""
_WHOLE = {"GitHub Token", "GitLab Token"}
"""Detectors whose first group is the kind of token."""
_LONG = re.compile(r"[\w-]{40}")
_NEED_LONG = {
    "CloudantDetector",
    "IbmCloudIamDetector",
    "IbmCosHmacDetector",
    "SoftlayerDetector",
}
"""Slow detectors, of keys of at least so many characters."""
_TELLING = ("key", "pass", "pwd", "secret", "contrase")
"""Some of it is in each word that KeywordDetector knows."""
_TOKEN = re.compile(r"[\w+/=-]+(?:\.[\w+/=-]+)*")
_BEFORE, _AFTER = 80, 400
"""Characters around a word like `password` that are looked at, on its line."""
_SHORTEST, _SHORTEST_TEXT = 6, 12
"""Characters of a password, and of a text that sets one."""


class Finding(NamedTuple):
    kind: str
    start: int
    end: int


class Detector:
    """DriverMissingError without detect-secrets."""

    def __init__(self) -> None:
        mapping = _loaded("core.plugins.util").get_mapping_from_secret_type_to_class()
        keyword = _loaded("plugins.keyword")
        rules = [
            (kind, pattern, plugin.__name__ in _NEED_LONG)
            for kind, plugin in sorted(mapping.items())
            if plugin.__name__ not in _NOT_ASKED
            for pattern in plugin.denylist
        ]
        ours = [(kind, re.compile(pattern, re.DOTALL), False) for kind, pattern in _OURS.items()]
        self._rules = [*rules, *ours]
        self._is_token = mapping["JSON Web Token"].is_formally_valid
        self._words = re.compile("|".join(keyword.DENYLIST), re.IGNORECASE)
        self._assigned = keyword.QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP
        self._is_template = _loaded("filters.heuristic").is_templated_secret

    def find(self, text: str) -> list[Finding]:
        """In order, none within another."""
        if len(text) < _SHORTEST_TEXT:
            return []
        found = sorted(
            (*self._tokens(text), *self._assignments(text)), key=lambda one: (one.start, -one.end)
        )
        apart: list[Finding] = []
        for one in found:
            if not apart or one.start >= apart[-1].end:
                apart.append(one)
        return apart

    def is_assigned(self, name: str, value: str) -> bool:
        """Whether a member of that name holds a secret."""
        if len(value) > _AFTER or not self._words.search(name):
            return False
        return bool(self.find(f'{name} = "{value}"'))

    def holds(self, name: str, value: str) -> bool:
        """Whether there is a secret in it, or its name says that it is one."""
        return bool(self.find(value)) or self.is_assigned(name, value)

    def _tokens(self, text: str) -> Iterator[Finding]:
        has_long = _LONG.search(text) is not None
        for kind, pattern, needs_long in self._rules:
            if needs_long and not has_long:
                continue
            for match in pattern.finditer(text):
                group = 1 if pattern.groups and match.start(1) >= 0 and kind not in _WHOLE else 0
                start, end = match.span(group)
                if kind == "JSON Web Token":
                    end = _TOKEN.match(text, start).end()  # type: ignore[union-attr]
                    if not self._is_token(text[start:end]):
                        continue
                if group or _stands_alone(text, start, end):
                    yield Finding(kind, start, end)

    def _assignments(self, text: str) -> Iterator[Finding]:
        for start, end in self._places(text):
            window = text[start:end]
            for pattern, group in self._assigned.items():
                for match in pattern.finditer(window):
                    if self._is_plausible(match[group]):
                        yield Finding(
                            "Secret Keyword", start + match.start(group), start + match.end(group)
                        )

        for match in _ENVIRONMENT.finditer(text):
            if self._is_plausible(match[1]):
                yield Finding("Secret Keyword", *match.span(1))

    def _places(self, text: str) -> Iterator[tuple[int, int]]:
        """Parts of lines around a telling word."""
        passed, low = 0, text.lower()
        if not any(part in low for part in _TELLING):
            return
        for word in self._words.finditer(text):
            if word.start() < passed:
                continue
            start = max(text.rfind("\n", 0, word.start()) + 1, word.start() - _BEFORE)
            line_end = text.find("\n", word.end())
            passed = min(len(text) if line_end < 0 else line_end, word.end() + _AFTER)
            yield start, passed

    def _is_plausible(self, value: str) -> bool:
        """A password rather than words about one, or a place for one."""
        return (
            len(value) >= _SHORTEST
            and len(set(value)) > 2
            and not re.search(r"[\s(){}\[\]]", value)
            and not value.startswith(("$", "%", "os.environ"))
            and not self._is_template(value)
        )


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Not within a longer run of letters, as in a picture's base64."""
    return not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())


def _loaded(name: str) -> Any:
    try:
        return import_module(f"detect_secrets.{name}")
    except ImportError as error:
        raise DriverMissingError(
            "finding secrets needs detect-secrets, which is not installed",
            hint="pip install 'agnocli[secrets]'",
        ) from error


def can_look() -> bool:
    return find_spec("detect_secrets") is not None


def secret_places(value: object) -> list[str]:
    """Places in a state that hold what looks like a secret, as `account.token`. Nothing without the detector."""
    suspects = [(place, text) for place, text in texts(value) if _suspect(place, text)]
    if not (suspects and can_look()):
        return []
    detector = _detector()
    return [place for place, text in suspects if detector.holds(_name(place), text)]


@cache
def _detector() -> Detector:
    return Detector()


def _suspect(place: str, text: str) -> bool:
    """Worth loading the detector for: it takes a third of a second."""
    return is_secret(_name(place)) or (len(text) >= _SHORTEST_TEXT and " " not in text)


def _name(place: str) -> str:
    return place.rpartition(".")[2]


def texts(value: object, place: str = "") -> Iterator[tuple[str, str]]:
    """Each text in a value, with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from texts(item, f"{place}[{number}]")
