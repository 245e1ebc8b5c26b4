"""A host that swallows whatever is sent to it: the far end of a cable to nowhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.process import run


@contextmanager
def black_hole(port: int = 80) -> Iterator[str]:
    """Yield HOST:PORT of a host that takes packets and never answers: no refusal, no reset, no unreachable.

    The interface asks nobody for the other end's hardware address, so what is sent to it is sent, and lost.
    """
    number = os.getpid() % 250
    near, far, cable = f"10.254.{number}.1", f"10.254.{number}.2", f"tri-hole-{number}"
    _do("ip", "link", "add", cable, "type", "veth", "peer", "name", f"{cable}x")
    try:
        _do("ip", "link", "set", cable, "arp", "off")
        _do("ip", "link", "set", cable, "up")
        _do("ip", "link", "set", f"{cable}x", "up")
        _do("ip", "addr", "add", f"{near}/30", "dev", cable)
        yield f"{far}:{port}"
    finally:
        _do("ip", "link", "del", cable)


def _do(*argv: str) -> None:
    run(list(argv), deadline_seconds=20)
