"""Tenants made and mended by the engine: by one process on SQLite and by three workers on PostgreSQL, one killed.

Judged by the clouds, past the program: every object that the site wants is there once, and nothing else of ours.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from orchestrator.app import App
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import HELD, RunState
from orchestrator.engine.inprocess import make_order
from orchestrator.process import run as run_process
from tests.conftest import RunningLab
from tests.integration.fault_rounds import marked_objects, wanted_objects
from tests.integration.fleet import TRICENTER, WorkerProcess, processes, until
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

TENANTS = 4
CLOUDS = ("production", "same-city")
VAULTS = {"same-city": 30, "provincial": 40}
SECONDS = 240
SERVER = [TRICENTER, "serve", "--no-schedule", "--listen", "127.0.0.1:0"]
WORKER = [TRICENTER, "worker", "--no-schedule", "--jobs", "2"]


@dataclass
class Town:
    """A site of some bureaus, and the processes that make them."""

    site: TenantSite
    env: dict[str, str]
    argv: list[str]
    start: Callable[..., WorkerProcess]
    workers: list[WorkerProcess] = field(default_factory=list)

    @cached_property
    def app(self) -> App:
        return App(self.site.folder / "site", self.site.folder / "overlay.yaml")

    @cached_property
    def ledger(self) -> Ledger:
        return self.app.ledger

    def add_worker(self) -> None:
        self.workers.append(self.start(self.argv, self.env))

    def ask(self, flow: str, *arguments: dict[str, str]) -> None:
        self.ledger.submit_new([make_order(self.app, self.app.flows[flow], each) for each in arguments])

    def kill_one_in_the_middle(self) -> str:
        """Kill the worker of an apply that has done a part of its steps, and return the run."""
        found: list[tuple[str, str]] = []

        def in_the_middle() -> bool:
            held = self.app.catalogue.runs(states=HELD)
            found[:] = [(each.id, each.worker or "") for each in held if len(self.app.catalogue.attempts(each.id)) > 3]
            return bool(found)

        until(in_the_middle, SECONDS, self.how_it_is, every=0.02)
        run, worker = found[0]
        victim = next((each for each in self.workers if each.id == worker), self.workers[0])
        os.kill(victim.pid, signal.SIGKILL)
        self.workers.remove(victim)
        return run

    def wait(self) -> None:
        until(lambda: not self.app.catalogue.open_runs(), SECONDS, self.how_it_is, every=0.2)

    def how_it_is(self) -> object:
        told = [(each.subject, each.state, each.generation, each.error) for each in self.app.catalogue.runs()]
        return told, [each.said[-20:] for each in self.workers]


@pytest.fixture(params=["one process on SQLite", "three workers on PostgreSQL"])
def town(
    request: pytest.FixtureRequest, lab: RunningLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Town]:
    site = TenantSite(tmp_path, lab.dir, lab.clouds_file)
    for number in range(TENANTS):
        site.tenants[site.add()]["networks"]["office"]["cidr"] = f"10.77.{number}.0/24"
    site.overlay["drift"] = {"default": "report", "heal": ["rule", "quota"]}
    site.write()
    env = {"TRICENTER_SITE": str(tmp_path / "site"), "TRICENTER_OVERLAY": str(tmp_path / "overlay.yaml")}
    several = "PostgreSQL" in request.param
    if several:
        env["TRICENTER_DATABASE_URL"] = request.getfixturevalue("postgresql_url")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    run_process([TRICENTER, "db", "upgrade"], env=env, deadline_seconds=60)
    with processes() as start:
        made = Town(site, env, WORKER if several else SERVER, start)
        for _ in range(3 if several else 1):
            made.add_worker()
        yield made
    made.app.catalogue.engine.dispose()
    for tenant in site.tenants:
        for cloud in CLOUDS:
            purge(site.admin(cloud), tenant)
        for centre, port in VAULTS.items():
            delete_bucket(lab, centre, port, f"tenant-test-{tenant}")


def test_bureaus_are_made_once_and_mended_whoever_dies(town: Town) -> None:
    tenants = sorted(town.site.tenants)
    centres = (*CLOUDS, "provincial")
    town.ask("tenant-apply", *({"tenant": t, "centre": c, "approved": "yes"} for t in tenants for c in centres))
    killed = town.kill_one_in_the_middle()
    if not town.workers:
        town.add_worker()
    town.wait()
    runs = town.app.catalogue.runs()
    assert Counter(each.state for each in runs) == {RunState.DONE: TENANTS * len(centres)}, town.how_it_is()
    assert next(each for each in runs if each.id == killed).generation > 1
    for cloud in CLOUDS:
        for tenant in tenants:
            assert marked_objects(town.site.admin(cloud), tenant) == wanted_objects(tenant)
    assert planned(town) == []

    for cloud in CLOUDS:
        change_by_hand(town.site, cloud, tenants)
    assert len({each["tenant"] for each in planned(town)}) == TENANTS
    town.ask("tenant-drift", *({"centre": each} for each in CLOUDS))
    town.wait()
    assert planned(town) == []
    assert {each.state for each in town.app.catalogue.runs()} == {RunState.DONE}, town.how_it_is()


def planned(town: Town) -> list[dict[str, Any]]:
    argv = [TRICENTER, "tenant", "plan", "--fresh", "--output", "json"]
    told = json.loads(run_process(argv, env=town.env, deadline_seconds=120).stdout)
    actions: list[dict[str, Any]] = told["actions"]
    return actions


def change_by_hand(site: TenantSite, cloud: str, tenants: list[str]) -> None:
    """Take a rule away and raise a quota, of each bureau."""
    admin = site.admin(cloud)
    for project in admin.identity.projects():
        if project.name in tenants:
            (group,) = admin.network.security_groups(project_id=project.id, name="web")
            for rule in admin.network.security_group_rules(security_group_id=group.id, port_range_min=443):
                admin.network.delete_security_group_rule(rule)
            admin.compute.put(f"/os-quota-sets/{project.id}", json={"quota_set": {"cores": 99}})


def delete_bucket(lab: RunningLab, centre: str, port: int, bucket: str) -> None:
    key = json.loads((lab.dir / "secrets" / f"vault-{centre}.admin.json").read_text())
    base = json.loads((lab.dir / "lab.json").read_text())["port_base"]
    store = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{base + port}",
        region_name="us-east-1",
        aws_access_key_id=key["access_key"],
        aws_secret_access_key=key["secret_key"],
    )
    with suppress(ClientError):
        store.delete_bucket(Bucket=bucket)
    store.close()
