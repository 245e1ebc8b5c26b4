"""Where a process is: what one machine made is of no use on another."""

from __future__ import annotations

import socket
from pathlib import Path


def this_place() -> str:
    """Name this machine as it stands: after a reboot it is another place, because no server of before still runs."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{socket.gethostname()}/{boot[:8]}"
