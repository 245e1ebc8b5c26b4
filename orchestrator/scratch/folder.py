"""Scratch places: a folder of one run that holds restored data for a while, and is taken away whole.

Restored data is as secret as its source, so nobody but us can list the folder. What is deleted is what carries our
marker file, and nothing else: a path from an old catalogue row must not become `rm -r` of somebody's folder.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from orchestrator.errors import NoSpace, Refused
from orchestrator.process import end_session, started_at

MARKER = ".tricenter-scratch"
SERVERS = "servers.json"
#: In the environment of every server that works in a scratch folder: finds one whose record was never written.
MARK = "TRICENTER_SCRATCH"
HEADROOM = 1.1
RESERVE_BYTES = 256 * 1024**2
MIB = 1024**2


class Server(NamedTuple):
    """A server's identity: a pid alone is used again."""

    pid: int
    started: int


def make_scratch(root: Path, run_id: str, need_bytes: int) -> Path:
    """Make the scratch folder of a run below `root` and return it. May be repeated.

    Raises NoSpace when `root` has less than `need_bytes` with a tenth and 256 MiB on top, and Refused when a folder
    of that name is there that no run of ours made.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o711)
    check_space(root, need_bytes)
    folder = root / run_id
    folder.mkdir(exist_ok=True, mode=0o711)  # to be passed through by a server's own user, and not listed
    if not (folder / MARKER).exists():
        if any(folder.iterdir()):
            raise Refused(f"{folder} is in the way: no drill made it", hint="move it away, or choose --scratch DIR")
        (folder / MARKER).touch(mode=0o600)
    return folder


def check_space(root: Path, need_bytes: int) -> None:
    """Raise NoSpace when the file system of `root`, or of its nearest folder that exists, is too small."""
    there = next(each for each in (root, *root.parents) if each.exists())
    need, free = int(need_bytes * HEADROOM) + RESERVE_BYTES, shutil.disk_usage(there).free
    if free < need:
        raise NoSpace(
            f"the scratch place {root} is too small: {need / MIB:,.0f} MiB are needed, {free / MIB:,.0f} MiB are free",
            hint="free some space there, or choose another place with --scratch DIR",
        )


@contextmanager
def space_watched(folder: Path) -> Iterator[None]:
    """Say so in plain words, as NoSpace, when the disk becomes full inside the block."""
    try:
        yield
    except Exception as error:
        # Also a database's answer, or the last words of a child process: they carry the system's own text.
        full = isinstance(error, NoSpace) or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if not full and os.strerror(errno.ENOSPC) not in f"{error} {getattr(error, 'stderr', '')}":
            raise
        free = shutil.disk_usage(folder).free if folder.exists() else 0
        raise NoSpace(
            f"the scratch place {folder.parent} became full: {free / MIB:,.0f} MiB are free",
            hint="free some space there, or choose another place with --scratch DIR",
        ) from error


def record_server(folder: Path, pid: int) -> Server:
    """Write down a server that works in this scratch folder, at once after it was started, and return its identity."""
    server = Server(pid, started_at(pid) or 0)
    servers = {*recorded_servers(folder), server}
    draft = folder / f".{SERVERS}"
    draft.write_text(json.dumps(sorted(servers)), encoding="utf-8")
    draft.replace(folder / SERVERS)
    return server


def recorded_servers(folder: Path) -> list[Server]:
    try:
        return [Server(*each) for each in json.loads((folder / SERVERS).read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []


def end_server(server: Server) -> None:
    """End a server. One that is gone, or whose pid is another's by now, is left alone."""
    if started_at(server.pid) != server.started:
        return
    with contextlib.suppress(ProcessLookupError):
        # PostgreSQL's "fast" shutdown. SIGTERM alone would wait for clients to leave.
        os.kill(server.pid, signal.SIGINT)
    end_session(server.pid, server.started)


def clear(scratch: Path, place: Path) -> None:
    """Take away what a killed attempt left at `place` in a scratch folder, and end the servers that work there."""
    if not place.exists():
        return
    for server in _marked_servers(scratch):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{server.pid}/cwd").resolve().is_relative_to(place.resolve()):
                end_server(server)
    remove_tree(place)


def remove_tree(place: Path) -> None:
    """Remove a folder with all that is in it, write-protected or not. Gone is fine."""
    if place.exists():
        shutil.rmtree(place, onerror=_open_and_retry)


def remove_scratch(path: str) -> None:
    """End every server of the scratch folder at `path` and delete the folder. May be repeated, also when it is gone.

    Raises Refused for a folder without our marker, and deletes nothing there.
    """
    folder = Path(path)
    if not folder.exists():
        return
    if not (folder / MARKER).exists():
        with contextlib.suppress(OSError):
            folder.rmdir()  # killed between making the folder and marking it: empty
            return
        raise Refused(f"{folder} carries no marker of ours and is not deleted", hint="look at it and remove it by hand")
    for server in {*recorded_servers(folder), *_marked_servers(folder)}:
        end_server(server)
    # The marker goes last: killed half-way, what is left can still be told to be ours.
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, onerror=_open_and_retry)
        elif entry.name != MARKER:
            entry.unlink()
    (folder / MARKER).unlink()
    folder.rmdir()


def _open_and_retry(function: object, path: str, _: object) -> None:
    """Delete what lies in a restored folder without write permission: modes come back as they were at the source."""
    for each in (Path(path).parent, Path(path)):
        if each.is_dir() and not each.is_symlink():
            each.chmod(0o700)
    if Path(path).is_dir() and not Path(path).is_symlink():
        shutil.rmtree(path)
    else:
        Path(path).unlink(missing_ok=True)


def _marked_servers(folder: Path) -> set[Server]:
    """Find servers started for this folder that were never written down."""
    mark = f"{MARK}={folder}".encode()
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                pid = int(entry.name)
                if started := started_at(pid):
                    found.add(Server(pid, started))
    return found
