"""A sandbox drill of three systems whose servers really boot, while production goes on with the same addresses."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from orchestrator import process
from orchestrator.app import App
from orchestrator.cloud import block_storage, compute
from orchestrator.cloud.ports import ports, project_of
from orchestrator.lab import guest_servers
from orchestrator.lab.guest_servers import GuestServer
from orchestrator.lab.progress import Progress
from orchestrator.lab.registration import vantage
from orchestrator.lab.seed import seed
from orchestrator.process import spawn
from tests.conftest import RunningLab
from tests.integration.conftest import TRICENTER, SmallSite

pytestmark = pytest.mark.integration

DALIAN = Path(__file__).parents[2] / "examples" / "dalian"
BUREAU = "government-services"
SYSTEMS = ("permit-store", "sign-on", "hall-web")
SLOW_SECONDS = 600


@dataclass(frozen=True)
class Hall:
    """The service hall of the example as a site of its own, with a bureau of another name; its servers run."""

    site: SmallSite
    tenant: str
    servers: list[GuestServer]

    @property
    def app(self) -> App:
        return self.site.app

    def server(self, system: str) -> GuestServer:
        return next(each for each in self.servers if each.system.name == system)

    def inside(self, system: str, *command: str) -> str:
        """Run a command in the production network of a system's server."""
        cloud = self.app.tenant_cloud("production", self.tenant)
        (network,) = [each for each in cloud.network.networks(project_id=project_of(cloud)) if each.name == "window"]
        prefix = [each.format(network=network.id, cidr=self.server(system).cidr) for each in vantage(self.site.lab.lab)]
        return process.run([*prefix, *command], deadline_seconds=60).stdout.strip()

    def sql(self, system: str, query: str) -> str:
        address = self.server(system).server.address
        return self.inside(
            system, "psql", "-XAt", f"host={address} user=app dbname=app connect_timeout=10", "-c", query
        )

    def left_of(self, drill: str) -> list[str]:
        """Return what carries a drill's mark at the same-city cloud."""
        from orchestrator.cloud.sweep import what_is_left

        return list(what_is_left(self.app.tenant_cloud("same-city", self.tenant), drill))


@pytest.fixture(scope="module")
def hall(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    tenant = f"hall-{secrets.token_hex(3)}"
    folder = tmp_path_factory.mktemp("hall") / "site"
    (folder / "tenants").mkdir(parents=True)
    (folder / "plans").mkdir()
    _copy(folder, tenant)
    overlay = lab.register(folder)
    site = SmallSite(tenant, folder, overlay, lab)
    site.tricenter("tenant", "apply", tenant, "--yes")
    seed(lab.lab, folder, Progress())
    servers = guest_servers.servers(site.app.site)
    guest_servers.start(lab.lab, servers, Progress())
    made = Hall(site, tenant, servers)
    try:
        for each in SYSTEMS:
            site.tricenter("backup", "run", f"{tenant}/{each}")
        yield made
    finally:
        guest_servers.delete(lab.lab, servers, Progress())
        cloud = site.app.tenant_cloud("same-city", tenant)
        compute.delete_servers(cloud, compute.servers(cloud))


def _copy(folder: Path, tenant: str) -> None:
    """Write the example's hall as a site of its own: buckets, domain and project are by the tenant's name."""
    yaml = YAML(typ="safe")
    head = yaml.load((DALIAN / "site.yaml").read_text())
    head["site"] = tenant
    head.pop("dns", None)
    head.pop("blackouts", None)
    bureau = yaml.load((DALIAN / "tenants" / f"{BUREAU}.yaml").read_text())
    bureau["tenant"] = tenant
    bureau["systems"] = {name: bureau["systems"][name] for name in SYSTEMS}
    plan = (DALIAN / "plans" / "service-hall.yaml").read_text().replace(BUREAU, tenant)
    (folder / "site.yaml").write_text(json.dumps(head, ensure_ascii=False, default=str))
    (folder / "tenants" / f"{tenant}.yaml").write_text(json.dumps(bureau, ensure_ascii=False, default=str))
    (folder / "plans" / "service-hall.yaml").write_text(plan)
    tiers = DALIAN / "tiers"
    if tiers.exists():
        shutil.copytree(tiers, folder / "tiers")


def test_servers_boot_from_the_recovery_point_while_production_goes_on(hall: Hall) -> None:
    before = int(hall.sql("permit-store", "SELECT count(*) FROM records"))
    address = hall.server("permit-store").server.address
    hall.inside("permit-store", "curl", "-sf", "-m", "10", "-d", "later", f"http://{address}/cgi-bin/record")
    now = int(hall.sql("permit-store", "SELECT count(*) FROM records"))
    assert now > before
    _expect_rows(hall, before)
    found = hall.site.json("drill", "run", "service-hall", "--kind", "sandbox", "--centre", "same-city")
    assert found["verdict"] == "met"
    systems = {each["system"].partition("/")[2]: each for each in found["systems"]}
    assert set(systems) == set(SYSTEMS)
    for each in systems.values():
        kinds = {probe["name"].partition(":")[0] for probe in each["probes"]}
        assert "image" in kinds
        assert kinds & {"http", "server-sql"}
        assert all(probe["passed"] for probe in each["probes"])
        assert each["measured"]["stages"]["start"] > 0
    isolated = [each for each in _attempts(hall, found["drill"], "servers") if each]
    assert len(isolated) == 3
    assert all(each["isolation"] for each in isolated)
    assert hall.left_of(found["drill"]) == []
    # Production was not touched: the same server answers with the same address, and has its later row.
    assert int(hall.sql("permit-store", "SELECT count(*) FROM records")) == now
    assert all(each.page for each in guest_servers.look(hall.site.lab.lab, hall.servers))


def test_a_killed_sandbox_leaves_nothing_in_the_cloud(hall: Hall, tmp_path: Path) -> None:
    log = tmp_path / "log"
    words = [TRICENTER, "drill", "run", "service-hall", "--kind", "sandbox", "--centre", "same-city"]
    pid = spawn(words, env=hall.site.variables(), log=log)
    end = time.monotonic() + SLOW_SECONDS
    while not hall.site.attempt_is_open("start:"):
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)
    drill = hall.app.catalogue.runs(flow="drill")[0].id
    assert hall.left_of(drill)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    hall.site.tricenter("replicate", f"{hall.tenant}/sign-on")  # any command clears up first
    cloud = hall.app.tenant_cloud("same-city", hall.tenant)
    assert hall.left_of(drill) == []
    assert [each.name for each in ports(cloud) if drill in each.name] == []
    assert hall.app.ledger.open_cleanups(drill) == []


def test_a_kept_sandbox_becomes_a_failover_without_restoring_its_volumes_again(hall: Hall, tmp_path: Path) -> None:
    """The disaster is declared while a sandbox stands: what it proved is what comes into use."""
    here = ("service-hall", "--centre", "same-city")
    refused = hall.site.tricenter("drill", "run", *here, "--kind", "restore", "--hold", "1h", code=2)
    assert "leaves nothing that could be kept" in refused.stderr
    assert "hold: 9d" in hall.site.tricenter("drill", "run", *here, "--kind", "sandbox", "--hold", "9d", code=2).stderr
    log = tmp_path / "sandbox.log"
    kept = _start(hall, log, "drill", "run", *here, "--kind", "sandbox", "--hold", "30m")
    sandbox = _waiting(hall, "release", kept, log)
    cloud = hall.app.tenant_cloud("same-city", hall.tenant)
    proved = {each.name: each.id for each in block_storage.volumes(cloud) if sandbox in each.name}
    assert len(proved) == len(SYSTEMS)
    log = tmp_path / "failover.log"
    pid = _start(hall, log, "drill", "promote", sandbox, "--reason", "the production centre burns")
    failover = _waiting(hall, "approve", pid, log)
    hall.site.tricenter("drill", "approve", failover, env={"SUDO_USER": "liqiang"})
    assert _waiting(hall, "commit", pid, log) == failover
    assert _ended(kept) == 0  # it has stepped back, and what it made is there
    whole = hall.app.catalogue.attempts(failover)
    assert [each.detail["taken"] for each in whole if each.step == "take-over"] == [True]
    steps = [each for part in hall.app.catalogue.parts(failover) for each in hall.app.catalogue.attempts(part.id)]
    assert {each.detail for each in steps if each.step.startswith("adopt:")} == set(proved.values())
    assert [each.step for each in steps if each.step.startswith("restore:")] == []
    assert {each.detail["passed"] for each in steps if each.step.startswith("probe:")} == {True}
    hall.site.tricenter("drill", "commit", failover)
    assert _ended(pid) == 0, log.read_text()
    (verdict,) = {each.verdict for each in hall.app.catalogue.drills() if each.id == failover}
    assert verdict == "met"
    assert hall.left_of(sandbox) == []
    used = {each.name: each for each in compute.servers(cloud)}
    assert set(used) == {each.called for each in hall.servers}
    assert {volume for each in used.values() for volume in each.volume_ids} == set(proved.values())
    active = hall.site.json("epoch", "show")["active"]
    assert {name: each["centre"] for name, each in active.items()} == {
        f"{hall.tenant}/{name}": "same-city" for name in SYSTEMS
    }
    again = hall.site.tricenter("drill", "promote", sandbox, code=5)
    assert "not kept any more" in again.stderr


def _start(hall: Hall, log: Path, *words: str) -> int:
    return spawn([TRICENTER, *words], env={**hall.site.variables(), "SUDO_USER": "wangmin"}, log=log)


def _waiting(hall: Hall, topic: str, pid: int, log: Path) -> str:
    """Return the run of a plan that waits for a topic, once one does."""
    end = time.monotonic() + SLOW_SECONDS
    while True:
        for each in hall.app.catalogue.runs(flow="drill"):
            if not each.state.ended and (each.waiting_for or "").partition(":")[0] == topic:
                return each.id
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.2)


def _ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _expect_rows(hall: Hall, rows: int) -> None:
    """Let the plan expect exactly the rows of the recovery point: production has more by now."""
    plan = hall.site.folder / "plans" / "service-hall.yaml"
    text = plan.read_text().replace(
        "query: SELECT (count(*) >= 120)::int FROM records", f"query: SELECT (count(*) = {rows})::int FROM records", 1
    )
    plan.write_text(text)


def _attempts(hall: Hall, drill: str, step: str) -> list[Any]:
    parts = hall.app.catalogue.parts(drill)
    return [
        each.detail
        for part in parts
        for each in hall.app.catalogue.attempts(part.id)
        if each.step == step and each.detail
    ]
