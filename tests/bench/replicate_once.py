"""One replication as a process of its own, so that its start is measured too. Credentials come by environment."""

from __future__ import annotations

import os
import sys

from orchestrator.vault.replicate import replicate
from orchestrator.vault.s3 import Bucket, Credential


def main(source: str, target: str, region: str, bucket: str, target_bucket: str, prefix: str, threads: str) -> None:
    credential = Credential(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    done = replicate(
        Bucket("same-city", source, region, bucket, credential),
        Bucket("provincial", target, region, target_bucket, credential),
        prefix,
        threads=int(threads),
    )
    print(done)


if __name__ == "__main__":
    main(*sys.argv[1:])
