"""A change of a tenant's quota: what is written differently in its file, and what that makes of its limits.

An approval is of the limits: before and after, each one that differs. Whatever alters them meanwhile, be it the file, a
class or another change, makes it another change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from policies.findings import did_you_mean
from policies.quota import Quota, QuotaClass
from policies.quota_classes import SERVICES, UNLIMITED, Limits, effective
from policies.tenant import Tenant

#: By what is edited: `quota_class`, `quota_multiplier`, or a limit such as `compute.cores`. None: no longer written.
Edits = Mapping[str, int | str | None]

CLASS, MULTIPLIER = "quota_class", "quota_multiplier"
LIMITS = tuple(f"{service}.{what}" for service in SERVICES for what in type(getattr(Quota(), service)).model_fields)


class Difference(NamedTuple):
    """A limit before and after: -1 is unlimited, None is left as the cloud has it."""

    limit: str
    before: int | None
    after: int | None

    def __str__(self) -> str:
        return f"{self.limit}  {told(self.before)} → {told(self.after)}"


def told(amount: int | None) -> str:
    """Return an amount for a reader. Pure."""
    if amount is None:
        return "未设 unset"
    return "不限 unlimited" if amount == UNLIMITED else str(amount)


def parse_edits(
    sets: Iterable[str], unsets: Iterable[str], quota_class: str | None = None, multiplier: int | None = None
) -> dict[str, int | str | None]:
    """Return the edits that `compute.cores=40` and the like ask for. Pure.

    An empty `quota_class` takes the class away, and the multiplier with it. Raises ValueError, saying what is wanted.
    """
    edits: dict[str, int | str | None] = {}
    for text in sets:
        name, equals, amount = text.partition("=")
        if not equals:
            raise ValueError(f"{text!r}: want SERVICE.LIMIT=NUMBER, such as compute.cores=40")
        _add(edits, name.strip(), _amount(amount.strip()))
    for name in unsets:
        _add(edits, name, None)
    if quota_class == "":
        edits |= {CLASS: None, MULTIPLIER: None}
    elif quota_class is not None:
        edits[CLASS] = quota_class
    if multiplier is not None:
        if quota_class == "":
            raise ValueError("a multiplier without a class has nothing to multiply")
        edits[MULTIPLIER] = multiplier
    return edits


def _add(edits: dict[str, int | str | None], name: str, amount: int | str | None) -> None:
    if name not in LIMITS:
        raise ValueError(f"no limit named {name!r}: {did_you_mean(name, LIMITS)}")
    if name in edits:
        raise ValueError(f"{name} is given twice")
    edits[name] = amount


def _amount(text: str) -> int | str:
    if text == "unlimited":
        return text
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r}: want a whole number from 0, or unlimited")
    return int(text)


def edited(document: Mapping[str, Any], edits: Edits) -> dict[str, Any]:
    """Return a tenant's document with edits in it. Pure. May be repeated. A mapping left empty goes too."""
    changed = deepcopy(dict(document))
    for name, value in edits.items():
        put(changed, trail_of(name), value)
    return changed


def trail_of(name: str) -> tuple[str, ...]:
    """Return where an edit stands in a tenant's file: `compute.cores` is at quota, compute, cores. Pure."""
    return (name,) if name in (CLASS, MULTIPLIER) else ("quota", *name.split("."))


def put(document: Any, trail: tuple[str, ...], value: int | str | None) -> None:
    """Write a value into nested mappings, or with None take it out: in place, so a mapping keeps its comments."""
    head, *rest = trail
    if not rest:
        if value is None:
            document.pop(head, None)
        else:
            document[head] = value
        return
    if document.get(head) is None:
        if value is None:
            return
        document[head] = {}
    put(document[head], tuple(rest), value)
    if not document[head]:
        document.pop(head)


def limits_of(tenant: Tenant, classes: Mapping[str, QuotaClass]) -> Limits:
    """Return what a tenant may use. Pure. Raises KeyError for a class that is not known."""
    return effective(classes, tenant.quota, tenant.quota_class, tenant.quota_multiplier)


def differences(before: Limits, after: Limits) -> tuple[Difference, ...]:
    """Return every limit whose amount differs, in the order of their names. Pure."""
    return tuple(_differing(before, after))


def _differing(before: Limits, after: Limits) -> Iterator[Difference]:
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        amounts = (old.amount if old else None, new.amount if new else None)
        if amounts[0] != amounts[1]:
            yield Difference(".".join(key), *amounts)


def is_below(wanted: int | None, used: int) -> bool:
    """Return whether a limit lets less be used than is. Unlimited and unset never do. Pure."""
    return wanted is not None and wanted != UNLIMITED and wanted < used
