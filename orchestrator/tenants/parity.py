"""What a look at a tenant at a centre says of its parity there."""

from __future__ import annotations

from orchestrator.tenants.items import Key
from orchestrator.tenants.looking import Look
from policies.parity import Parity, Part, parity_of


def parity(found: Look) -> Parity:
    """Return the parity of a tenant at a centre. What the site does not want, and people added, takes nothing away."""
    wrong: dict[Key, str] = {}
    for action in found.actions:
        if action.item.key in {each.key for each in found.wanted.items}:
            wrong.setdefault(action.item.key, _said(action.kind, str(action)))
    missing = {each.key for each in found.wanted.items if each.key not in found.observed}
    return parity_of(
        Part(each.noun, each.name, wrong.get(each.key) or _implied(each.key, missing, each.comes_with))
        for each in found.wanted.items
    )


def _said(kind: str, action: str) -> str:
    words = {"create": "缺少 missing", "update": "不符 differs", "conflict": "被占用 in the way"}
    return f"{words.get(kind, kind)}: {action.partition(' ')[2]}"


def _implied(key: Key, missing: set[Key], comes_with: Key | None) -> str:
    """Return the reason of something that the service will make with what is missing itself."""
    return f"缺少 missing: {key[0]} {key[1]}" if key in missing and comes_with in missing else ""
