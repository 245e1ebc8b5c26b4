"""Where probes are asked from: this host, or inside a network of a cloud.

A closed network cannot be reached from outside, which is its purpose. So the centre's cloud names a command that runs
another one inside a network: `ip netns exec …`, `ssh` to a host with a foot in it, whatever the cloud has.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from orchestrator.errors import InvalidInput
from orchestrator.process import Finished, current_leash, run


@dataclass(frozen=True, slots=True)
class Vantage:
    """A place to ask from. `prefix` is the command that leads there, nothing for this host."""

    prefix: tuple[str, ...] = ()
    where: str = "this host"

    def run(
        self,
        argv: Sequence[str],
        *,
        deadline_seconds: float,
        variables: Mapping[str, str] | None = None,
        feed: bytes = b"",
    ) -> Finished:
        """Run a program there to its end, whatever its exit code, with `feed` on its stdin.

        `variables` are seen by every user of the machine: no secrets; those go to `feed`. Raises ProcessTimeout.
        """
        settings = [f"{name}={value}" for name, value in (variables or {}).items()]
        before = ["env", *settings] if settings else []  # not our own environment: `ssh` would leave it here
        with _file_of(feed) as stdin:
            ended = run(
                [*self.prefix, *before, *argv], deadline_seconds=deadline_seconds, stdin=stdin, cwd=None, check=False
            )
        if leash := current_leash():
            leash.check()  # it ended because the drill is stopped: no finding
        return ended


HERE = Vantage()


def inside(prefix: Sequence[str], network_id: str, cidr: str) -> Vantage:
    """Return the vantage inside a network, by the command that the centre's cloud names for it.

    Raises InvalidInput for a command with a placeholder that is none.
    """
    try:
        words = tuple(word.format(network=network_id, cidr=cidr) for word in prefix)
    except (KeyError, IndexError, ValueError) as error:
        raise InvalidInput(
            f"the vantage {' '.join(prefix)!r} has a placeholder that is none: {error}",
            hint="in site.yaml, centres.CENTRE.cloud.vantage: {network} and {cidr} are replaced, and nothing else",
        ) from error
    return Vantage(words, f"network {network_id} ({cidr})")


def _file_of(content: bytes) -> BinaryIO:
    """Return a file in memory, which no other user can open: what is fed to a probe may hold a password."""
    file = os.fdopen(os.memfd_create("feed"), "w+b")
    file.write(content)
    file.seek(0)
    return file
