"""Plans and differences as Markdown: for a review, a ticket or a merge request."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from orchestrator.tenants.drift import Difference
from orchestrator.tenants.looking import Look, Looks
from orchestrator.tenants.planning import Action
from orchestrator.tenants.showing import notes, summary


def plan_markdown(looks: Looks) -> str:
    """Return a plan as Markdown: a table for each target, and the counts."""
    lines = ["# 租户计划 Tenant plan", ""]
    for each in looks.found:
        if each.actions or each.left:
            lines += [
                f"## {each.target}",
                "",
                "| 操作 | 对象 object | 名称 name | 改动 change |",
                "| --- | --- | --- | --- |",
            ]
            lines += [_row(_kind(action, each), action) for action in (*each.actions, *each.left)]
            lines.append("")
    lines += [f"* {_cell(note['text'])}" for note in notes(looks)]
    lines += [f"* ✗ {centre}: {_cell(str(error))}" for centre, error in looks.unreachable.items()]
    return "\n".join([*lines, summary(looks)])


def drift_markdown(found: Sequence[tuple[Look, Sequence[Difference]]], looks: Looks) -> str:
    """Return what differs as Markdown, with what becomes of each."""
    lines = ["# 租户漂移 Tenant drift", ""]
    for each, several in found:
        if several:
            head = "| 操作 | 对象 object | 名称 name | 改动 change | 处置 fate | 原因 why |"
            lines += [f"## {each.target}", "", head, "| --- | --- | --- | --- | --- | --- |"]
            lines += [f"{_row(_kind(one.action, each), one.action)} {one.fate} | {_cell(one.why)} |" for one in several]
            lines.append("")
    lines += [f"* ✗ {centre}: {_cell(str(error))}" for centre, error in looks.unreachable.items()]
    number = sum(len(several) for _, several in found)
    return "\n".join(
        [*lines, f"{number} difference(s), {sum(one.fate == 'heal' for _, s in found for one in s)} to heal"]
    )


def print_markdown(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _kind(action: Action, found: Look) -> str:
    return "left" if action in found.left else action.kind


def _row(kind: str, action: Action) -> str:
    changes = ", ".join(map(str, action.changes)) if action.kind == "update" else ""
    told = changes or action.reason or action.loses
    cells = (kind, action.item.noun, f"`{_cell(action.item.name)}`", _cell(told))
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """Return a text that cannot end its cell."""
    return text.replace("|", "\\|").replace("\n", " ")
