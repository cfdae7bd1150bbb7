"""A conversation without its words: the tree of its runs, and what its bytes are spent on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agnocli import codec
from agnocli.cli.render.text import age, bytes_of, cells, fit, iso, one_line
from agnocli.cli.render.transcript import BOLD, DIM, RED, YELLOW, Page, head
from agnocli.errors import CodecError
from agnocli.layout.members import Placed, in_reading_order
from agnocli.layout.sizes import Sizes
from agnocli.layout.spoken import Said, Turn, tokens, turn
from agnocli.records import Run, Session

BAR = 24
STATUS_COLORS = {"failed": RED, "unfinished": YELLOW, "stopped": YELLOW, "interrupted": YELLOW}


def write_sizes(page: Page, session: Session, sizes: Sizes) -> None:
    """A line for each cause, the largest first."""
    head(page, session)
    page.line()
    page.line(f"{bytes_of(sizes.total)} of JSON", BOLD)
    for cause, count in sizes.by_cause.most_common():
        if count:
            share = count / sizes.total
            bar = page.style("█" * round(share * BAR), DIM)
            page.line(f"{cause:<16} {bytes_of(count):>10} {share:>5.0%}  {bar}".rstrip())


def write_tree(page: Page, session: Session, runs: Iterable[Run]) -> None:
    """One line a run, members below the run they are part of."""
    head(page, session)
    page.line()
    for group in _groups(in_reading_order(runs), session):
        for branch, one in zip(_branches([one.depth for one in group]), group, strict=True):
            _line(page, branch, one, session)


def _groups(placed: Iterable[Placed], session: Session) -> Iterator[list[Turn]]:
    """A turn and its members' runs, without their documents."""
    group: list[Turn] = []
    for one in placed:
        if one.depth == 0 and group:
            yield group
            group = []
        group.append(_short(turn(one, session), one.run))
    if group:
        yield group


def _short(found: Turn, run: Run) -> Turn:
    from msgspec.structs import replace

    asked = next((s for s in found.said if isinstance(s, Said) and s.message.role == "user"), None)
    try:
        numbers = tokens(codec.members(run.run_data).get("metrics"))
    except CodecError:
        numbers = ""
    words = one_line(asked.message.content[:400]) if asked else ""
    return replace(
        found,
        run=replace(run, run_data=b""),
        said=(),
        aside=(("words", words), ("numbers", numbers)),
    )


def _branches(depths: list[int]) -> Iterator[str]:
    """The lines of a tree in front of each of its nodes, given depth first."""
    for place, depth in enumerate(depths):
        drawn = ""
        for level in range(1, depth + 1):
            goes_on = _goes_on(depths[place + 1 :], level)
            if level == depth:
                drawn += "├─ " if goes_on else "└─ "
            else:
                drawn += "│  " if goes_on else "   "
        yield drawn


def _goes_on(later: list[int], level: int) -> bool:
    """Whether another node of this level follows under the same parent."""
    return next((depth == level for depth in later if depth <= level), False)


def _line(page: Page, branch: str, found: Turn, session: Session) -> None:
    own = session.team_id or session.agent_id or session.workflow_id or session.session_type
    number = f"{found.number:>4}" if found.number else "    "
    aside = dict(found.aside)
    moment = found.run.created_at
    about = [one_line(found.author or own), age(moment, page.now) if page.tty else iso(moment)]
    about += filter(None, [aside.get("numbers"), found.unreadable and "cannot be read"])
    plain = f"{number} {branch}{' · '.join(about)}"
    ending = one_line(found.ending)
    colored = f"{page.style(number, DIM)} {page.style(branch, DIM)}{page.style(about[0], BOLD)}"
    colored += "".join(f" · {one}" for one in about[1:])
    if ending:
        plain += f" · {ending}"
        colored += f" · {page.style(ending, STATUS_COLORS.get(found.ending, DIM))}"
    room = page.width - cells(plain) - 3 if page.tty else 200
    words = fit(aside.get("words", ""), room) if room >= 12 else ""
    page.line(colored + (f" · {page.style(words, DIM)}" if words else ""))
