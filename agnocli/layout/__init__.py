"""Agno's storage as pure functions: names, computed columns, old layouts, the session dict. No driver, no I/O."""
