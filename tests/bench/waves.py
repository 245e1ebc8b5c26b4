"""A drill of many systems against a capacity limit: its makespan beside the least that any order needs.

    python -m tests.bench.waves [--systems 100] [--at-once 6] [--start-seconds 4]

A real S3 server, a repository for each system, real restores with their proofs, through the command line. Systems
depend on each other in layers; starting each takes a while (a script step that sleeps up to `--start-seconds`), as
servers do. The bound is made from what each recovery really took in this run: the longest chain, or the work of the
slot that is shortest of room divided by its capacity, whichever is more.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from orchestrator.app import App
from orchestrator.process import run
from orchestrator.secrets import make_password
from policies.plan import before
from policies.waves import Task, plan_waves
from tests.bench.servers import ADMIN, TENANT, TENANT_BUCKETS, Weed

TRICENTER = str(Path(sys.executable).with_name("tricenter"))
GOAL = 1.15
LAYERS = 5
FILES, FILE_BYTES = 6, 40_000

SITE = """
site: waves
title: {{zh: 百系统演练, en: A hundred systems}}
state: {state}
centres:
  production: {{title: {{zh: 生产, en: Production}}, location: {{latitude: 38.9, longitude: 121.6}}}}
  same-city:
    title: {{zh: 同城, en: Same city}}
    location: {{latitude: 39.05, longitude: 121.78}}
    vault: {{endpoint: '{endpoint}', bucket_prefix: dr-, credential: 'file:{folder}/tenant.json',
      admin_credential: 'file:{folder}/admin.json'}}
  provincial: {{title: {{zh: 省级, en: Provincial}}, location: {{latitude: 41.8, longitude: 123.4}}}}
repository_password: file:{folder}/password
limits:
  centre: {{concurrent: {at_once}}}
  vault: {{concurrent: {at_once}}}
  tenant: {{concurrent: {at_once}}}
"""
TIER = """
tier: city
title: {zh: 同城, en: City}
gbt20988_level: 3
backup_every: 1h
copies:
  same-city: {rpo: 2h, rto: 1h, retention: {keep_within: 30d, lock: 0s}}
drill: {every: 365d}
"""


def write_site(folder: Path, endpoint: str, systems: int, at_once: int, start_seconds: float) -> Path:
    """Write a site whose one plan has all systems, each after up to two of the layer before."""
    site, chance = folder / "site", random.Random(7)
    for name in ("tenants", "tiers", "plans"):
        (site / name).mkdir(parents=True)
    for name, text in (
        ("tenant.json", json.dumps({"access_key": TENANT.access_key, "secret_key": TENANT.secret_key})),
        ("admin.json", json.dumps({"access_key": ADMIN.access_key, "secret_key": ADMIN.secret_key})),
        ("password", make_password().reveal()),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    (site / "site.yaml").write_text(
        SITE.format(state=folder / "state", endpoint=endpoint, folder=folder, at_once=at_once)
    )
    (site / "tiers" / "city.yaml").write_text(TIER)
    names: dict[str, list[str]] = {}
    recoveries = {}
    for number in range(systems):
        tenant, system = f"bureau{number % len(TENANT_BUCKETS)}", f"system{number:03d}"
        tree = folder / "data" / tenant / system
        tree.mkdir(parents=True)
        for each in range(FILES):
            (tree / f"{each}.bin").write_bytes(chance.randbytes(FILE_BYTES))
        names.setdefault(tenant, []).append(system)
        layer = number * LAYERS // systems
        earlier = [name for name, each in recoveries.items() if each["layer"] == layer - 1]
        recoveries[f"{tenant}/{system}"] = {
            "layer": layer,
            "after": chance.sample(earlier, min(2, len(earlier))),
            "sleep": round(chance.uniform(0.25, 1) * start_seconds, 2),
        }
    for tenant, owned in names.items():
        text = {
            "tenant": tenant, "title": {"zh": tenant, "en": tenant}, "unit_code": tenant, "mlps_level": 2,
            "contact": "nobody",
            "systems": {
                each: {
                    "title": {"zh": each, "en": each}, "tier": "city",
                    "sources": {"tree": {"kind": "path", "path": str(folder / "data" / tenant / each)}},
                }
                for each in owned
            },
        }  # fmt: skip
        (site / "tenants" / f"{tenant}.yaml").write_text(json.dumps(text))
    plan = {
        "plan": "wide",
        "deadline": "2h",
        "systems": {
            name: {
                "after": each["after"],
                "steps": [
                    {"do": "restore"},
                    {"do": "script", "name": "start", "command": ["sleep", str(each["sleep"])]},
                    {"do": "probe"},
                ],
            }
            for name, each in recoveries.items()
        },
    }
    (site / "plans" / "wide.yaml").write_text(json.dumps(plan))
    return site


def measure(site: Path, console: Console) -> float:
    """Hold the drill and return the ratio of its makespan to the bound."""
    environment = {**os.environ, "TRICENTER_SITE": str(site), "TRICENTER_OVERLAY": ""}
    begin = time.monotonic()
    run([TRICENTER, "backup", "run", "--output", "json"], env=environment, deadline_seconds=3600)
    console.print(f"backed up in {time.monotonic() - begin:.0f} s")
    words = [TRICENTER, "drill", "run", "wide", "--centre", "same-city", "--output", "json"]
    ended = run(words, env=environment, deadline_seconds=3600, check=False)
    document = json.loads(ended.stdout)
    app = App(site, None)
    plan = app.site.plans["wide"]
    rows = app.catalogue.parts(document["drill"])
    took = {each.arguments["system"]: (each.ended_at - each.started_at).total_seconds() for each in rows}  # type: ignore[operator]
    slots = {each.arguments["system"]: each.slots for each in rows}
    (whole,) = [each for each in app.catalogue.attempts(document["drill"]) if each.step == "systems"]
    needs = before(plan)
    waves = plan_waves([Task(name, took[name], slots[name], needs[name]) for name in plan.systems], app.site.limits)
    makespan = whole.seconds or 0.0
    ratio = makespan / waves.bound
    console.print(
        f"{len(rows)} systems, verdict {document['verdict']}, work {sum(took.values()):.1f} s, "
        f"critical path {waves.path_seconds:.1f} s, bound {waves.bound:.1f} s ({waves.bound_by}), "
        f"makespan {makespan:.1f} s: [bold]{ratio:.3f}[/] × the bound (goal {GOAL})"
    )
    return ratio


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=6)
    parser.add_argument("--start-seconds", type=float, default=4.0)
    given = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tricenter-waves-") as place:
        folder = Path(place)
        folder.chmod(0o711)
        vault = Weed(folder / "vault", centre="same-city")
        vault.start()
        try:
            for bucket in TENANT_BUCKETS:
                vault.admin().ensure_bucket(bucket, lock_days=0)
            site = write_site(folder, vault.endpoint, given.systems, given.at_once, given.start_seconds)
            return 0 if measure(site, console) <= GOAL else 4
        finally:
            vault.stop()


if __name__ == "__main__":
    raise SystemExit(main())
