"""Rounds of making a tenant in a cloud of which a part of the requests goes wrong, and proof of what came of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.cloud.connection import Connection
from orchestrator.cloud.marks import TAG
from tests.integration.fault_proxy import Faults, fault_proxy
from tests.integration.tenant_sites import TenantSite, purge

#: Exit code, stdout and stderr of `tricenter tenant …`.
Run = Callable[..., tuple[int, str, str]]

#: All is done; some is, and what is not is named; refused; no answer. Never a fault of the program itself.
CLEAR = (0, 3, 5, 6)
RERUNS = 12


@contextmanager
def through_proxy(site: TenantSite, faults: Faults) -> Iterator[None]:
    """Within it the site reaches its production cloud through the proxy alone."""
    direct = site.clouds_file
    clouds = json.loads(direct.read_text())
    catalog = site.admin("production").session.auth.get_access(site.admin("production").session).service_catalog.catalog
    services = {url.split("/")[2]: url.split("/")[2] for each in catalog for url in [each["endpoints"][0]["url"]]}
    with fault_proxy(services, faults) as names:
        auth = clouds["clouds"]["production"]["auth"]
        host = auth["auth_url"].split("/")[2]
        auth["auth_url"] = auth["auth_url"].replace(host, names[host])
        site.clouds_file = Path(site.folder / "clouds-by-proxy.yaml")
        site.clouds_file.write_text(json.dumps(clouds))
        site.write()
        try:
            yield
        finally:
            site.clouds_file = direct
            site.write()


def make(site: TenantSite, faults: Faults, run: Run, story: list[str]) -> None:
    """Make the tenant of the site from nothing while requests go wrong; run again as long as the outcome says so."""
    with through_proxy(site, faults):
        for _ in range(RERUNS):
            code, out, err = run("apply", "--yes", "--centre", "production")
            story.append(f"{code} {err.strip()[-600:]}")
            assert code in CLEAR, story
            assert "Traceback" not in out + err, story
            if code == 0:
                return
            assert "下一步 next:" in err, (story, out)
    raise AssertionError(f"not done after {RERUNS} applies: {story}")


def prove(site: TenantSite, tenant: str, run: Run, story: list[str]) -> None:
    """Prove, past the proxy, that the cloud has each thing that the site wants, once, and nothing else of ours."""
    code, out, err = run("plan", "--fresh", "--centre", "production", "--output", "json")
    assert code == 0, err
    assert json.loads(out)["actions"] == [], (out, story)
    assert json.loads(out).get("left", []) == [], (out, story)
    assert marked_objects(site.admin("production"), tenant) == wanted_objects(tenant), story


def wanted_objects(tenant: str) -> Counter[tuple[str, str]]:
    """Return what the site of one bureau wants of a cloud, by noun and name: each once."""
    return Counter(
        {
            ("network", "office"): 1,
            ("subnet", "office"): 1,
            ("router", "public"): 1,
            ("interface", "public"): 1,
            ("security group", "baseline"): 1,
            ("security group", "web"): 1,
            ("security group", "closed"): 1,
            ("user", "zhang"): 1,
            ("user", "tricenter"): 1,
            ("group", f"{tenant}-members"): 1,
            ("credential", "tricenter"): 1,
            ("project", tenant): 1,
            ("domain", tenant): 1,
        }
    )


def marked_objects(admin: Connection, tenant: str) -> Counter[tuple[str, str]]:
    """Count what the cloud lists of a tenant with our mark, by noun and name: found by the mark, not by the name."""
    identity, network = admin.identity, admin.network
    found: Counter[tuple[str, str]] = Counter()
    domains = list(identity.domains(name=tenant))
    found.update(("domain", each.name) for each in domains if TAG in (each.description or ""))
    for domain in domains:
        projects = list(identity.projects(domain_id=domain.id))
        found.update(("project", each.name) for each in projects if TAG in each.tags)
        found.update(("group", each.name) for each in identity.groups(domain_id=domain.id))
        for user in identity.users(domain_id=domain.id):
            found["user", user.name] += 1
            found.update(("credential", each.name) for each in identity.application_credentials(user=user.id))
        for project in projects:
            found += Counter(_networks(network, project.id))
    return found


def _networks(network: Any, project_id: str) -> Iterator[tuple[str, str]]:
    listings = {
        "network": network.networks,
        "subnet": network.subnets,
        "router": network.routers,
        "security group": network.security_groups,
    }
    routers = {each.id: each.name for each in network.routers(project_id=project_id)}
    for noun, listing in listings.items():
        for each in listing(project_id=project_id):
            if TAG in each.tags or TAG in (each.description or ""):
                yield noun, each.name
    for port in network.ports(project_id=project_id):
        if port.device_id in routers and port.device_owner.startswith("network:router_interface"):
            yield "interface", routers[port.device_id]


def rounds(site: TenantSite, tenant: str, run: Run, faults: Faults, total: int) -> list[str]:
    """Make the tenant and take it away until so many faults have happened. Return what was told at each apply."""
    story: list[str] = []
    while sum(faults.happened.values()) < total:
        make(site, faults, run, story)
        prove(site, tenant, run, story)
        purge(site.admin("production"), tenant)
    return story
