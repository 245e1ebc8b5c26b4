"""The one door to child processes. No other module imports `subprocess` (import-linter holds this).

Every child gets a list (never a shell), a closed stdin unless it is fed, an environment chosen by us, and a
deadline. A child that works for us dies with us: `setpriv --pdeathsig` makes the kernel kill it when the thread
that started it ends, so a parent lost to kill -9 leaves no orphan and, above all, no pipe whose end is taken for
the end of the data. Secrets travel in `env` only: argv is visible to every user of the machine.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import shutil
import signal
import subprocess
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from orchestrator.errors import Interrupted, InvalidInput, ProcessFailed, ProcessTimeout

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
STDERR_LINES_KEPT = 40
GRACE_SECONDS = 10.0

Line = Callable[[str], None]

#: Children that work for us now, so that one interruption can stop those of every thread.
_living: weakref.WeakSet[Child] = weakref.WeakSet()

#: Set while everything is being stopped: no thread may start another child then.
_stopping = threading.Event()


class Leash:
    """Holds the children of one piece of work, so that another thread can stop it: its run was aborted, its time is up.

    What waits for a child sees it end; what works in Python itself calls `check` as it gets on.
    """

    def __init__(self, parent: Leash | None = None) -> None:
        self._parent = parent
        self._children: weakref.WeakSet[Child] = weakref.WeakSet()
        self._calls: list[Callable[[], object]] = []
        self._error: Exception | None = None

    @property
    def error(self) -> Exception | None:
        """Why the work was stopped; None while it may go on."""
        return self._error or (self._parent.error if self._parent else None)

    def pull(self, error: Exception) -> None:
        """Stop the children, and let `check` raise `error` from now on. The first of several errors stays."""
        self._error = self._error or error
        for call in list(self._calls):
            with contextlib.suppress(Exception):  # it has just ended by itself
                call()
        for child in list(self._children):
            child.stop()

    def check(self) -> None:
        """Raise the error that the leash was pulled with."""
        if error := self.error:
            raise error

    @contextlib.contextmanager
    def calling(self, stop: Callable[[], object]) -> Iterator[None]:
        """Call `stop`, in another thread, when the leash is pulled during the block: for what waits for a server."""
        self._calls.append(stop)
        try:
            with self._parent.calling(stop) if self._parent else contextlib.nullcontext():
                self.check()
                yield
        finally:
            self._calls.remove(stop)

    def hold(self, child: Child) -> None:
        self._children.add(child)
        if self._parent:
            self._parent.hold(child)
        if self.error:
            child.stop()


_leash: contextvars.ContextVar[Leash | None] = contextvars.ContextVar("leash", default=None)


def current_leash() -> Leash | None:
    """Return the innermost leash that the work of this thread is on."""
    return _leash.get()


@contextlib.contextmanager
def leashed(leash: Leash) -> Iterator[Leash]:
    """Put the children that this thread starts in the block on a leash."""
    token = _leash.set(leash)
    try:
        yield leash
    finally:
        _leash.reset(token)


@dataclass(frozen=True, slots=True)
class Finished:
    """A child that ended: its code, what it printed, and how long it ran."""

    code: int
    stdout: str
    stderr: str
    seconds: float


def find_program(name: str, *, package: str) -> str:
    """Return the path of `name`. Raises InvalidInput naming the Debian package that has it."""
    path = shutil.which(name)
    if path is None:
        raise InvalidInput(f"the program {name!r} is not installed", hint=f"apt-get install {package}")
    return path


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child: a few harmless variables of ours, and `extra`."""
    base = {key: os.environ[key] for key in INHERITED if key in os.environ}
    return {**base, **(extra or {})}


class Child:
    """A running child process. Use as a context manager: leaving the block stops it, SIGINT first.

    SIGINT and not SIGTERM, because restic 0.14 removes its lock on SIGINT and leaves it on SIGTERM.

    `output` is a file that takes all it says: a program that leaves a daemon behind would keep a pipe open for ever.
    `always` is for what takes something back: it is started although the work or the whole process is being stopped.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: int | IO[bytes] | None = None,
        stdout: int | IO[bytes] | None = None,
        output: IO[bytes] | None = None,
        user: str | None = None,
        on_stderr: Line | None = None,
        always: bool = False,
    ) -> None:
        if _stopping.is_set() and not always:
            raise Interrupted("中断 interrupted", hint="what was done is kept; run the same command again")
        leash = None if always else current_leash()
        if leash:
            leash.check()
        self.program = Path(argv[0]).name
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES_KEPT)
        self._on_stderr = on_stderr
        self._popen = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *argv],
            env=environment(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=output or (subprocess.PIPE if stdout is None else stdout),
            stderr=subprocess.STDOUT if output else subprocess.PIPE,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            start_new_session=True,  # ctrl-C reaches us, and we decide how the child ends
        )
        self._reader = threading.Thread(target=self._read_stderr, daemon=True)
        self._reader.start()
        if not always:
            _living.add(self)
        if leash:
            leash.hold(self)

    def _read_stderr(self) -> None:
        for raw in self._popen.stderr or ():
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self._stderr.append(line)
            if self._on_stderr:
                self._on_stderr(line)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def stderr(self) -> str:
        """The last lines that the child wrote to stderr."""
        return "\n".join(self._stderr)

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def lines(self) -> Iterator[str]:
        """Yield stdout line by line, without line ends, until the child closes it."""
        for raw in self.stdout:
            yield raw.decode("utf-8", "replace").rstrip("\n")

    @property
    def stdout(self) -> IO[bytes]:
        """The child's output, to be read here or handed to another child."""
        assert self._popen.stdout is not None
        return self._popen.stdout

    def read(self, size: int = -1) -> bytes:
        return self.stdout.read(size)

    def close_stdout(self) -> None:
        """Let go of our end of the output after another child got it: else its early end would not be noticed."""
        self.stdout.close()

    def wait(self, seconds: float) -> int:
        """Return the exit code. Raises ProcessTimeout, with the child stopped, after `seconds`."""
        try:
            code = self._popen.wait(max(seconds, 0.01))
        except subprocess.TimeoutExpired:
            self.stop()
            raise ProcessTimeout(self.program, seconds, self.stderr) from None
        self._reader.join(GRACE_SECONDS)
        return code

    def stop(self) -> None:
        """End the child: SIGINT, and SIGKILL to its whole group after a grace. May be repeated."""
        if self.running:
            self._signal(signal.SIGINT)
            try:
                self._popen.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self._popen.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._reader.join(GRACE_SECONDS)
        for stream in (self._popen.stdout, self._popen.stderr):
            if stream:
                stream.close()


@contextlib.contextmanager
def stopping_children() -> Iterator[None]:
    """Stop every child of every thread, and let none be started during the block. Their owners see them end badly."""
    _stopping.set()
    try:
        for child in list(_living):
            child.stop()
        yield
    finally:
        _stopping.clear()


def run(
    argv: Sequence[str],
    *,
    deadline_seconds: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | IO[bytes] | None = None,
    user: str | None = None,
    on_line: Line | None = None,
    on_stderr: Line | None = None,
    check: bool = True,
) -> Finished:
    """Run a child to its end and return what it printed; `on_line` sees stdout as it comes.

    Raises ProcessFailed when it ends with another code than 0 (unless `check` is false) and ProcessTimeout when it
    does not end. Any exception here, ctrl-C included, stops the child first.
    """
    begin = time.monotonic()
    out: list[str] = []
    with Child(argv, env=env, cwd=cwd, stdin=stdin, user=user, on_stderr=on_stderr) as child:
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            child.stop()

        timer = threading.Timer(deadline_seconds, expire)
        timer.start()
        try:
            for line in child.lines():
                if on_line:
                    on_line(line)
                else:
                    out.append(line)
            code = child.wait(deadline_seconds + GRACE_SECONDS)
        finally:
            timer.cancel()
        if expired.is_set():
            raise ProcessTimeout(child.program, deadline_seconds, child.stderr)
        if check and code != 0:
            raise ProcessFailed(child.program, code, child.stderr)
        return Finished(code, "\n".join(out), child.stderr, time.monotonic() - begin)


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
) -> int:
    """Start a server that outlives us, in a session of its own, its output appended to `log`. Return its pid."""
    with log.open("ab") as sink:
        child = subprocess.Popen(
            list(argv),
            env=environment(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            start_new_session=True,
        )
    child.returncode = 0  # it is nobody's to wait for; else Popen complains at our end that it still runs
    return child.pid


def become(argv: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Put a program in the place of this one, on the same terminal. Returns never."""
    os.execvpe(argv[0], list(argv), environment(env))  # noqa: S606


def started_at(pid: int) -> int | None:
    """Return when `pid` started, in clock ticks since boot, or None when there is no such process.

    A pid alone is no identity: numbers are used again. A pid with its start is one.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def end_session(pid: int, started: int, *, grace_seconds: float = GRACE_SECONDS) -> None:
    """End the session that `spawn` started: SIGTERM, then SIGKILL. A pid that another process has now is left alone."""
    for number, patience in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, GRACE_SECONDS)):
        if started_at(pid) != started:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
        end = time.monotonic() + patience
        while started_at(pid) == started and time.monotonic() < end:
            time.sleep(0.05)
