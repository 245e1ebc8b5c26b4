"""The lab's network devices: what they are called, and how none is left.

Every bridge, tap and veth of a lab begins with the same few letters, which follow from its folder. So two labs on one
machine do not meet, and everything can be found and removed whoever made it and was killed over it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator import process
from orchestrator.lab.layout import Lab

CARDS = Path("/sys/class/net")
IP_SECONDS = 30.0
#: Forwards at once, and every frame to every port that has not spoken yet.
BRIDGE = ("type", "bridge", "forward_delay", "0", "stp_state", "0", "mcast_snooping", "0")


def prefix(lab: Lab) -> str:
    """Return how the names of this lab's network devices begin. A name has 15 characters at most, this takes 6."""
    return f"tc{hashlib.sha256(str(lab.folder).encode()).hexdigest()[:4]}"


def bridge_of(lab: Lab, network: str) -> str:
    """Return the bridge of a Neutron network, given by its id."""
    return f"{prefix(lab)}b{network.replace('-', '')[:8]}"


def lock_file(lab: Lab) -> Path:
    return lab.folder / "links.lock"


@contextmanager
def held(lab: Lab) -> Iterator[None]:
    """Let nobody else add to a bridge or remove one during the block."""
    with lock_file(lab).open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ensure_bridge(lab: Lab, network: str) -> str:
    """Make the bridge of a network unless it is there, and return its name. Call it with the links held."""
    bridge = bridge_of(lab, network)
    if not (CARDS / bridge).exists():
        ip("link", "add", bridge, *BRIDGE)
    ip("link", "set", bridge, "addrgenmode", "none")  # no address of the machine on the tenant's network
    ip("link", "set", bridge, "up")  # not in one request, which would bring it up first
    return bridge


def sweep_bridges(lab: Lab) -> None:
    """Remove the bridges that nothing stands on. Call it with the links held."""
    for bridge in CARDS.glob(f"{prefix(lab)}b*"):
        if not any((bridge / "brif").iterdir()):
            ip("link", "del", bridge.name)


def remove_all(lab: Lab) -> None:
    """Remove every network device of this lab. Its guests must have ended."""
    for card in CARDS.glob(f"{prefix(lab)}*"):
        with contextlib.suppress(FileNotFoundError):
            process.run(["ip", "link", "del", card.name], deadline_seconds=IP_SECONDS, check=card.exists())


def ip(*words: str) -> None:
    """Run ip from iproute2. Raises ProcessFailed."""
    process.run(["ip", *words], deadline_seconds=IP_SECONDS)
