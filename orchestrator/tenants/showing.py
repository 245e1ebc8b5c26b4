"""Plans and results as a person reads them, and as JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.catalogue.database import now
from orchestrator.catalogue.quota_uses import QuotaUse
from orchestrator.errors import PartlyDone, TricenterError
from orchestrator.tenants import items
from orchestrator.tenants.applying import Applied, Outcome
from orchestrator.tenants.desired import CENTRES
from orchestrator.tenants.looking import Look, Looks
from orchestrator.tenants.planning import Action, Kind, show
from policies.site import Site

SIGNS: Mapping[Kind, tuple[str, str]] = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "remove": ("-", "red"),
    "destroy": ("x", "bold red"),
    "conflict": ("!", "bold red"),
    "extra": ("?", "magenta"),
    "adopt": ("=", "cyan"),
}


#: Columns of a table that no person looks at: enough for `grep` to find an id and its values on one line.
PIPED_WIDTH = 200


def print_json(console: Console, value: Any) -> None:
    console.print(json.dumps(value, ensure_ascii=False, indent=2), markup=False, soft_wrap=True)


def print_plan(console: Console, looks: Looks) -> None:
    """Print what would be done, one line an action, and a summary."""
    for look in looks.found:
        if look.actions or look.left:
            console.print(Text(str(look.target), style="bold"))
            for action in look.actions:
                console.print(line(action), soft_wrap=True)
            for action in look.left:
                console.print(_left_line(action), soft_wrap=True)
    if any(look.left for look in looks.found):
        hint = "标 x 的站点已不再要，未获准删除，保留 lines marked x are no longer wanted, and stay: --allow-destroy"
        console.print(Text(hint, style="dim"), soft_wrap=True)
    for note in notes(looks):
        console.print(Text(note["text"], style="dim"), soft_wrap=True)
    for centre, error in looks.unreachable.items():
        console.print(Text(f"✗ {centre}: {error}", style="red"), soft_wrap=True)
    console.print(Text(f"计划 plan: {summary(looks)}", style="bold"))
    if looks.remembered_at:
        minutes = (now() - looks.remembered_at).total_seconds() / 60
        told = f"部分为记忆 in part remembered, the oldest for {minutes:.0f} min: --fresh 重新询问 asks again"
        console.print(Text(told, style="dim"), soft_wrap=True)


def line(action: Action) -> Text:
    """Return an action as a line of a diff: `  + create network business 10.20.1.0/24`."""
    sign, style = SIGNS[action.kind]
    return Text(f"  {sign} {action}", style=style)


def _left_line(action: Action) -> Text:
    sign, _ = SIGNS["destroy"]
    return Text(f"  {sign} left: {action}", style="dim")


def summary(looks: Looks) -> str:
    """Return the counts of a plan in one line."""
    kinds = Counter(action.kind for action in looks.actions)
    unchanged = sum(look.unchanged for look in looks.found)
    parts = [f"{kinds['create']} to create", f"{kinds['update']} to update"]
    parts += [f"{kinds['remove']} to remove"] if kinds["remove"] else []
    parts += [f"{kinds['destroy']} to destroy"] if kinds["destroy"] else []
    parts += [f"{kinds['conflict']} in conflict"] if kinds["conflict"] else []
    parts += [f"{unchanged} unchanged"]
    parts += [f"{left} no longer wanted"] if (left := sum(len(look.left) for look in looks.found)) else []
    parts += [f"{len(looks.unreachable)} centre(s) unreachable"] if looks.unreachable else []
    return ", ".join(parts)


def notes(looks: Looks) -> list[dict[str, Any]]:
    """Return what is left out at each centre because its cloud lacks the service, and for how many tenants."""
    counts = Counter((look.target.centre, service) for look in looks.found for service in look.left_out)
    return [
        {
            "centre": centre,
            "service": service,
            "tenants": tenants,
            "text": f"{centre}: 云上没有 {service}，{tenants} 家租户的档次限额不计 the cloud has no such service: "
            f"what the quota classes of {tenants} tenant(s) say of it is left out",
        }
        for (centre, service), tenants in counts.items()
    ]


def plan_json(looks: Looks) -> dict[str, Any]:
    kinds = Counter(action.kind for action in looks.actions)
    return {
        "actions": [action_json(each) for each in looks.actions],
        "left": [action_json(each) for look in looks.found for each in look.left],
        "summary": {
            "create": kinds["create"],
            "update": kinds["update"],
            "remove": kinds["remove"],
            "destroy": kinds["destroy"],
            "conflict": kinds["conflict"],
            "unchanged": sum(look.unchanged for look in looks.found),
        },
        "notes": notes(looks),
        "unreachable": {centre: str(error) for centre, error in looks.unreachable.items()},
        "remembered_at": looks.remembered_at.isoformat() if looks.remembered_at else None,
    }


def action_json(action: Action) -> dict[str, Any]:
    return {
        "tenant": action.target.tenant,
        "centre": action.target.centre,
        "kind": action.kind,
        "noun": action.item.noun,
        "name": action.item.name,
        "id": action.object_id,
        "changes": [{"field": each.field, "before": each.before, "after": each.after} for each in action.changes],
        "reason": action.reason or None,
        "loses": action.loses or None,
        "text": str(action),
    }


def print_applied(console: Console, applied: Applied) -> None:
    """Print what became of each target that did not end well, and the counts of all."""
    for outcome in applied.outcomes:
        if outcome.error:
            left = f", {outcome.pending} action(s) left" if outcome.pending else ""
            console.print(Text(f"✗ {outcome.target}: {outcome.error}{left}", style="red"), soft_wrap=True)
        elif outcome.conflicts:
            console.print(Text(f"! {outcome.target}: conflict, nothing written", style="bold red"), soft_wrap=True)
        elif outcome.pending:
            console.print(Text(f"✗ {outcome.target}: still differs: {outcome.planned[0]}", style="red"))
    for centre, error in applied.unreachable.items():
        console.print(Text(f"✗ {centre}: {error}", style="red"), soft_wrap=True)
    counts = applied_json(applied)["summary"]
    told = [f"{counts['created']} created", f"{counts['updated']} updated"]
    told += [f"{counts['removed']} removed"] if counts["removed"] else []
    told += [f"{counts['destroyed']} destroyed"] if counts["destroyed"] else []
    told += [f"{counts['failed']} failed", f"{counts['unchanged']} unchanged"]
    told += [f"{counts['conflicts']} in conflict"] if counts["conflicts"] else []
    told += [f"{counts['left']} left that the site no longer wants"] if counts["left"] else []
    console.print(Text(f"结果 result: {', '.join(told)}", style="bold"))


def applied_json(applied: Applied) -> dict[str, Any]:
    return {
        "targets": [_outcome_json(each) for each in applied.outcomes],
        "summary": {
            "created": applied.count("create"),
            "updated": applied.count("update"),
            "removed": applied.count("remove"),
            "destroyed": applied.count("destroy"),
            "left": sum(len(each.left) for each in applied.outcomes),
            "failed": applied.failed,
            "conflicts": sum(len(each.conflicts) for each in applied.outcomes),
            "unchanged": applied.unchanged,
            "writes": applied.writes,
        },
        "unreachable": {centre: str(error) for centre, error in applied.unreachable.items()},
    }


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "tenant": outcome.target.tenant,
        "centre": outcome.target.centre,
        "state": outcome.state,
        "done": [action_json(each) for each in outcome.done],
        "conflicts": [action_json(each) for each in outcome.conflicts],
        "left": [action_json(each) for each in outcome.left],
        "pending": outcome.pending,
        "writes": outcome.writes,
        "error": str(outcome.error) if outcome.error else None,
    }


def state_of(looks: Looks, tenant: str, centre: str) -> str:
    """Return in a word how a tenant stands at a centre."""
    if centre in looks.unreachable:
        return "unreachable"
    found = [each for each in looks.found if each.target == (tenant, centre)]
    if not found:
        return "-"
    if not found[0].actions:
        return "in sync"
    return "absent" if found[0].absent else f"differs ({len(found[0].actions)})"


def tenants_json(site: Site, tenants: Sequence[str], looks: Looks) -> list[dict[str, Any]]:
    return [
        {
            "tenant": name,
            "title": site.tenants[name].title.model_dump(),
            "systems": dict(Counter(each.tier for each in site.tenants[name].systems.values())),
            "centres": {centre: state_of(looks, name, centre) for centre in CENTRES},
        }
        for name in tenants
    ]


def print_tenants(console: Console, site: Site, tenants: Sequence[str], looks: Looks) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("租户 tenant", "名称 title", "系统 systems", *CENTRES):
        table.add_column(heading, overflow="fold")
    styles = {"in sync": "green", "unreachable": "red", "absent": "dim", "-": "dim"}
    for row in tenants_json(site, tenants, looks):
        systems = ", ".join(f"{tier} {count}" for tier, count in sorted(row["systems"].items()))
        states = (Text(state, style=styles.get(state, "yellow")) for state in row["centres"].values())
        table.add_row(row["tenant"], str(site.tenants[row["tenant"]].title), systems, *states)
    console.print(table, width=None if console.is_terminal else PIPED_WIDTH)


#: What is used of quotas, by tenant and centre, and there by service and resource.
Uses = Mapping[tuple[str, str], Mapping[tuple[str, str], QuotaUse]]


def objects_json(looks: Looks, uses: Uses) -> list[dict[str, Any]]:
    return [
        {"tenant": look.target.tenant, "centre": look.target.centre, **each}
        for look in looks.found
        for each in _objects(look, uses)
    ]


def print_objects(console: Console, looks: Looks, uses: Uses) -> None:
    """Print everything that was found, centre by centre."""
    for look in looks.found:
        differs = f"differs ({len(look.actions)})" if look.actions else "in sync"
        console.print(Text(f"{look.target}: {'absent' if look.absent else differs}", style="bold"))
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("对象 object", "名称 name", "编号 id", "归属 by", "属性 values"):
            table.add_column(heading, overflow="fold", no_wrap=heading == "编号 id")
        for each in _objects(look, uses):
            values = ", ".join(f"{name}={_from(each, name, value)}" for name, value in each["values"].items())
            whose = "tricenter" if each["managed"] else "-"
            table.add_row(*(Text(cell) for cell in (each["noun"], each["name"], each["id"], whose, values)))
        console.print(table, width=None if console.is_terminal else PIPED_WIDTH)
    for centre, error in looks.unreachable.items():
        console.print(Text(f"✗ {centre}: {error}", style="red"), soft_wrap=True)


def _from(row: Mapping[str, Any], name: str, value: Any) -> str:
    """Return a value, and for a limit what is used of it and where the site says it: `3/40 (class small × 2)`."""
    origin = row.get("origins", {}).get(name)
    used = row.get("used", {}).get(name)
    shown = show(value) if used is None else f"{used}/{show(value)}"
    return f"{shown} ({origin})" if origin else shown


def _objects(look: Look, uses: Uses) -> Iterator[dict[str, Any]]:
    origins = {each.key: dict(each.origins) for each in look.wanted.items if isinstance(each, items.Quota)}
    mine = uses.get((look.target.tenant, look.target.centre), {})
    for found in look.observed.values():
        for seen in found:
            item = seen.item
            used = {name: mine[item.name, name].used for name in item.values() if (item.name, name) in mine}
            yield {
                "noun": item.noun,
                "name": item.name,
                "id": seen.id,
                "managed": seen.ours,
                "values": item.values(),
                **({"origins": origins.get(item.key, {}), "used": used} if isinstance(item, items.Quota) else {}),
            }


def explain_unreachable(looks: Looks) -> TricenterError | None:
    """Return the error that stands for centres that did not answer, None when all did."""
    if not looks.unreachable:
        return None
    first = next(iter(looks.unreachable.values()))
    if not looks.found:
        return first
    told = "; ".join(f"{centre}: {error}" for centre, error in looks.unreachable.items())
    return PartlyDone(f"not every centre could be looked at: {told}", hint=first.hint)
