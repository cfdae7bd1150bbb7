"""What a session took: tokens as the providers counted them, and what they cost by the user's own prices."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agnocli import codec
from agnocli.cli.render.text import one_line
from agnocli.cli.repl.commands.command import Command

if TYPE_CHECKING:
    from agnocli.cli.repl.loop import Repl
    from agnocli.sessions.stats import Group


def _tokens(repl: Repl, argument: str) -> None:
    from agnocli.messages import data
    from agnocli.sessions.turns import last_turn

    talk = repl.talk
    turn = last_turn(talk.backend, talk.session_id, own=repl.own_runs)
    session = codec.members(talk.backend.get(talk.session_id).session_data)
    sys.stdout.write(f"last turn  {_counted(data(turn.run).get('metrics'))}\n")
    sys.stdout.write(f"session    {_counted(session.get('session_metrics'))}\n")


def _counted(metrics: object) -> str:
    """Tokens as the provider counted them."""
    counts = metrics if isinstance(metrics, dict) else {}
    names = {"input_tokens": "in", "output_tokens": "out", "total_tokens": "together"}
    parts = [
        f"{counts[name]:,} {word}"
        for name, word in names.items()
        if isinstance(counts.get(name), int)
    ]
    return ", ".join(parts) or "unknown: the provider did not count"


def _cost(repl: Repl, argument: str) -> None:
    """A line for each model, and one for all when there are several."""
    from agnocli.cli.counting import called
    from agnocli.records import SessionBundle
    from agnocli.sessions.stats import Dimension, Statistics

    session, backend = repl.must_be_stored(), repl.talk.backend
    found = Statistics((Dimension.MODEL,), prices=repl.app.config.prices, named=called())
    found.add(SessionBundle(session, backend.runs(session.session_id)))
    lines = {one_line(model or "unknown model"): one for (model,), one in found.groups.items()}
    if len(lines) > 1:
        lines["together"] = found.total
    width = max(map(len, lines), default=0)
    for name, group in lines.items():
        sys.stdout.write(f"{name:<{width}}  {_spent(group)}\n")
    if found.without_price:
        named = ", ".join(sorted(one or "runs of no known model" for one in found.without_price))
        repl.app.note(f"no price for {named}: [prices] of the configuration has them")
    if found.copies:
        repl.app.note(f"{found.copies:,} runs are copies; they count where they were asked")


def _spent(group: Group) -> str:
    cost = "" if group.cost is None else f"  cost {group.cost:,.4f}"
    return f"{group.input_tokens:,} in, {group.output_tokens:,} out{cost}"


COMMANDS = (
    Command("tokens", "", "what the provider counted", _tokens),
    Command("cost", "", "tokens of this session, cost by your prices", _cost),
)
