"""Desired against observed: the actions that make the second into the first. Pure, and the same for every noun."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from orchestrator.tenants.desired import Desired, Target
from orchestrator.tenants.items import Item, Key, Observed, Seen, Value

Kind = Literal["create", "update", "remove", "destroy", "conflict", "extra", "adopt"]


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs. `before` is None for what is not there yet."""

    field: str
    before: Value
    after: Value

    def __str__(self) -> str:
        """Say what changes. A limit that nobody has set is neither zero nor unlimited."""
        unset = self.before is None and isinstance(self.after, int)
        return f"{self.field} {'unset' if unset else show(self.before)} → {show(self.after)}"


@dataclass(frozen=True, slots=True)
class Action:
    """One step from what is to what must be. `object_id` names what is changed; a conflict has a `reason`.

    What is destroyed has a `reason` when it is in use, and says in `loses` what goes with it.
    """

    target: Target
    kind: Kind
    item: Item
    changes: tuple[Change, ...] = ()
    object_id: str | None = None
    reason: str = ""
    loses: str = ""

    @property
    def name(self) -> str:
        """A short name, unique within the target: what evidence is filed under."""
        return f"{self.kind} {self.item.noun} {self.item.name}"

    def __str__(self) -> str:
        """Describe the action for a reader: `update quota compute.cores 20 → 40`."""
        if self.kind == "conflict":
            return f"conflict {self.item.noun} {self.item.name}: {self.reason}"
        if self.kind == "destroy":
            loses = f", with {self.loses}" if self.loses else ""
            return f"{self.name}{loses}{f': {self.reason}' if self.reason else ''}"
        if self.kind == "adopt":
            later = f", to be changed later: {', '.join(map(str, self.changes))}" if self.changes else ""
            return f"{self.name}{f': {self.reason}' if self.reason else later}"
        if self.kind == "update":
            told = ", ".join(f"{self.item.name}.{each}" for each in self.changes)
            return f"update {self.item.noun} {told}"
        return " ".join((self.name, *(_detail(each) for each in self.changes if self._tells(each))))

    def _tells(self, change: Change) -> bool:
        """Tell whether a value of something new says more than its name does."""
        if change.field in ("description", "secret_file", "tag", "enabled"):
            return False
        return change.after not in ("", (), None, self.item.name)


@dataclass(frozen=True, slots=True)
class Approval:
    """What is approved with a plan: its actions as they were shown, what they make, and the values they end in.

    It outlives the process: after a crash what is left to do may read otherwise than it was shown.
    """

    shown: tuple[str, ...]
    made: tuple[str, ...]
    values: tuple[str, ...]
    destroyed: tuple[str, ...] = ()

    @classmethod
    def of(cls, actions: tuple[Action, ...]) -> Approval:
        made = tuple(_named(each.item.key) for each in actions if each.kind == "create")
        values = tuple(_end(each, change) for each in actions for change in each.changes)
        destroyed = tuple(_marked_down(each) for each in actions if each.kind == "destroy")
        return cls(tuple(str(each) for each in actions), made, values, destroyed)

    def covers(self, action: Action) -> bool:
        """Tell whether an action was shown, or is what is left of one that was begun and cut off.

        Of something that the plan makes, that is any value that it was to have, and what the service makes with it.
        What is destroyed is covered by its id: another of the same name is not.
        """
        if action.kind == "destroy":
            return _marked_down(action) in self.destroyed
        if str(action) in self.shown:
            return True
        if action.kind == "update":
            return all(_end(action, each) in self.values for each in action.changes)
        with_it = action.item.within if action.kind == "remove" else action.item.comes_with
        return action.kind != "conflict" and with_it is not None and _named(with_it) in self.made

    def as_evidence(self) -> list[str]:
        return list(self.shown)


def plan(wanted: Desired, observed: Observed) -> tuple[Action, ...]:
    """Return the actions, in an order in which they can be done. Empty when all is as it must be."""
    actions = [action for item in wanted.items if (action := _act(wanted.target, item, observed))]
    return (*actions, *_removals(wanted, observed))


def conflicts(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """Return the actions that nobody but a person can settle."""
    return tuple(each for each in actions if each.kind == "conflict")


def show(value: Value) -> str:
    """Return a value as a reader expects it; -1 is what the services say for unlimited."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, tuple):
        return ",".join(value)
    return "unlimited" if value == -1 else str(value)


def _named(key: Key) -> str:
    return " ".join(key)


def _marked_down(action: Action) -> str:
    return f"{_named(action.item.key)} {action.object_id}"


def _end(action: Action, change: Change) -> str:
    return f"{_named(action.item.key)}.{change.field} → {show(change.after)}"


def _detail(change: Change) -> str:
    return show(change.after) if isinstance(change.after, str) else f"{change.field}={show(change.after)}"


def _act(target: Target, item: Item, observed: Observed) -> Action | None:
    found = observed.get(item.key, ())
    ours = [each for each in found if each.ours or not item.owned]
    if not found:
        implied = item.comes_with is not None and item.comes_with not in observed
        return None if implied else Action(target, "create", item, _all_new(item))
    if not ours:
        return _conflict(
            target,
            item,
            found[0],
            "exists and was not created by Tricenter: rename one of the two, delete it, or tenant import",
        )
    if item.owned and len(ours) > 1:
        ids = ", ".join(each.id for each in ours)
        return _conflict(target, item, ours[0], f"exists {len(ours)} times ({ids}): delete those not in use")
    return _update(target, item, ours[0])


def _update(target: Target, item: Item, seen: Seen) -> Action | None:
    changes = differences_of(item, seen)
    fixed = [each for each in changes if each.field in item.fixed]
    if fixed:
        told = ", ".join(str(each) for each in fixed)
        return _conflict(target, item, seen, f"{told} cannot be changed in place: move or delete it by hand")
    return Action(target, "update", item, changes, seen.id) if changes else None


def differences_of(item: Item, seen: Seen) -> tuple[Change, ...]:
    """Return the values in which something that was seen is not what is wanted."""
    called = (Change("name", seen.called, item.name),) if seen.called else ()
    return (*called, *_differences(item, seen.item))


def _differences(item: Item, there: Item) -> Iterator[Change]:
    before = there.values()
    for field, after in item.values().items():
        value = before.get(field)
        if after is None or value == after:
            continue
        if field in item.at_least and isinstance(value, int) and isinstance(after, int) and value > after:
            continue
        yield Change(field, value, after)


def _removals(wanted: Desired, observed: Observed) -> Iterator[Action]:
    """Yield the links that Tricenter made and that the site no longer wants: access must end when it is taken away."""
    keys = {each.key for each in wanted.items}
    for key, found in sorted(observed.items()):
        for seen in found:
            known = seen.item.within is None or seen.item.within in keys
            if seen.item.removable and seen.ours and known and key not in keys:
                yield Action(wanted.target, "remove", seen.item, (), seen.id)


def _all_new(item: Item) -> tuple[Change, ...]:
    return tuple(Change(field, None, value) for field, value in item.values().items())


def _conflict(target: Target, item: Item, seen: Seen, reason: str) -> Action:
    return Action(target, "conflict", item, (), seen.id, reason)
