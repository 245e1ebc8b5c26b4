"""Repositories whose password costs nothing to try, for tests. Run in place of `restic init`, with its words.

restic asks half a CPU-second of whoever opens a repository, so that passwords are hard to guess, and tests open
repositories thousands of times. What a password costs stands in the key object: here it asks for next to nothing.
All else is as restic makes it: `config` and one key, and what opens them is restic, whichever it is. So no code of
the program knows of this. Whatever is not plain is left to restic itself: an init that is refused, or was done before.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import TricenterError
from orchestrator.secrets import Secret
from orchestrator.vault.restic import keyfile
from orchestrator.vault.s3 import Bucket, Credential

#: What the key derivation is asked for: restic itself takes N=32768, r=8 and p=6 or so.
COST = keyfile.Cost(16, 8, 1)
#: Any irreducible one does. restic draws it, so that nobody who sees sizes of packs can tell what files are in them.
POLYNOMIAL = "3d9f09998a3075"


def program(folder: Path, restic: str) -> Path:
    """Write into `folder` a program `restic` that is this one, and makes repositories here. Return the folder."""
    # restic is started with few variables: whichever copy of the program these tests are of must be found.
    root = Path(__file__).resolve().parents[2]
    own = shlex.join(["env", f"PYTHONPATH={root}", sys.executable, str(Path(__file__).resolve()), restic])
    script = f'#!/bin/sh\nfor word; do [ "$word" = init ] && exec {own} "$@"; done\nexec {shlex.quote(restic)} "$@"\n'
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "restic").write_text(script, encoding="utf-8")
    (folder / "restic").chmod(0o755)
    return folder


def main(restic: str, words: Sequence[str]) -> None:
    """Make the repository that these words of `restic init` name; or let restic do it, or say why it cannot."""
    try:
        made = _init(words)
    except (TricenterError, KeyError, ValueError):
        made = False
    if not made:
        os.execv(restic, [restic, *words])


def _init(words: Sequence[str]) -> bool:
    endpoint, name, prefix = words[words.index("--repo") + 1].removeprefix("s3:").rsplit("/", 2)
    region = next(word.removeprefix("s3.region=") for word in (*words, "") if word.startswith("s3.region="))
    credential = Credential(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    bucket = Bucket("the vault", endpoint, region, name, credential)
    if bucket.head(f"{prefix}/config") is not None:
        return False
    key, config = repository(os.environ["RESTIC_PASSWORD"])
    bucket.put(f"{prefix}/keys/{keyfile.name_of(key)}", key)
    bucket.put(f"{prefix}/config", config)
    return True


def repository(password: str) -> tuple[bytes, bytes]:
    """Return a key and the `config` of a new repository, as restic's design document describes them."""
    master = keyfile.Master.draw()
    config = {"version": 2, "id": secrets.token_hex(32), "chunker_polynomial": POLYNOMIAL}
    return keyfile.write_key(master, Secret(password), COST), master.seal(json.dumps(config).encode())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
