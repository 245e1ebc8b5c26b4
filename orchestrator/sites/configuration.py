"""The configuration as the audit chain knows it: digests of the site as it was loaded, and who loaded it."""

from __future__ import annotations

from importlib.metadata import version

from orchestrator.catalogue import audit
from orchestrator.catalogue.store import Catalogue
from orchestrator.person import login_name
from policies.site import Site, SiteFile

PARTS = ("tiers", "tenants", "plans")


def site_digests(site: Site, algorithm: str) -> dict[str, str]:
    """Return the digest of the whole site, of site.yaml, tiers, tenants and plans. A site holds no secret. Pure."""
    told = site.model_dump(mode="json")
    parts = {"site": {name: told[name] for name in SiteFile.model_fields}, **{name: told[name] for name in PARTS}}
    digests = {name: audit.digest_of(algorithm, audit.canonical(part)) for name, part in parts.items()}
    return {"digest": audit.digest_of(algorithm, audit.canonical(digests)), **digests}


def plan_digest(site: Site, plan: str, algorithm: str = "sha256") -> str:
    """Return the digest of one plan as it was loaded. Pure."""
    return audit.digest_of(algorithm, audit.canonical(site.plans[plan].model_dump(mode="json")))


def note_configuration(site: Site, catalogue: Catalogue, algorithm: str) -> str:
    """Write into the audit chain that the configuration is another one, when it is, and return its digest.

    Raises InvalidInput where the digest is not available, and Unreachable.
    """
    digests = site_digests(site, algorithm)
    audit.note_configuration(catalogue.engine, digests, login_name(), f"tricenter {version('tricenter')}")
    return digests["digest"]
