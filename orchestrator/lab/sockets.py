"""Who listens on which port of this machine, read from /proc: no library, and the same view that the kernel has."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

_LISTEN = "0A"
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy is never asked for 127.0.0.1


@dataclass(frozen=True, slots=True)
class Listener:
    """A TCP socket that waits for connections."""

    address: str
    port: int
    inode: int


def listeners() -> list[Listener]:
    """Return every listening TCP socket, IPv4 and IPv6."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    address, _, port = fields[1].rpartition(":")
                    found.append(Listener(_decode(address), int(port, 16), int(fields[9])))
    return found


def _decode(text: str) -> str:
    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(words)))


def owner(inode: int) -> int | None:
    """Return the pid of a process that has this socket open, or None when it cannot be seen."""
    wanted = f"socket:[{inode}]"
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                for descriptor in (process / "fd").iterdir():
                    with contextlib.suppress(OSError):
                        if str(descriptor.readlink()) == wanted:
                            return int(process.name)
    return None


def answers_http(url: str, *, seconds: float = 5.0) -> bool:
    """Return whether the application behind `url` answers: any status below 500, in time."""
    try:
        with _DIRECT.open(url, timeout=seconds) as response:
            return bool(response.status < 500)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return refusal.code < 500
    except (OSError, http.client.HTTPException):
        return False


def fetch(url: str, *, seconds: float = 3.0) -> str:
    """Return what is at `url`. Raises OSError, and urllib's HTTPError, which is one."""
    with _DIRECT.open(url, timeout=seconds) as response:
        return str(response.read().decode("utf-8", "replace"))


def answers_unix(path: Path) -> bool:
    """Return whether somebody accepts connections at a socket in the file system."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        with contextlib.suppress(OSError):
            client.connect(str(path))
            return True
    return False
