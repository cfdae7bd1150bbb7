"""One module per backend, of its name: a `Harness` that starts on a clean place and leaves nothing behind.

`<backend>_<what differs>` is a second one of the same backend; `<backend>_server` is where its servers come from.
"""

from __future__ import annotations

import json

CUT_OFF, NO_TEXT = b'[{"run_id": "old", "content": "half', b"\xff\0"
"""What `damage` stores."""


def as_string(json_text: bytes) -> str:
    """JSON in JSON, as Agno 2 stored it on some."""
    return json.dumps(json_text.decode())
