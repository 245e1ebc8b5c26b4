"""Who works here, as the operating system knows them."""

from __future__ import annotations

import os
import pwd
import re
import socket


def login_name() -> str:
    """Return who works here: NAME@HOST, the person and not root where root came by sudo."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()).lstrip(".-")[:60] or "host"
    user = os.environ.get("SUDO_USER", "") if os.geteuid() == 0 else ""
    if not user:
        try:
            user = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            user = f"uid-{os.getuid()}"
    return f"{user}@{host}"


def same_person(one: str, other: str) -> bool:
    """Return whether two callers go by one login name, on whichever host."""
    return one.partition("@")[0].casefold() == other.partition("@")[0].casefold()
