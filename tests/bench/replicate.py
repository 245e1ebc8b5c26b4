"""How fast a replication is, beside `restic copy` and `rclone copy`: `python -m tests.bench.replicate`.

Each tool runs as a process of its own, from the same source into a bucket of its own with the settings of a real
vault (versions, object lock). Their order rotates from round to round. Wall time is noisy on a shared machine: the
ratios within a round count, and the CPU seconds. Everything lies in one temporary folder, removed at the end.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from orchestrator.process import find_program, spawn
from orchestrator.secrets import Secret
from orchestrator.vault.restic import Repository
from tests.bench import dataset
from tests.bench.servers import ADMIN, REGION, Weed

PREFIX = "land-registry"
SOURCE = "dr-source"
PASSWORD = "password-of-this-benchmark"
ROOT = Path(__file__).parents[2]
LOCK_DAYS = 1
OURS, RESTIC, RCLONE = "tricenter", "restic copy", "rclone copy"
VERIFIES = {
    OURS: "SHA-256 of every object = its name, at both ends",
    RESTIC: "decrypts and encrypts again; new snapshot ids",
    RCLONE: "MD5 of what was sent; name never compared",
}
#: What is promised of the first copy: (what, against whom, at most this ratio of ours to theirs).
GOALS = (("wall", RESTIC, 1 / 4), ("cpu", RESTIC, 1 / 6), ("wall", RCLONE, 1.1))


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took; memory is that of its largest process."""

    wall: float
    cpu: float
    server: float
    peak_mib: float


class Bench:
    """The two vaults, the source repository, and the tools."""

    def __init__(self, folder: Path, source: Weed, target: Weed, threads: int) -> None:
        self.folder, self.source, self.target, self.threads = folder, source, target, threads
        self._taken: list[resource.struct_rusage] = []
        self.tools: dict[str, Callable[[str], None]] = {OURS: self._ours, RESTIC: self._restic, RCLONE: self._rclone}

    def repository(self, weed: Weed, bucket: str) -> Repository:
        cache = self.folder / "cache" / "own"
        return Repository(weed.centre, weed.endpoint, REGION, bucket, PREFIX, ADMIN, Secret(PASSWORD), cache=cache)

    def prepare(self, bucket: str, tool: str) -> None:
        """Make the target bucket of a tool; restic also needs a repository to copy into."""
        self.target.admin().ensure_bucket(bucket, lock_days=LOCK_DAYS)
        if tool == RESTIC:
            self._call_restic(bucket, "init", "--copy-chunker-params")

    def measure(self, tool: str, bucket: str) -> Cost:
        os.sync()  # nobody pays for the writes of the one before
        weeds, self._taken = (self.source, self.target), []
        server, begin = sum(weed.cpu_seconds for weed in weeds), time.monotonic()
        self.tools[tool](bucket)
        wall = time.monotonic() - begin
        cpu = sum(used.ru_utime + used.ru_stime for used in self._taken)
        peak = max(used.ru_maxrss for used in self._taken) / 1024
        return Cost(wall, cpu, sum(weed.cpu_seconds for weed in weeds) - server, peak)

    def _ours(self, bucket: str) -> None:
        words = (self.source.endpoint, self.target.endpoint, REGION, SOURCE, bucket, PREFIX, str(self.threads))
        self._call([sys.executable, "-m", "tests.bench.replicate_once", *words], {})

    def _restic(self, bucket: str) -> None:
        self._call_restic(bucket, "copy")

    def _call_restic(self, bucket: str, *words: str) -> None:
        argv = [
            find_program("restic", package="restic"), "--repo", f"s3:{self.target.endpoint}/{bucket}/{PREFIX}",
            "--cache-dir", str(self.folder / "cache" / bucket), "-o", "s3.bucket-lookup=path", *words,
            "--from-repo", f"s3:{self.source.endpoint}/{SOURCE}/{PREFIX}",
        ]  # fmt: skip
        self._call(argv, {"RESTIC_PASSWORD": PASSWORD, "RESTIC_FROM_PASSWORD": PASSWORD})

    def _rclone(self, bucket: str) -> None:
        remotes = {}
        for name, weed in (("A", self.source), ("B", self.target)):
            settings = {
                "TYPE": "s3", "PROVIDER": "SeaweedFS", "ENDPOINT": weed.endpoint, "REGION": REGION,
                "ENV_AUTH": "true", "FORCE_PATH_STYLE": "true", "NO_CHECK_BUCKET": "true",
            }  # fmt: skip
            remotes |= {f"RCLONE_CONFIG_{name}_{key}": value for key, value in settings.items()}
        program = str(Path(sys.executable).with_name("rclone"))
        for parts in (("data/**", "keys/**", "config"), ("index/**",), ("snapshots/**",)):
            included = [f"--include={part}" for part in parts]
            paths = [f"a:{SOURCE}/{PREFIX}", f"b:{bucket}/{PREFIX}"]
            extra = [f"--transfers={self.threads}", "--config=/dev/null", "--immutable"]
            self._call([program, "copy", *extra, *included, *paths], remotes)

    def _call(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        keys = {"AWS_ACCESS_KEY_ID": ADMIN.access_key, "AWS_SECRET_ACCESS_KEY": ADMIN.secret_key}
        log = self.folder / "log"
        _, status, used = os.wait4(spawn(argv, env={**keys, **env, "PYTHONPATH": str(ROOT)}, log=log), 0)
        if status:
            raise RuntimeError(f"{argv[0]}: status {status}\n{log.read_text()[-3000:]}")
        self._taken.append(used)


def measure_rounds(bench: Bench, tree: Path, rounds: int, say: Callable[[str], None]) -> list[dict[str, list[Cost]]]:
    """Return, for each round, the costs of each tool: [first copy, increment]."""
    results = []
    for number in range(1, rounds + 1):
        order = list(bench.tools)
        order = order[number % 3 :] + order[: number % 3]
        buckets = {tool: f"dr-{tool.partition(' ')[0]}-{number}" for tool in order}
        costs: dict[str, list[Cost]] = {tool: [] for tool in order}
        for stage in ("first", "increment"):
            if stage == "increment":
                dataset.change(tree, seed=100 + number)
                stored = bench.repository(bench.source, SOURCE).backup_folder(tree, host="bench", tags=[])
                say(f"round {number}: second backup, {stored.added_bytes >> 20} MiB new")
            for tool in order:
                if stage == "first":
                    bench.prepare(buckets[tool], tool)
                cost = bench.measure(tool, buckets[tool])
                costs[tool].append(cost)
                say(f"round {number}: {stage} {tool}: {cost.wall:.1f} s, {cost.cpu:.1f} CPU s, {cost.peak_mib:.0f} MiB")
        bench.repository(bench.target, buckets[OURS]).check(read_data=True, lock=False)
        say(f"round {number}: restic check --read-data of our copy: clean")
        results.append(costs)
    return results


def print_results(console: Console, results: list[dict[str, list[Cost]]]) -> None:
    """Print the table (medians over rounds) and how the goals stand."""
    table = Table(
        "tool", "stage", "wall s", "CPU s", "servers' CPU s", "peak MiB", "wall / ours", "CPU / ours", "verifies"
    )
    for stage, title in ((0, "first"), (1, "increment")):
        for tool, verifies in VERIFIES.items():
            costs = [each[tool][stage] for each in results]
            table.add_row(
                tool,
                title,
                *(f"{median(getattr(cost, what) for cost in costs):.2f}" for what in ("wall", "cpu", "server")),
                f"{max(cost.peak_mib for cost in costs):.0f}",
                *(f"{1 / ratio(results, what, tool, stage):.2f}" for what in ("wall", "cpu")),
                verifies,
            )
    console.print(table)
    for what, tool, limit in GOALS:
        got = ratio(results, what, tool, 0)
        shown = f"{got:.2f}x of {tool}'s" if limit > 1 else f"{1 / got:.1f}x less than {tool}"
        goal = f"at most {limit:.1f}x" if limit > 1 else f"at least {1 / limit:.0f}x less"
        console.print(f"first copy, {what}: {shown}; goal {goal}: {'met' if got <= limit else 'MISSED'}")


def ratio(results: list[dict[str, list[Cost]]], what: str, tool: str, stage: int) -> float:
    """Return the median over rounds of our cost divided by that of `tool`."""
    return median(getattr(each[OURS][stage], what) / getattr(each[tool][stage], what) for each in results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=1536, help="size of the data set")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made; the usual place else")
    parser.add_argument("--threads", type=int, default=8, help="for ours, and as --transfers of rclone")
    options = parser.parse_args()
    console = Console(width=150 if not sys.stdout.isatty() else None)
    with tempfile.TemporaryDirectory(prefix="tricenter-bench-", dir=options.folder) as name:
        folder = Path(name)
        weeds = [Weed(folder / centre, centre=centre) for centre in ("same-city", "provincial")]
        try:
            for weed in weeds:
                weed.start()
            bench = Bench(folder, weeds[0], weeds[1], options.threads)
            weeds[0].admin().ensure_bucket(SOURCE, lock_days=LOCK_DAYS)
            tree = folder / "tree"
            dataset.make(tree, options.mib)
            source = bench.repository(weeds[0], SOURCE)
            source.init()
            stored = source.backup_folder(tree, host="bench", tags=[])
            load = os.getloadavg()[0]
            console.print(
                f"{stored.files} files, {stored.bytes >> 20} MiB; backup {stored.seconds:.1f} s; "
                f"{os.cpu_count()} cores, load {load:.1f}; {options.threads} threads"
            )
            print_results(console, measure_rounds(bench, tree, options.rounds, console.print))
        finally:
            for weed in weeds:
                weed.stop()


if __name__ == "__main__":
    main()
