"""What we add to a backup: `python -m tests.bench.backups`. `tricenter backup run` beside bare `restic backup`.

One large tree into a repository of each, first and after a day's change, in turns; both repositories exist before.
Both have the same password, of 256 random bits; ours makes keys that are cheap to derive for it, restic's own init does
not, which is half a CPU-second of each call: with `--same-keys` the peer's repositories open as cheaply.
Ours also hashes the whole tree by itself, writes the point's document, asks the fence and keeps evidence.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.bench import dataset
from tests.bench.fleet import BUREAU, Fleet
from tests.bench.servers import TENANT_BUCKETS, Weed

GOAL = 1.05
RESTIC = 'cd "$2" && $RESTIC --repo $S3/$1 backup --host bench . >/dev/null'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024, help="size of the tree")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--same-keys", action="store_true", help="the peer's repositories open as cheaply as ours")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tricenter-bench-", dir="/var/tmp") as name:
        weed = Weed(Path(name) / "weed", centre="same-city")
        try:
            weed.start()
            for bucket in TENANT_BUCKETS[:2]:
                weed.admin().ensure_bucket(bucket, lock_days=0)
            fleet = Fleet(Path(name), weed)
            for number, system in enumerate(fleet.write(options.rounds)):
                _round(fleet, system, number, options.mib, same_keys=options.same_keys)
        finally:
            weed.stop()
        for stage in ("first", "increment"):
            fleet.tell(f"tricenter {stage}", f"restic {stage}", GOAL)


def _round(fleet: Fleet, system: str, number: int, mib: int, *, same_keys: bool) -> None:
    tree = fleet.trees / system
    tree.mkdir(parents=True)
    (tree / "file").write_text("x")
    if same_keys:
        fleet.make_cheap([system])
    init = "" if same_keys else "$RESTIC --repo $S3/$1 init >/dev/null;"
    fleet.shell("prepare restic", init + RESTIC, system, str(tree))
    fleet.tricenter("prepare tricenter", "backup", "run", f"{BUREAU}/{system}")
    dataset.make(tree, mib, seed=number)
    for stage in ("first", "increment"):
        if stage == "increment":
            dataset.change(tree, seed=100 + number)
        turns = [
            lambda stage=stage: fleet.tricenter(f"tricenter {stage}", "backup", "run", f"{BUREAU}/{system}"),
            lambda stage=stage: fleet.shell(f"restic {stage}", RESTIC, system, str(tree)),
        ]
        for turn in turns[:: 1 if number % 2 else -1]:
            turn()


if __name__ == "__main__":
    main()
