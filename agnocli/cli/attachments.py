"""Files that go along with a message: text stands in it, pictures beside it."""

from __future__ import annotations

import mimetypes
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from agnocli.config.paths import Environ, tilde
from agnocli.errors import UsageError
from agnocli.layout.media import Media

LARGEST_TEXT, LARGEST_PICTURE = 2_000_000, 20_000_000
"""Bytes; providers take no more."""

_NAMED = re.compile(r'(?:^|(?<=\s))@(?:"([^"\n]+)"|(\S+))')
_ENDS = ".,;:!?)]}'\""
"""What may stand behind a path in a sentence."""


class Attachment(msgspec.Struct, frozen=True):
    """A file's words, or the picture that it is."""

    name: str
    size: int
    text: str = ""
    picture: Media | None = None

    @property
    def kind(self) -> str:
        return self.picture.mime if self.picture else "text"


class Message(msgspec.Struct, frozen=True):
    """What is said with all that goes along. `files` are those that it names and those that were added to it."""

    text: str
    pictures: tuple[Media, ...] = ()
    files: tuple[Attachment, ...] = ()


def message(text: str, files: Sequence[Attachment]) -> Message:
    parts = [text, *(_inlined(one) for one in files if one.picture is None)]
    pictures = tuple(one.picture for one in files if one.picture is not None)
    return Message("\n\n".join(filter(None, parts)), pictures, tuple(files))


def _inlined(file: Attachment) -> str:
    return f'<file name="{file.name}">\n{file.text}\n</file>'


def read(path: Path, named: str) -> Attachment:
    """UsageError, beginning as the user `named` it, for what is missing or neither text nor a picture."""
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise UsageError(f"{named}: a folder; nothing was sent", hint="name the files in it")
        if size > LARGEST_PICTURE:
            raise _too_large(named, LARGEST_PICTURE)
        content = path.read_bytes()
    except OSError as error:
        hint = f"looked for in {Path.cwd()}" if isinstance(error, FileNotFoundError) else None
        raise UsageError(f"{named}: {error.strerror}; nothing was sent", hint=hint) from error
    picture = Media(kind="image", name=path.name, data=b64encode(content).decode())
    if (found := picture.picture()) is not None:
        return Attachment(path.name, size, picture=msgspec.structs.replace(picture, mime=found[0]))
    return _text(path.name, content, named)


def _text(name: str, content: bytes, named: str) -> Attachment:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{named}: neither UTF-8 text nor a picture; nothing was sent",
            hint="pictures are PNG, JPEG, GIF and WebP",
        ) from error
    if len(content) > LARGEST_TEXT:
        raise _too_large(named, LARGEST_TEXT)
    return Attachment(name, len(content), text=text)


def _too_large(named: str, most: int) -> UsageError:
    return UsageError(
        f"{named}: larger than {most // 1_000_000} MB; nothing was sent", hint="send a part of it"
    )


def named_files(text: str, environ: Environ, known: str = "") -> tuple[str, list[Attachment]]:
    """The files that a text names as `@path` or `@"a path"`, each read once; `@@path` is no file but `@path`.

    What the text `known` names is left alone. UsageError for a path that is plainly meant as one and is not there.
    """
    found: dict[str, Attachment] = {}
    left_alone = {_word(one) for one in _NAMED.finditer(known)}

    def look(name: re.Match[str]) -> str:
        word = _word(name)
        if word in left_alone:
            return name[0]
        if word.startswith("@"):
            return name[0][1:] if _meant(word[1:], environ, plainly=False) else name[0]
        path = _meant(name[1] or name[2], environ, plainly=bool(name[1]))
        if path is not None and str(path) not in found:
            found[str(path)] = _named(path, name[1] or name[2])
        return name[0]

    return _NAMED.sub(look, text), list(found.values())


def _word(name: re.Match[str]) -> str:
    return name[1] or name[2].rstrip(_ENDS)


def _named(path: Path, word: str) -> Attachment:
    try:
        return read(path, f"@{word}")
    except UsageError as error:
        literal = f"@@{word} is no file but the word"
        hint = "; ".join(filter(None, (error.hint, literal)))
        raise UsageError(error.message, hint=hint) from error


def _meant(word: str, environ: Environ, *, plainly: bool) -> Path | None:
    """The file that a word means. None for a word that only begins with @, as a name or a decorator."""
    for candidate in dict.fromkeys((word, word.rstrip(_ENDS))):
        path = tilde(candidate, environ) if candidate else Path()
        if candidate and path.exists() and (path.is_file() or "/" in candidate):
            return path
    bare = word.rstrip(_ENDS)
    begins = bare.partition("/")[0]
    has_folder = "/" in bare and (begins in ("", ".", "..", "~") or Path(begins).is_dir())
    is_named = "." in bare[1:] and mimetypes.guess_type(bare)[0] is not None
    return Path(bare) if plainly or has_folder or is_named else None


def about(files: Iterable[Attachment]) -> str:
    """What goes along, in a line."""
    from agnocli.layout.readable import bytes_of

    return ", ".join(f"{one.name} ({one.kind}, {bytes_of(one.size)})" for one in files)
