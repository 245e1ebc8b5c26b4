"""What goes from a bucket by itself: its lifecycle rules. Ours lets hidden versions go once their lock has ended.

Nothing of ours deletes a version: retention and pruning hide objects under delete markers, and an undelete takes these
away. Without a rule of the store all that was ever written would stay for ever. The rule counts from when a version was
hidden, and so much longer than the longest lock that a lock which was lengthened on the last day before has ended too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import TricenterError
from orchestrator.vault.wire import NoSuchObject
from policies.locks import kept_days

#: The name of our rule. Whatever others a bucket has are left as they are.
RULE = "tricenter-hidden-versions"

#: What stores say that know no lifecycle rules.
UNKNOWN = frozenset({"NotImplemented", "MethodNotAllowed", "XNotImplemented"})

Rule = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expiry:
    """What goes from a bucket by itself.

    A hidden version is kept for `kept_days`, 0: for ever; None where the store has no lifecycle rules. `harmful` names
    the other rules that take what is in use, or what is hidden before its lock can have ended.
    """

    kept_days: int | None
    harmful: tuple[str, ...] = ()


def our_rule(days: int) -> Rule:
    """Return the rule by which a hidden version goes after so many days, and then the marker that hid it. Pure."""
    return {
        "ID": RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": days},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    }


def judge_rules(rules: Sequence[Rule] | None, lock_days: int) -> Expiry:
    """Return what a bucket's rules come to that locks for so many days. Pure."""
    if rules is None:
        return Expiry(None)
    ours = [each for each in rules if each.get("ID") == RULE and each.get("Status") == "Enabled"]
    days = min((each.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays", 0) for each in ours), default=0)
    return Expiry(days, tuple(_harmful(rules, lock_days)))


def _harmful(rules: Sequence[Rule], lock_days: int) -> Iterator[str]:
    for number, each in enumerate(rules, 1):
        if each.get("Status") != "Enabled":
            continue
        shows = each.get("Expiration", {}).keys() & {"Days", "Date"}
        hidden = each.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")
        if shows or (hidden is not None and hidden < kept_days(lock_days)):
            yield each.get("ID") or f"rule {number}"


def read_rules(s3: Any, bucket: str, translated: Any) -> list[Rule] | None:
    """Return the lifecycle rules of a bucket; None where the store knows none. Raises Unreachable and the like."""
    try:
        with translated(bucket):
            found: list[Rule] = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except NoSuchObject:
        return []
    except TricenterError as error:
        answer = getattr(error.__cause__, "response", {})
        if answer.get("Error", {}).get("Code") in UNKNOWN:
            return None
        raise
    return found


def write_rule(s3: Any, bucket: str, translated: Any, others: Sequence[Rule], days: int) -> None:
    """Set our rule beside the others of a bucket. May be repeated."""
    rules = [*(each for each in others if each.get("ID") != RULE), our_rule(days)]
    with translated(bucket):
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
