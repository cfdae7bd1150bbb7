"""Session state: values merged under, over and beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

State = dict[str, Any]


class _Missing:
    """No value, which a merge may take away or put in."""


_MISSING: Final = _Missing()


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> State:
    """`above` wins; objects are merged, lists and all else replaced. Shares nothing with either."""
    merged = deepcopy(dict(below))
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(under, dict) and isinstance(value, dict):
            merged[key] = over(under, value)
        else:
            merged[key] = deepcopy(value)
    return merged


def merge(base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> State:
    """What two editors made of `base`, in one: each one's additions, changes and deletions.

    Lists are merged by their items; where both changed one value differently, mine stays.
    """
    keys = dict.fromkeys([*theirs, *mine])
    found = {
        key: _value(base.get(key, _MISSING), mine.get(key, _MISSING), theirs.get(key, _MISSING))
        for key in keys
    }
    return {key: value for key, value in found.items() if value is not _MISSING}


def _value(base: Any, mine: Any, theirs: Any) -> Any:
    if _same(mine, base):
        return theirs
    if _same(theirs, base) or _same(mine, theirs):
        return mine
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return merge(base if isinstance(base, dict) else {}, mine, theirs)
    if isinstance(mine, list) and isinstance(theirs, list):
        return _items(base if isinstance(base, list) else [], mine, theirs)
    return mine


def _items(base: list[Any], mine: list[Any], theirs: list[Any]) -> list[Any]:
    """Theirs without what I took out, and behind it what I put in."""
    removed, added = _without(base, mine), _without(mine, base)
    return _without(theirs, removed) + added


def _without(items: list[Any], others: list[Any]) -> list[Any]:
    """`items` less one for each of `others`."""
    kept = list(items)
    for other in others:
        place = next((n for n, one in enumerate(kept) if _same(one, other)), None)
        if place is not None:
            del kept[place]
    return kept


def _same(one: Any, other: Any) -> bool:
    """As JSON sees it: 1 is not true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)
