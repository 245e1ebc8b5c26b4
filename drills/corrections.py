"""What a drill's document says about each system, as findings to follow: what was wrong, and what was right.

A finding's key names the same thing in every drill: a probe by its name, an objective, a step by what it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from drills.measure import base_of
from orchestrator.catalogue.corrections import Looked, Problem, follow_up
from orchestrator.catalogue.store import Catalogue
from policies.values import format_duration


def follow_drill(catalogue: Catalogue, document: Mapping[str, Any]) -> None:
    """Make findings of what a drill found wrong, and verify or open again what earlier ones found. May be repeated."""
    follow_up(catalogue, look_at(document))


def look_at(document: Mapping[str, Any]) -> list[Looked]:
    """Return what a drill found of each of its systems. Pure."""
    found = []
    for system in document["systems"]:
        told = list(_told(document, system))
        tenant, _, name = system["system"].partition("/")
        found.append(
            Looked(
                drill=document["drill"],
                plan=document["plan"],
                tenant=tenant,
                system=name,
                centre=document["centre"],
                owner=document["owner"] or system["contact"],
                ended_at=datetime.fromisoformat(document["ended_at"]),
                problems=tuple(each for each in told if isinstance(each, Problem)),
                right=frozenset(each for each in told if isinstance(each, str)),
            )
        )
    return found


def _told(document: Mapping[str, Any], system: Mapping[str, Any]) -> Iterator[Problem | str]:
    """Yield a problem for what was wrong, and the key of what was right."""
    yield from _steps(document, system)
    yield from _probes(system)
    yield from _objectives(system)
    for number, each in enumerate(document["reconciliations"], 1):
        sides = [str(each[side].get("system", "")) for side in ("left", "right") if isinstance(each.get(side), Mapping)]
        if system["system"] not in sides and not (not sides and system is document["systems"][0]):
            continue
        name = each.get("name") or str(number)
        yield (
            f"reconcile:{name}"
            if each["passed"]
            else Problem(
                f"reconcile:{name}"[:200],
                f"跨系统核对 {name} 不一致：应为 {each['expected']}，实为 {each['got']}",
                f"the reconciliation {name} differs: expected {each['expected']}, got {each['got']}",
            )
        )


def _steps(document: Mapping[str, Any], system: Mapping[str, Any]) -> Iterator[Problem | str]:
    own = [each for each in document["attempts"] if each["system"] == system["system"]]
    for step, each in {base_of(each["step"]): each for each in own}.items():
        if step.startswith("probe:"):
            continue
        if each["outcome"] == "passed":
            yield f"step:{step}"
        elif each["outcome"] != "started":
            said = each["error"] or each["outcome"]
            yield Problem(f"step:{step}"[:200], f"步骤 {step} 未完成：{said}", f"step {step} did not pass: {said}")


def _probes(system: Mapping[str, Any]) -> Iterator[Problem | str]:
    for each in system["probes"]:
        key, want, got = f"probe:{each['step'].partition(':')[2]}"[:200], each["expected"], each["got"]
        if each["passed"]:
            yield key
        else:
            yield Problem(
                key,
                f"校验 {each['name']} 未通过：应为 {want}，实为 {got}",
                f"probe {each['name']} failed: expected {want}, got {got}",
            )


def _objectives(system: Mapping[str, Any]) -> Iterator[Problem | str]:
    for name in ("rpo", "rto"):
        actual, limit = system["measured"][f"{name}_seconds"], system["objective"][f"{name}_seconds"]
        if actual is None:
            continue
        if actual <= limit:
            yield f"objective:{name}"
        else:
            said, allowed = format_duration(actual), format_duration(limit)
            yield Problem(
                f"objective:{name}",
                f"{name.upper()} 实测 {said}，超过目标 {allowed}",
                f"the measured {name.upper()} of {said} exceeds the objective of {allowed}",
            )
