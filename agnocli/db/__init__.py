"""Backends: one module each, named after its type.

To add one of type `x`:

1. Write `agnocli/db/x.py` with `open_backend(options, *, name, read_only) -> Backend`: the contract is `agnocli.abc`,
   `memory.py` is what it means. Import the driver there, nowhere else, and raise its errors as `agnocli.errors`.
   Every public module here except `registry` is a type; what several share goes into a package, as `sql`.
2. Take the options' spellings with `layout.names.canonical`, and give the type its URL schemes in `config/urls.py`;
   without that it is configured by table alone. A driver goes into an extra named `x`, listed in `registry.EXTRAS`.
3. Write `tests/harness/x.py`. The whole contract and the commands then run on it.

A package of its own does the same from outside: entry-point group `agnocli.backends`, name `x`, that function.
"""
