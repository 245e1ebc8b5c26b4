"""Many small systems: `python -m tests.bench.many`. Backups beside a shell loop of restic; restores in parallel.

The loop does what a careful script does for the same result: is the repository there, back up, put the SHA-256 of
every file beside it as a second snapshot, and see that both are listed. It is told apart from a bare loop of backups.
Both have the same password, of 256 random bits. Ours makes repositories whose keys are cheap to derive for it; restic's
own init asks N=32768 or so of every password, and of whoever opens the repository then. `--same-keys` gives it ours.
Restores: eight systems at once beside one after the other, each proved file by file.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

from tests.bench.fleet import BUREAU, TRICENTER, Fleet
from tests.bench.servers import TENANT_BUCKETS, Weed

BACKUP_GOAL, RESTORE_GOAL = 0.6, 0.75
CAREFUL = """
trees=$1; shift
for name; do
  cd "$trees/$name"
  $RESTIC --repo $S3/$name cat config >/dev/null
  $RESTIC --repo $S3/$name backup --host bench . >/dev/null
  find . -type f -exec sha256sum {} + | $RESTIC --repo $S3/$name backup --stdin --stdin-filename point >/dev/null
  $RESTIC --repo $S3/$name snapshots >/dev/null
done
"""
BARE = (
    'trees=$1; shift; for name; do cd "$trees/$name"; $RESTIC --repo $S3/$name backup --host bench . >/dev/null; done'
)
INIT = "for name; do $RESTIC --repo $S3/$name init >/dev/null; done"
RESTORE = """
out=$1; jobs=$2; shift 2
printf '%s\\n' "$@" | xargs -P "$jobs" -I{} TRICENTER backup restore BUREAU/{} --centre same-city --target "$out/{}"
""".replace("TRICENTER", TRICENTER).replace("BUREAU", BUREAU)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--restore-mib", type=int, default=64, help="size of each of the systems that are restored")
    parser.add_argument("--same-keys", action="store_true", help="the loop's repositories open as cheaply as ours")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tricenter-bench-", dir="/var/tmp") as name:
        weed = Weed(Path(name) / "weed", centre="same-city")
        try:
            weed.start()
            for bucket in TENANT_BUCKETS[:2]:
                weed.admin().ensure_bucket(bucket, lock_days=0)
            fleet = Fleet(Path(name), weed)
            names = fleet.write(options.systems)
            _backups(fleet, names, options.rounds, options.jobs, same_keys=options.same_keys)
            _restores(fleet, names[:8], options.rounds, options.restore_mib)
        finally:
            weed.stop()
        print(f"{len(names)} systems, --jobs {options.jobs}")
        fleet.tell("tricenter", "careful loop", BACKUP_GOAL)
        fleet.tell("tricenter", "bare loop", BACKUP_GOAL)
        fleet.tell("8 restores at once", "8 restores in turn", RESTORE_GOAL)


def _backups(fleet: Fleet, names: list[str], rounds: int, jobs: int, *, same_keys: bool) -> None:
    rng = random.Random(1)
    _change(fleet, names, rng, 64 << 10)
    if same_keys:
        fleet.make_cheap(names)
    else:
        fleet.shell("prepare the loop", INIT, *names)
    fleet.tricenter("prepare tricenter", "backup", "run", "--jobs", str(jobs))
    for number in range(rounds):
        turns = [
            lambda: fleet.tricenter("tricenter", "backup", "run", "--jobs", str(jobs)),
            lambda: fleet.shell("careful loop", CAREFUL, str(fleet.trees), *names),
            lambda: fleet.shell("bare loop", BARE, str(fleet.trees), *names),
        ]
        for turn in turns[number % 3 :] + turns[: number % 3]:
            _change(fleet, names, rng, 64 << 10)
            turn()


def _restores(fleet: Fleet, names: list[str], rounds: int, mib: int) -> None:
    _change(fleet, names, random.Random(2), mib << 20)
    fleet.tricenter("prepare restores", "backup", "run", "--jobs", "4")
    for number in range(rounds):
        for jobs, what in ((8, "8 restores at once"), (1, "8 restores in turn"))[:: 1 if number % 2 else -1]:
            out = fleet.folder / f"restored-{number}-{jobs}"
            fleet.shell(what, RESTORE, str(out), str(jobs), *names)


def _change(fleet: Fleet, names: list[str], rng: random.Random, size: int) -> None:
    for name in names:
        (fleet.trees / name).mkdir(parents=True, exist_ok=True)
        (fleet.trees / name / f"{rng.getrandbits(48):012x}").write_bytes(rng.randbytes(size))


if __name__ == "__main__":
    main()
