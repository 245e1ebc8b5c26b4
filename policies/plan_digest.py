"""The digest of a plan: it changes when anything changes that a drill of the plan has shown to work.

What stands in it: the plan, its systems with their tiers' objectives, the networks and security groups that their
servers stand in, and of the site the centres' vaults and clouds. Secrets are named in a site and never written, so
none can stand in it. What does not: titles, people, and how often drills are held.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from policies.plan import Plan
from policies.site import Site, SystemRef

#: What names or rates things for people, wherever it stands.
FOR_PEOPLE = frozenset(("title", "description", "owner", "duty"))


def plan_digest(site: Site, plan: Plan) -> str:
    """Return the SHA-256 (64 hexadecimal digits) of what the plan recovers, how, and from where. Pure."""
    return _digest(described(site, plan))


def plan_digests(site: Site) -> dict[str, str]:
    """Return the digest of every plan of the site, by its name. Pure."""
    place = _place(site)
    return {name: _digest({**_plan(site, plan), **place}) for name, plan in site.plans.items()}


def described(site: Site, plan: Plan) -> dict[str, Any]:
    """Return what the digest is of, as plain JSON."""
    return {**_plan(site, plan), **_place(site)}


def _digest(value: dict[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _plan(site: Site, plan: Plan) -> dict[str, Any]:
    refs = {name: site.system(*name.split("/", 1)) for name in plan.systems}
    return {
        "plan": _bare(plan.model_dump(mode="json", by_alias=True)),
        "systems": {name: _system(ref) for name, ref in refs.items() if ref},
    }


def _place(site: Site) -> dict[str, Any]:
    centres = {name: each.model_dump(mode="json", include={"vault", "cloud"}) for name, each in site.centres.items()}
    return {
        "centres": centres,
        "repository_password": site.repository_password,
        "clouds_file": site.clouds_file,
    }


def _system(ref: SystemRef) -> dict[str, Any]:
    networks = {each.network for each in ref.system.servers.values()}
    groups = {group for each in ref.system.servers.values() for group in each.security_groups}
    tier = ref.tier.model_dump(mode="json", include={"tier", "backup_every", "copies"})
    return {
        "system": _bare(ref.system.model_dump(mode="json")),
        "tier": tier,
        "networks": _bare(_some(ref.tenant.networks, networks)),
        "security_groups": _bare(_some(ref.tenant.security_groups, groups)),
    }


def _some(models: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: each.model_dump(mode="json") for name, each in models.items() if name in names}


def _bare(value: Any) -> Any:
    """Return a value without what is for people."""
    if isinstance(value, dict):
        return {key: _bare(each) for key, each in value.items() if key not in FOR_PEOPLE}
    if isinstance(value, list):
        return [_bare(each) for each in value]
    return value
