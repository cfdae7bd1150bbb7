"""Parts of the SQLite backend."""
