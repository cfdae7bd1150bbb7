"""One module per backend, of its name: a `Harness` that starts on a clean place and leaves nothing behind."""
