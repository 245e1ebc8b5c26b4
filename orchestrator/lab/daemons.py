"""The lab's servers as processes: start, find again, look at, stop.

A server is known by two things. Its record `pids/<name>.json` holds pid and start time, so a number that another
process uses by now is never taken for ours. And its environment carries MARK, which /proc shows: that finds a server
whose record was never written because we were killed between the start and the record, and every child it left.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from orchestrator import process
from orchestrator.errors import InvalidInput, ProcessFailed, TricenterError
from orchestrator.lab import sockets
from orchestrator.lab.layout import Lab, Place
from orchestrator.secrets import write_private

MARK = "TRICENTER_LAB_SERVER"
LOG_LINES_SHOWN = 12
POLL_SECONDS = 0.1
KILL_SECONDS = 10.0

State = Literal["running", "broken", "stopped"]


@dataclass(frozen=True, slots=True)
class Daemon:
    """One server of the lab: how it is started, where it answers, how it is asked to stop."""

    name: str
    place: Place
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    port: int | None = None
    url: str | None = None  # asked by HTTP when given; else a connection to the port is enough
    unix: Path | None = None  # a socket in the file system, for a server without a port
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 3.0
    last: bool = False  # stopped after the others: they use it

    def answers(self) -> bool:
        """Return whether the server does its work, as far as can be seen from outside."""
        if self.url:
            return sockets.answers_http(self.url)
        if self.unix:
            return sockets.answers_unix(self.unix)
        if self.port is None:
            return True
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=2):
            return True
        return False


@dataclass(frozen=True, slots=True)
class Running:
    """A process by pid and start: an identity that is never used twice."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        return process.started_at(self.pid) == self.started


def environment(lab: Lab, name: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of the lab's server or command `name`, with the mark that finds it again."""
    path = f"{lab.folder / 'bin'}:{lab.venv / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"
    return {
        "PATH": path,
        MARK: f"{lab.folder}:{name}",
        "SPT_NOENV": "1",  # setproctitle would write over the environment, and with it over the mark
        "no_proxy": "127.0.0.1,localhost",
        "NO_PROXY": "127.0.0.1,localhost",
        **(extra or {}),
    }


def log_of(lab: Lab, name: str) -> Path:
    return lab.logs / f"{name}.log"


def recorded(lab: Lab, name: str) -> Running | None:
    """Return the process in the record of `name`, alive or not. A torn or foreign record counts as none."""
    try:
        record = json.loads((lab.pids / f"{name}.json").read_text(encoding="utf-8"))
        return Running(int(record["pid"]), int(record["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def marked(lab: Lab) -> dict[str, list[Running]]:
    """Return every live process of this lab by the server's name it was started for, found through /proc."""
    found: dict[str, list[Running]] = {}
    start = f"{MARK}={lab.folder}:".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            for variable in (entry / "environ").read_bytes().split(b"\0"):
                started = process.started_at(int(entry.name)) if variable.startswith(start) else None
                if started is not None:
                    name = variable[len(start) :].decode()
                    found.setdefault(name, []).append(Running(int(entry.name), started))
    return found


def state(lab: Lab, daemon: Daemon) -> tuple[State, int | None]:
    """Return how the server is, and its pid. A record whose process is gone is broken: nobody stopped it here."""
    known = recorded(lab, daemon.name)
    if known is None:
        return "stopped", None
    if not known.alive:
        return "broken", None
    return ("running" if daemon.answers() else "broken"), known.pid


def start(lab: Lab, daemons: Iterable[Daemon]) -> list[Daemon]:
    """Start those of `daemons` that do not run, and return them. Leftovers of a dead one are ended first.

    Raises InvalidInput when a stranger has one of the ports.
    """
    idle = [each for each in daemons if not ((known := recorded(lab, each.name)) and known.alive)]
    if not idle:
        return []
    strays = marked(lab)
    end(process_ for each in idle for process_ in strays.get(each.name, ()))
    taken = {each.port: each for each in sockets.listeners()}
    for daemon in idle:
        if daemon.port in taken:
            _refuse_stranger(daemon, taken[daemon.port])
        _spawn(lab, daemon)
    return idle


def _refuse_stranger(daemon: Daemon, listener: sockets.Listener) -> None:
    pid = sockets.owner(listener.inode)
    program = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() if pid else "another program"
    raise InvalidInput(
        f"port {daemon.port}, which {daemon.name} needs, is taken by {program}" + (f" (pid {pid})" if pid else ""),
        hint="stop that program, or make the lab elsewhere: tricenter lab up --port-base N --dir DIR",
    )


def _spawn(lab: Lab, daemon: Daemon) -> None:
    pid = process.spawn(
        daemon.argv,
        log=log_of(lab, daemon.name),
        env=environment(lab, daemon.name, daemon.env),
        cwd=lab.data,
        user=daemon.user,
    )
    started = process.started_at(pid)  # None when it has ended already; wait() reads its log then
    write_private(lab.pids / f"{daemon.name}.json", json.dumps({"pid": pid, "started": started or 0}))


def wait(lab: Lab, daemons: Iterable[Daemon], *, seconds: float) -> None:
    """Return when all of `daemons` answer.

    Raises TricenterError, with the end of its log, for one that ended or does not answer in time.
    """
    end_at = time.monotonic() + seconds
    for daemon in daemons:
        while not daemon.answers():
            known = recorded(lab, daemon.name)
            if known is None or not known.alive:
                raise _failure(lab, daemon, "ended by itself")
            if time.monotonic() > end_at:
                raise _failure(lab, daemon, f"does not answer after {seconds:.0f} s")
            time.sleep(POLL_SECONDS)
        if (known := recorded(lab, daemon.name)) is None or not known.alive:
            raise _failure(lab, daemon, "ended by itself")


def _failure(lab: Lab, daemon: Daemon, what: str) -> TricenterError:
    log = log_of(lab, daemon.name)
    return TricenterError(
        f"{daemon.name} {what}; the end of its log:\n{tail(log)}", hint=f"read {log}, then: tricenter lab up"
    )


def tail(log: Path, lines: int = LOG_LINES_SHOWN) -> str:
    """Return the last `lines` of a log file, which may be large."""
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - 20_000, 0))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return "(no log)"
    return "\n".join(f"    {line[:300]}" for line in text.splitlines()[-lines:])


def stop(lab: Lab, daemons: Sequence[Daemon]) -> None:
    """Stop `daemons`, with every child they left. All are asked at once; who does not go in time is killed."""
    for group in ([each for each in daemons if not each.last], [each for each in daemons if each.last]):
        strays = marked(lab)
        asked: dict[Running, float] = {}
        for daemon in group:
            ours = {*strays.get(daemon.name, ())}
            if (known := recorded(lab, daemon.name)) and known.alive:
                ours.add(known)
                _signal(known, daemon.stop_signal)
            asked.update(dict.fromkeys(ours, time.monotonic() + daemon.grace_seconds))
        _await_end(asked)
        names = {daemon.name for daemon in group}
        # One that lost a child may have started another before its own end came.
        while late := [each for name, found in marked(lab).items() if name in names for each in found]:
            end(late)
        for daemon in group:
            (lab.pids / f"{daemon.name}.json").unlink(missing_ok=True)


def await_end(lab: Lab, name: str, *, seconds: float) -> None:
    """Return when no process that was started as `name` is left, or after `seconds`."""
    give_up = time.monotonic() + seconds
    while marked(lab).get(name) and time.monotonic() < give_up:
        time.sleep(1)


def end_commands(lab: Lab, *, spare: Collection[str]) -> None:
    """Kill what is left of commands that a killed run had started: all that is marked and not named in `spare`."""
    end(each for name, found in marked(lab).items() if name not in spare for each in found)


def end(processes: Iterable[Running]) -> None:
    """Kill `processes`, found by their mark, at once."""
    _await_end(dict.fromkeys(processes, 0.0))


def _await_end(deadlines: Mapping[Running, float]) -> None:
    left = {each for each in deadlines if each.alive}
    give_up = max([time.monotonic(), *deadlines.values()]) + KILL_SECONDS
    while left and time.monotonic() < give_up:
        for each in left:
            if time.monotonic() > deadlines[each]:
                _signal(each, signal.SIGKILL)
        time.sleep(0.05)
        left = {each for each in left if each.alive}
    if left:
        pids = ", ".join(str(each.pid) for each in left)
        raise TricenterError(f"processes {pids} of the lab do not end", hint="look at them with ps")


def _signal(target: Running, number: signal.Signals) -> None:
    if target.alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(target.pid, number)


def run(
    lab: Lab,
    name: str,
    argv: Sequence[str],
    *,
    seconds: float,
    env: Mapping[str, str] | None = None,
    stdin: int | None = None,
    user: str | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a command of the lab to its end, its output appended to log/<name>.log.

    Raises TricenterError naming the log, with its last lines, when the command fails or takes longer than `seconds`.
    """
    log = log_of(lab, name)
    with log.open("a", encoding="utf-8") as sink:

        def keep(line: str) -> None:
            sink.write(line + "\n")
            sink.flush()

        try:
            process.run(
                argv,
                deadline_seconds=seconds,
                env=environment(lab, name, env),
                cwd=cwd,
                stdin=stdin,
                user=user,
                on_line=keep,
                on_stderr=keep,
            )
        except ProcessFailed as failure:
            sink.flush()
            raise TricenterError(
                f"{Path(argv[0]).name} failed (code {failure.code}); the end of its log:\n{tail(log)}",
                hint=f"read {log}",
            ) from failure
