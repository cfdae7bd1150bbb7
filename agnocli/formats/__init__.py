"""Files of sessions. `shape` says how they look, `registry` opens them."""
