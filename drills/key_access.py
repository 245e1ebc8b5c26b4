"""Key access: every recovery first proves that the tenant's password opens what it will recover from.

A backup that nobody can open is none. The password of this host serves a drill; in the disaster it may be gone with the
host, so it is looked as well at the escrow that would give it back. That is warned of, and holds nobody up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from drills.plans.looking import Answer
from orchestrator.catalogue.database import now, patient
from orchestrator.catalogue.keys import Keys, read_keys, record_access
from orchestrator.errors import CheckFailed
from policies.escrow import Escrow
from policies.site import SystemRef
from policies.values import format_duration

if TYPE_CHECKING:
    from drills.flows import Program

CHECK = "custodians come with their shares: tricenter escrow check"
BUNDLE = "tricenter escrow bundle writes one; schedule show says what holds it back"


@dataclass(frozen=True, slots=True)
class KeyAccess:
    """What opened, and what is known of the escrow of its password at that centre: None where the site has none."""

    repository: str
    centre: str
    escrow: Answer | None

    def as_evidence(self) -> dict[str, Any]:
        told = self.escrow._asdict() if self.escrow else None
        return {"repository": self.repository, "centre": self.centre, "escrow": told}


def prove_access(program: Program, vault: str, ref: SystemRef) -> KeyAccess:
    """Open the repository of a system at a centre with the tenant's password, and remember when. May be repeated.

    Raises CheckFailed when it does not open, Unreachable. What is wrong with the escrow is told and not raised.
    """
    repository = program.repository(vault, ref)
    if not repository.opens():
        raise CheckFailed(
            f"the password of {ref.tenant.tenant} does not open {ref} at {vault}",
            hint="tricenter key check tells which repositories open; a bundle of the escrow has the password as it was",
        )
    moment = now()
    record_access(program.catalogue, ref.tenant.tenant, vault, moment)
    rule = program.site.escrow
    known = patient(read_keys)(program.catalogue)
    return KeyAccess(str(ref), vault, judge_escrow(rule, known, vault, moment) if rule else None)


def judge_escrow(rule: Escrow, known: Keys, centre: str, moment: datetime) -> Answer:
    """Return whether a centre has a bundle of late, and custodians have shown, not too long ago, that they open it."""
    bundle, check = known.bundles.get(centre), known.checks.get(centre)
    if bundle is None:
        return Answer("warn", "该中心没有救援包", "there is no rescue bundle here", "tricenter escrow split")
    if check is None or check.key != bundle.key:
        return Answer("warn", "从未验证份额可打开救援包", "no shares ever opened today's rescue bundle", CHECK)
    age, every = _age(moment - check.checked_at), _age(rule.check_every)
    if moment - check.checked_at > rule.check_every:
        return Answer("warn", f"份额 {age} 前验证，应每 {every}", f"shares were proved {age} ago, over {every}", CHECK)
    if moment - bundle.made_at > rule.bundle_every:
        made, often = _age(moment - bundle.made_at), _age(rule.bundle_every)
        zh, en = f"救援包 {made} 前制作，应每 {often}", f"the rescue bundle is {made} old, over {often}"
        return Answer("warn", zh, en, BUNDLE)
    if bundle.missing:
        zh, en = f"救援包缺少 {bundle.missing} 个机密", f"the rescue bundle lacks {bundle.missing} secrets"
        return Answer("warn", zh, en, "tricenter escrow status names them")
    return Answer("ok", f"份额 {age} 前验证", f"shares opened the rescue bundle {age} ago")


def _age(span: timedelta) -> str:
    return format_duration(span.total_seconds())
