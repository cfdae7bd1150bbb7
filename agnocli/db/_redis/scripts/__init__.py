"""Lua that a server runs as one step. It names keys by their prefix, so it is for one server, not for a cluster."""

from __future__ import annotations

from typing import NewType

Script = NewType("Script", str)

NOTHING = Script("return 1")
