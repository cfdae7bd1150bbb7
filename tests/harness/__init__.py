"""One module per backend, of its name: a `Harness` that starts on a clean place and leaves nothing behind.

`<backend>_<what differs>` is a second one of the same backend; `<backend>_server` is where its servers come from.
"""
