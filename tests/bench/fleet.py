"""What the benchmarks of backups share: a site of many systems on a vault of its own, and what a command costs."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from orchestrator.process import find_program, spawn
from orchestrator.secrets import Secret, make_password, write_private
from orchestrator.vault.restic import Repository
from tests.bench.servers import ADMIN, REGION, TENANT, TENANT_BUCKETS, Weed

#: The bare restic has the same password; what its key costs is up to its own init.
PASSWORD = make_password().reveal()
BUREAU = TENANT_BUCKETS[0].removeprefix("dr-")
TRICENTER = str(Path(sys.executable).with_name("tricenter"))

SITE = """
site: bench
title: {{zh: 基准, en: Bench}}
state: {state}
centres:
  production: {{title: {{zh: 生产, en: Production}}, location: {{latitude: 38.9, longitude: 121.6}}}}
  same-city:
    title: {{zh: 同城, en: Same city}}
    location: {{latitude: 39.05, longitude: 121.78}}
    vault: {{endpoint: '{endpoint}', credential: 'file:tenant.json', admin_credential: 'file:admin.json'}}
  provincial: {{title: {{zh: 省级, en: Provincial}}, location: {{latitude: 41.8, longitude: 123.4}}}}
repository_password: file:password
"""

TIER = """
tier: near
title: {zh: 同城, en: Near}
backup_every: 20m
copies:
  same-city: {rpo: 1h, rto: 4h, retention: {keep_within: 14d, lock: 0s}}
drill: {every: 365d}
gbt20988_level: 2
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took; memory is that of its largest process."""

    wall: float
    cpu: float
    peak_mib: float


@dataclass
class Fleet:
    """Systems `s000`, `s001`, … of one bureau, each a folder under `trees`."""

    folder: Path
    weed: Weed
    costs: dict[str, list[Cost]] = field(default_factory=dict)

    @property
    def trees(self) -> Path:
        return self.folder / "trees"

    def write(self, systems: int) -> list[str]:
        """Write the site and return the names of its systems."""
        site = self.folder / "site"
        for part in ("tiers", "tenants"):
            (site / part).mkdir(parents=True)
        text = SITE.format(state=self.folder / "state", endpoint=self.weed.endpoint)
        (site / "site.yaml").write_text(text, encoding="utf-8")
        (site / "tiers" / "near.yaml").write_text(TIER, encoding="utf-8")
        names = [f"s{number:03d}" for number in range(systems)]
        head = f"tenant: {BUREAU}\ntitle: {{zh: 局, en: Bureau}}\nunit_code: T-1\nmlps_level: 2\ncontact: nobody\n"
        lines = [
            f"  {name}: {{title: {{zh: 系统, en: System}}, tier: near, "
            f"sources: {{files: {{kind: path, path: '{self.trees / name}'}}}}}}\n"
            for name in names
        ]
        (site / "tenants" / f"{BUREAU}.yaml").write_text(head + "systems:\n" + "".join(lines), encoding="utf-8")
        for file, credential in (("tenant.json", TENANT), ("admin.json", ADMIN)):
            keys = {"access_key": credential.access_key, "secret_key": credential.secret_key}
            write_private(site / file, json.dumps(keys))
        write_private(site / "password", PASSWORD)
        return names

    def tricenter(self, what: str, *words: str) -> Cost:
        return self.measure(what, [TRICENTER, *words], {"TRICENTER_SITE": str(self.folder / "site")})

    def shell(self, what: str, script: str, *words: str) -> Cost:
        """Run a script of bash in which `$RESTIC` is restic with its options, and `$S3` the bucket of the peer."""
        restic = f"{find_program('restic', package='restic')} --cache-dir {self.folder / 'cache'} --json"
        env = {
            "AWS_ACCESS_KEY_ID": TENANT.access_key, "AWS_SECRET_ACCESS_KEY": TENANT.secret_key,
            "RESTIC_PASSWORD": PASSWORD, "AWS_DEFAULT_REGION": REGION,
            "TRICENTER_SITE": str(self.folder / "site"),
            "RESTIC": f"{restic} -o s3.bucket-lookup=path", "S3": f"s3:{self.weed.endpoint}/{TENANT_BUCKETS[1]}",
        }  # fmt: skip
        return self.measure(what, ["bash", "-euo", "pipefail", "-c", script, "bash", *words], env)

    def make_cheap(self, names: Sequence[str]) -> None:
        """Make the peer's repositories as ours are made."""
        for name in names:
            Repository(
                "same-city", self.weed.endpoint, REGION, TENANT_BUCKETS[1], name, TENANT, Secret(PASSWORD),
                cache=self.folder / "cache",
            ).init()  # fmt: skip

    def measure(self, what: str, argv: Sequence[str], env: Mapping[str, str]) -> Cost:
        """Run a command to its good end, as a process of its own, and keep what it cost under `what`."""
        os.sync()  # nobody pays for the writes of the one before
        log, begin = self.folder / "log", time.monotonic()
        pid = spawn(argv, env=env, log=log)
        _, status, used = os.wait4(pid, 0)
        cost = Cost(time.monotonic() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
        if status:
            raise RuntimeError(f"{what}: status {status}\n{log.read_text()[-3000:]}")
        self.costs.setdefault(what, []).append(cost)
        print(f"{what}: {cost.wall:.1f} s, {cost.cpu:.1f} CPU s, {cost.peak_mib:.0f} MiB", flush=True)
        return cost

    def ratio(self, ours: str, theirs: str, what: str = "wall") -> float:
        """Return the median over rounds of the ratio within a round."""
        pairs = zip(self.costs[ours], self.costs[theirs], strict=True)
        return median(getattr(one, what) / getattr(other, what) for one, other in pairs)

    def tell(self, ours: str, theirs: str, goal: float) -> None:
        """Print what both sides took (medians; the highest peak), the ratios, and how the goal for the time stands."""
        for what in (ours, theirs):
            costs = self.costs[what]
            wall, cpu = (median(getattr(each, part) for each in costs) for part in ("wall", "cpu"))
            peak = max(each.peak_mib for each in costs)
            print(f"{what}: {wall:.1f} s, {cpu:.1f} CPU s, peak {peak:.0f} MiB")
        wall, cpu = self.ratio(ours, theirs), self.ratio(ours, theirs, "cpu")
        load, verdict = os.getloadavg()[0], "met" if wall <= goal else "MISSED"
        print(
            f"{ours} / {theirs}: wall {wall:.2f}, CPU {cpu:.2f}; goal {goal:.2f}: {verdict}; "
            f"{os.cpu_count()} cores, load {load:.1f}",
            flush=True,
        )
