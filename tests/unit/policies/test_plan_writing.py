"""Plans that are written from a description: they are right as written, and show what the systems need."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.load import check_site, load_site
from policies.plan import effective_steps
from policies.plan_writing import open_ports, start_order, written_plan
from policies.site import Site, SystemRef

SERVED = """\
security_groups:
  web: {rules: [{protocol: tcp, ports: 80}, {protocol: tcp, ports: 8443}, {protocol: tcp, ports: 9000-9100}]}
  data: {rules: [{protocol: tcp, ports: 5432}, {protocol: udp, ports: 53}, {direction: egress}]}
systems:
  ris:
    title: {zh: "放射: 系统", en: "RIS: it's"}
    tier: data-backup
    sources:
      root: {kind: volume, volume: ris-root}
      disk: {kind: volume, volume: ris-disk}
      db: {kind: postgresql, host: db, database: ris, user: backup, password: env:RIS}
    servers:
      web: {boot: root, flavor: small, network: ward, address: 10.1.0.9, security_groups: [web], after: [db]}
      db: {boot: disk, flavor: small, network: ward, address: 10.1.0.8, security_groups: [data]}
"""


@pytest.fixture
def served(site_folder: Path) -> Path:
    tenant = site_folder / "tenants" / "health.yaml"
    tenant.write_text(tenant.read_text("utf-8").replace("systems:\n", SERVED), "utf-8")
    return site_folder


def refs(site: Site) -> list[SystemRef]:
    return list(site.systems())


def rewritten(folder: Path, names: list[str] | None = None, group: str | None = None) -> Site:
    """The site with the plan that was written for its systems; comments taken for keys must be right as well."""
    chosen = [ref for ref in refs(load_site(folder)) if names is None or ref.name in names]
    text = written_plan("made", chosen, group)
    (folder / "plans").mkdir(exist_ok=True)
    (folder / "plans" / "made.yaml").write_text(text, "utf-8")
    assert check_site(folder).findings == ()
    return load_site(folder)


def test_a_written_plan_is_right_and_says_what_would_be_done_anyway(served: Path) -> None:
    site = rewritten(served)
    made = site.plans["made"]
    assert list(made.systems) == ["health/his", "health/ris"]
    for ref in refs(site):
        bare = made.model_copy(update={"systems": {str(ref): made.systems[str(ref)].model_copy(update={"steps": ()})}})
        assert made.systems[str(ref)].steps == effective_steps(bare, str(ref), ref.system)
    assert [step.do for step in made.systems["health/ris"].steps] == ["restore", "network", "servers", "start", "probe"]


def test_probes_ask_what_the_security_groups_open_in_the_order_of_the_servers(served: Path) -> None:
    probes = rewritten(served).plans["made"].systems["health/ris"].probes
    told = [(each.kind, each.model_dump().get("server"), each.model_dump().get("port")) for each in probes]
    assert told == [("tcp", "db", 5432), ("http", "web", 80), ("http", "web", 8443)]
    assert [each.tls for each in probes if each.kind == "http"] == [False, True]


def test_a_group_is_kept(served: Path) -> None:
    made = rewritten(served, group="data").plans["made"]
    assert made.groups == ("data",)
    assert {each.group for each in made.systems.values()} == {"data"}


def test_what_is_only_suggested_is_right_when_it_is_taken(served: Path) -> None:
    text = written_plan("made", refs(load_site(served)))
    lines = []
    for line in text.splitlines():
        bare = line.lstrip()
        taken = bare.startswith(
            ("# networks:", "#   health", "# names:", "#   www", "# reconcile:", "#   - left", "#     right")
        )
        lines.append(bare.removeprefix("# ") if taken else line)
    (served / "plans").mkdir()
    (served / "plans" / "made.yaml").write_text("\n".join(lines) + "\n", "utf-8")
    assert check_site(served).faults == ()
    made = load_site(served).plans["made"]
    assert made.networks
    assert made.names
    assert made.reconcile


def test_ports_and_order_by_themselves(served: Path) -> None:
    (ref,) = (each for each in refs(load_site(served)) if each.name == "ris")
    assert open_ports(ref.system.servers["web"], ref.tenant.security_groups) == [80, 8443]
    assert open_ports(ref.system.servers["db"], ref.tenant.security_groups) == [5432]
    assert start_order(ref.system) == ["db", "web"]
