from __future__ import annotations

import datetime
import json
import math
import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agnocli import canonical, codec
from agnocli.errors import CodecError
from agnocli.records import Document

quick = settings(max_examples=150)


def joined(text: str) -> str:
    """Two halves of a surrogate pair are one character in JSON."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


texts = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=8).map(joined)
numbers = st.integers() | st.integers(10**4290, 10**4310) | st.floats()
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def alike(one: Any, other: Any) -> bool:
    """Equality that knows NaN, and keeps 1, 1.0 and True apart."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other or (one != one and other != other))


def shuffled(value: Any, seed: int) -> Any:
    """The value with the keys of its objects in another order."""
    if isinstance(value, dict):
        keys = random.Random(seed).sample(list(value), len(value))
        return {key: shuffled(value[key], seed) for key in keys}
    return [shuffled(item, seed) for item in value] if isinstance(value, list) else value


def digest(*documents: bytes | None) -> str:
    return canonical.digest([None if one is None else Document(one) for one in documents])


@quick
@given(values)
def test_what_is_encoded_decodes_to_itself(value: Any) -> None:
    document = codec.encode(value)
    assert alike(codec.decode(document), value)
    assert alike(codec.decode(document.decode()), value)


@quick
@given(values)
def test_both_doors_read_the_same(value: Any) -> None:
    document = codec.encode(value)
    assert alike(codec.decode(document), codec._tolerant(document))


@quick
@given(values, st.integers(0, 5))
def test_a_digest_does_not_depend_on_the_order_of_keys_or_on_blanks(value: Any, seed: int) -> None:
    document = codec.encode(value)
    assert canonical.digest([document]) == canonical.digest([codec.encode(shuffled(value, seed))])
    assert canonical.digest([document]) == digest(codec.pretty(value).encode())


@quick
@given(values, values)
def test_different_values_have_different_digests(one: Any, other: Any) -> None:
    if canonical.digest([codec.encode(one)]) == canonical.digest([codec.encode(other)]):
        assert without_nan(one) == without_nan(other)
    else:
        assert not alike(one, other)


def without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return "not a number" if value != value else value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"NaN", math.nan),
        (b"[Infinity, -Infinity, 1e400]", [math.inf, -math.inf, math.inf]),
        (rb'"a\ud800b"', "a\ud800b"),
        (rb'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (b'"\xed\xa0\x80"', "\ud800"),
        (b"1180591620717411303424", 2**70),
        (b'{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}),
        (b'{"a": 1, "a": NaN, "b": 2}', {"a": math.nan, "b": 2}),
        (b' {"a" :\n[ ]\t}\r\n', {"a": []}),
        (rb'"\u0000"', "\0"),
        ("\u00e9".join('""').encode(), "\u00e9"),
        (b"1.0", 1.0),
        (b"-0", 0),
    ],
)
def test_json_that_others_refuse_is_read(text: bytes, value: Any) -> None:
    assert alike(codec.decode(text), value)


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("length", [4299, 4300, 4301, 5000, 8000, 12001])
def test_integers_of_thousands_of_digits_go_in_and_out(sign: str, length: int) -> None:
    text = f"{sign}7{'0123456789' * 2000}"[: length + len(sign)]
    document = Document(f'{{"a": [{text}], "b": "integer-0"}}'.encode())
    assert codec.encode(codec.decode(document)) == document
    assert codec.pretty(codec.decode(document)).count(text) == 1
    assert digest(document) == digest(document.replace(b" ", b""))
    assert digest(document) != digest(
        document.replace(text.encode(), text.replace("7", "8", 1).encode())
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"a"}',
        b"nul",
        b"[1,]",
        b"'a'",
        b'"a',
        b"1 2",
        b"\xff",
        b'"\xff"',
        b'"\n"',
        b"01",
    ],
)
def test_what_is_not_json_is_an_error_of_ours(text: bytes) -> None:
    with pytest.raises(CodecError):
        codec.decode(text)


def test_json_that_is_nested_too_deeply_is_an_error_of_ours() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(CodecError, match="deep"):
        codec.decode(b"[" * 100_000 + b"]" * 100_000)
    with pytest.raises(CodecError, match="deep"):
        codec.encode(deep)


def test_a_circle_is_an_error_of_ours() -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(CodecError):
        codec.encode(circle)


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1, "b": [True, None, 1.5, 1e300], "": {}},
        '\u00e9\N{GRINNING FACE}\ud800\0\x1b\x7f\u2028/\\"',
        math.nan,
        [],
        -0.0,
        2**70,
    ],
    ids=repr,
)
def test_text_is_written_with_the_standard_escapes_and_blanks(value: object) -> None:
    assert codec.encode(value) == json.dumps(value).encode()
    assert codec.line(value) == json.dumps(value)


def test_times_and_uuids_are_written_as_text() -> None:
    moment = datetime.datetime(2025, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    some_id = uuid.UUID(int=7)
    value = {"at": moment, "day": moment.date(), "id": some_id}
    wanted = {"at": moment.isoformat(), "day": "2025-01-02", "id": str(some_id)}
    assert codec.decode(codec.encode(value)) == wanted
    assert codec.encode([10**5000, moment]).endswith(b', "2025-01-02T03:04:05+00:00"]')


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (b"x", "$ is of type bytes"),
        ({"a": [1, {"b": {1, 2}}]}, "$.a[1].b is of type set"),
        ({"a": {(1, 2): 3}}, "$.a has a key of type tuple"),
        ([10**5000, object()], "$[1] is of type object"),
    ],
)
def test_what_json_cannot_hold_is_named_with_its_place(value: object, where: str) -> None:
    with pytest.raises(CodecError) as caught:
        codec.encode(value)
    assert where in str(caught.value)


@pytest.mark.parametrize(
    ("document", "changes", "wanted"),
    [
        (None, {"a": 1}, b'{"a": 1}'),
        (b"null", {"a": None}, b"{}"),
        (b"{}", {}, b"{}"),
        (b'{"a": 1.50, "b":[1 ,2]}', {"b": 7}, b'{"a": 1.50, "b": 7}'),
        (b'{"a": 1.50,"b":[1 ,2]}', {"c": "x"}, b'{"a": 1.50, "b": [1 ,2], "c": "x"}'),
        (b'{"a":1,"b":2,"c":3}', {"b": None, "no": None}, b'{"a": 1, "c": 3}'),
        (b'{"n": NaN , "a": 1.50e0,"b":2}', {"b": 3}, b'{"n": NaN, "a": 1.50e0, "b": 3}'),
        (rb'{ "s" :"\ud800", "a":[1.0 , {} ]} ', {}, rb'{"s": "\ud800", "a": [1.0 , {} ]}'),
        (rb'{"\ud800":1,"a":"{,:}"}', {"b": 2}, rb'{"\ud800": 1, "a": "{,:}", "b": 2}'),
        (b'{"n":NaN}', {"n": None}, b"{}"),
        ('{"a":"\u00e9","n":NaN}'.encode(), {}, '{"a": "\u00e9", "n": NaN}'.encode()),
        (b'{"a":1,"a":2}', {"b": 3}, b'{"a": 2, "b": 3}'),
    ],
)
def test_a_patch_keeps_the_text_of_all_other_members(
    document: bytes | None, changes: dict[str, object], wanted: bytes
) -> None:
    assert codec.patch(None if document is None else Document(document), changes) == wanted


@pytest.mark.parametrize("number", [b"9" * 5000, b"1180591620717411303424", b"1e400"])
def test_a_patch_keeps_long_numbers(number: bytes) -> None:
    document = Document(b'{"a": ' + number + b', "b": NaN}')
    assert codec.patch(document, {"b": 1}) == b'{"a": ' + number + b', "b": 1}'


@pytest.mark.parametrize("document", [b"[]", b"1", b'"a"', b"{", b"[NaN]"])
def test_only_an_object_can_be_patched(document: bytes) -> None:
    with pytest.raises(CodecError):
        codec.patch(Document(document), {"a": 1})


@quick
@given(st.dictionaries(texts, values, max_size=4), st.dictionaries(texts, values, max_size=3))
def test_a_patch_sets_and_removes_members(data: dict[str, Any], changes: dict[str, Any]) -> None:
    patched = codec.decode(codec.patch(codec.encode(data), changes))
    kept = {key: item for key, item in data.items() if key not in changes}
    wanted = {**kept, **{key: item for key, item in changes.items() if item is not None}}
    assert alike(dict(sorted(patched.items())), dict(sorted(wanted.items())))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a": 1, "b": 2}', b'{"b":2,"a":1}'),
        (b"[1, 10, 0]", b"[1.0, 1e1, -0.0]"),
        (b"1e400", b"Infinity"),
        (b"[1e23, 1e308]", b"[1" + b"0" * 23 + b", 1" + b"0" * 308 + b"]"),
        (rb'"\u00e9"', '"\u00e9"'.encode()),
        (b'{"a": 1, "a": 2}', b'{"a": 2}'),
        (b'{"a": {"y": [], "x": 0.50}}', b'{"a": {"x": 5e-1, "y": []}}'),
    ],
)
def test_spelling_does_not_count_in_a_digest(one: bytes, other: bytes) -> None:
    assert digest(one) == digest(other)
    assert canonical.same(Document(one), Document(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([b"[1, 2]"], [b"[2, 1]"]),
        ([b"null"], [None]),
        ([b'{"a": null}'], [b"{}"]),
        ([b"1"], [b'"1"']),
        ([b"1"], [b"true"]),
        ([b"0"], [b"false"]),
        ([b'""'], [b"null"]),
        ([b"NaN"], [b'"NaN"']),
        ([b"NaN"], [b"Infinity"]),
        ([b"9007199254740993"], [b"9007199254740992"]),
        ([b'{"1": 1}'], [b'{"1": 2}']),
        ([b"1", b"2"], [b"2", b"1"]),
        ([b"1", None], [None, b"1"]),
        ([b"1"], [b"1", None]),
        ([b'"a"', b'"b"'], [b'"a""b"']),
        ([b"{broken"], [b"{broken "]),
        ([b"{"], [b'"{"']),
        ([b""], [None]),
        ([rb'"\ud800"'], [rb'"\ud801"']),
        ([rb'"\u00e9"'], [rb'"e\u0301"']),
    ],
)
def test_values_and_their_order_count_in_a_digest(
    one: list[bytes | None], other: list[bytes | None]
) -> None:
    assert digest(*one) != digest(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"1", b"true"),
        (b"null", b"1e400"),
        (rb'{"a": 1e400, "b": "null"}', rb'{"a": null, "b": "\u006eull"}'),
        (b"[null, 1" + b"0" * 309 + b".5]", b"[null, null]"),
        (b"9007199254740993", b"9007199254740992"),
        (b'{"a": {"b": 1}}', b'{"a": {"b": 2}}'),
        (b'{"a": 1}', b'{"a": 1'),
    ],
)
def test_other_values_are_not_the_same(one: bytes, other: bytes) -> None:
    assert not canonical.same(Document(one), Document(other))
    assert not canonical.same(Document(other), Document(one))


@quick
@given(values, values)
def test_the_same_is_what_has_the_same_digest(one: Any, other: Any) -> None:
    first, second = codec.encode(one), codec.encode(other)
    assert canonical.same(first, second) == (digest(first) == digest(second))


@pytest.mark.parametrize("levels", [900, 1500, 100_000])
def test_a_deep_document_has_a_digest(levels: int) -> None:
    deep = b"[" * levels + b"]" * levels
    assert digest(deep) == digest(deep)
    assert digest(deep) != digest(b"[" + deep + b"]")


@pytest.mark.parametrize("document", [None, b"null", b"[]", b"3", b'"a"'])
def test_what_is_no_object_has_no_members(document: bytes | None) -> None:
    assert codec.members(None if document is None else Document(document)) == {}


def test_null_of_either_kind_is_null() -> None:
    nulls: list[Document | None] = [None, Document(b"null"), Document(b"{}"), Document(b'""')]
    assert [codec.is_null(one) for one in nulls] == [True, True, False, False]


@pytest.mark.parametrize("write", [codec.pretty, codec.line])
def test_output_can_always_be_printed(write: Callable[[object], str]) -> None:
    value = {"a": "\ud800\u00e9", "b": [10**5000]}
    assert alike(codec.decode(write(value).encode()), value)


def test_pretty_shows_characters_as_they_are() -> None:
    assert codec.pretty({"a": ["\u00e9"]}) == '{\n  "a": [\n    "\u00e9"\n  ]\n}'


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": "\\ud800y", "\\udc00": "\\\\ud800"}',
        b' [1.50, -0, 1e400, 10E+2, true, null, "\xc3\xa9\x7f"]\r\n\t',
        b"7" * 5000,
        b'"' + b"[" * 500 + rb"\"{\\" + b'"',
        b"[" + b'{"a": [{}]},' * 500 + b"0]",
        b"[" * codec.STRICT_DEPTH + b"]" * codec.STRICT_DEPTH,
    ],
)
def test_what_every_parser_reads_is_strict(text: bytes) -> None:
    assert codec.is_strict(text)
    json.loads(text) if len(text) < 4000 else None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"NaN",
        b"[Infinity]",
        b"01",
        b"[1,]",
        b'{"a": 1',
        b'"a\nb"',
        b'"\x00"',
        rb'"\x"',
        rb'"\ud80"',
        rb'"\u"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        b"1 2",
        b"[" * (codec.STRICT_DEPTH + 1) + b"]" * (codec.STRICT_DEPTH + 1),
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    ],
)
def test_what_some_parser_refuses_is_not_strict(text: bytes) -> None:
    assert not codec.is_strict(text)


@quick
@given(values)
def test_what_agno_writes_is_strict_unless_it_holds_nan(value: Any) -> None:
    text, constants = codec.encode(value), list[str]()
    json.loads(text, parse_constant=constants.append, parse_int=len)
    assert codec.is_strict(text) is (not constants)
