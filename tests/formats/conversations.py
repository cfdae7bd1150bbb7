"""Conversations with all that can be in one, some of it meant to do harm where it is shown."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from typing import Any

from agnocli.records import Document, Run, Session, SessionBundle
from agnocli.testing.records import EPOCH, document

HOSTILE = (
    "<script>document.documentElement.dataset.hurt=1</script>\n"
    '<img src=x onerror="document.documentElement.dataset.hurt=2">\n\n'
    "[click](javascript:document.documentElement.dataset.hurt=3) [again](JAVASCRIPT&#58;document.documentElement.dataset.hurt=4) "
    "[data](data:text/html;base64,PHNjcmlwdD4=) ![pixel](https://tracker.example/pixel.gif)\n\n"
    "[ref]\n\n[ref]: javascript:document.documentElement.dataset.hurt=5\n\n"
    "\x1b]0;owned\x07\x1b[31mred\x1b[0m \u202egnp.exe\r\nnext\x00line\n\n"
    "</div></article></main><style>body{display:none}</style>\n\n"
    "````\n```\ninner\n```\n````\n\n"
    "```html\n<script>document.documentElement.dataset.hurt=6</script>"
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="document.documentElement.dataset.hurt=7"/>'


def png(width: int = 240, height: int = 120) -> bytes:
    """A picture of a gradient."""
    rows = (
        b"\0" + b"".join(bytes((255 * x // width, 120, 255 * y // height)) for x in range(width))
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + packed + chunk(b"IEND", b"")


def coded(content: bytes) -> str:
    return b64encode(content).decode()


def said(role: str, content: object = "", **more: object) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def call(name: str, arguments: str, call_id: str = "c1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def run(session_id: str, number: int, *messages: dict[str, Any], **more: Any) -> Run:
    run_id = f"{session_id}.{number}"
    columns = {
        name: more.pop(name) for name in ("parent_run_id", "status", "agent_id") if name in more
    }
    data = {"run_id": run_id, "agent_id": "assistant", "messages": list(messages), **more}
    filled = {"agent_id": "assistant", "status": "COMPLETED", **columns}
    return Run(
        run_id=run_id,
        session_id=session_id,
        run_index=number,
        run_data=document(data),
        created_at=EPOCH + 60 * number,
        **filled,
    )


ANSWER = """Here is what I found:

| City | Teas | Price |
|:-----|:----:|------:|
| Kyoto | 12 | 4.50 |
| **Hangzhou** | 31 | 2.20 |

1. Boil the water, *not* over 80 °C
2. Wait for `3` minutes

```python
def brew(leaves: int, *, celsius: float = 80.0) -> str:
    \"\"\"A pot of tea.\"\"\"
    return f"{leaves} leaves at {celsius}°"
```

> Patience is the best leaf.

See [the guide](https://example.org/tea) for more."""


def everything(session_id: str = "tea-1", name: str = "Tea for two") -> SessionBundle:
    """Tools, reasoning, pictures, files, an error, members, repeated history, and what is unreadable."""
    session = Session(
        session_id=session_id,
        agent_id="assistant",
        user_id="alice",
        session_data=document(
            {
                "session_name": name,
                "session_state": {"cups": 2, "likes": ["sencha", "抹茶"]},
                "session_metrics": {"input_tokens": 1234, "output_tokens": 321},
            }
        ),
        agent_data=document({"agent_id": "assistant", "model": {"id": "gpt-4o-mini"}}),
        metadata=document({"tags": ["home"]}),
        summary=document({"summary": "They talk about **tea**."}),
        created_at=EPOCH,
        updated_at=EPOCH + 600,
    )
    picture = {"content": coded(png()), "mime_type": "image/png"}
    drawn = {"content": coded(SVG), "mime_type": "image/svg+xml"}
    return SessionBundle(
        session,
        (
            run(
                session_id,
                0,
                said("system", "You are a tea master. Be brief."),
                said("user", "Which tea should I make for two, and how?"),
                said(
                    "assistant",
                    "",
                    reasoning_content="They want tea. I could *look it up*.",
                    tool_calls=[call("find_tea", '{"people": 2, "kind": "green"}')],
                ),
                said(
                    "tool", '{"tea": "sencha", "grams": 8}', tool_call_id="c1", tool_name="find_tea"
                ),
                said("assistant", ANSWER, metrics={"input_tokens": 120, "output_tokens": 88}),
                metrics={"input_tokens": 150, "output_tokens": 95},
            ),
            run(
                session_id,
                1,
                said("user", "Which tea should I make for two, and how?", from_history=True),
                said("assistant", ANSWER, from_history=True),
                said(
                    "user",
                    "What is on this picture?\n\nAnd in the notes?",
                    images=[picture, {"url": "https://example.org/cup.jpg"}, drawn],
                    files=[
                        {
                            "filename": "notes.txt",
                            "mime_type": "text/plain",
                            "content": "Buy leaves",
                        }
                    ],
                ),
                said("assistant", "A gradient from blue to red, and a shopping list. 🍵"),
            ),
            run(
                session_id,
                2,
                said("assistant", "I looked at the shop.", created_at=EPOCH + 121),
                parent_run_id=f"{session_id}.3",
                agent_id="buyer",
                agent_name="Buyer",
            ),
            run(
                session_id,
                3,
                said("user", HOSTILE),
                said("assistant", HOSTILE, tool_calls=[call("<b>x</b>", HOSTILE, "c2")]),
                said("tool", HOSTILE, tool_call_id="c2", tool_name="x", tool_call_error=True),
            ),
            run(
                session_id,
                4,
                said("user", "=1+1"),
                status="ERROR",
                content="The model is away",
                metadata={"agnocli": {"error": "The model is away: <b>429</b>"}},
            ),
            Run(
                run_id=f"{session_id}.5",
                session_id=session_id,
                agent_id="assistant",
                run_index=5,
                run_data=Document(
                    b'{"messages": [<script>document.documentElement.dataset.hurt=8</script>'
                ),
                created_at=EPOCH + 300,
            ),
        ),
    )
