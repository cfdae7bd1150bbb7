"""One document that a person can read: a line for each session's own columns, and one for each run."""

from __future__ import annotations

from agnocli.formats.shape import HEAD, Shape

JSON = Shape(
    name="json",
    header=HEAD + b', "sessions": [',
    cell=b"\n",
    between=b",\n",
    last=b'], "sessions_count": ',
)
