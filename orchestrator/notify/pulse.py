"""The pulse: somebody outside is pinged while this program truly works, and raises the alarm when that stops.

What raises an alarm here cannot tell that it is dead itself. So the pulse is no blind timer: it is given when the loop
of the engine has come to its end a moment ago, its tick with it, and the catalogue answers. Where that is not so, it is
told as a failure at once; from a process that hangs or is gone nothing comes, which means the same.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

import urllib3

from orchestrator.catalogue.reading import check_answers
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import InvalidInput, TricenterError
from orchestrator.notify.discretion import discreetly
from orchestrator.secrets import Secret
from policies.site import Site

#: The engine's loop takes half a second, and a tick of a large site some.
SILENT_SECONDS = 60.0
CONNECT_SECONDS, READ_SECONDS = 5.0, 5.0

log = logging.getLogger(__name__)


class Working(Protocol):
    """The engine of this process, as far as its pulse goes."""

    @property
    def idle_seconds(self) -> float:
        """Seconds since its loop last came to its end."""


class Program(Protocol):
    """What the pulse needs of the object graph."""

    @property
    def site(self) -> Site: ...

    @property
    def catalogue(self) -> Catalogue: ...

    def secret(self, reference: str, **names: str) -> Secret: ...


def trouble_of(program: Program, engine: Working) -> str:
    """Return why this process does not truly work; "" when it does."""
    if engine.idle_seconds > SILENT_SECONDS:
        return f"the engine's loop has not ended for {engine.idle_seconds:.0f} s"
    try:
        check_answers(program.catalogue)
    except TricenterError:
        return "the catalogue does not answer"
    return ""


def ping(url: Secret, *, failed: bool) -> bool:
    """Ask for an address, with /fail after its path where something failed; return whether it answered well.

    Raises nothing, and shows no part of the address.
    """
    try:
        address = urllib3.util.parse_url(url.reveal())
        path = (address.path or "").rstrip("/") + "/fail" if failed else address.path
        patience = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
        with discreetly(), urllib3.PoolManager(timeout=patience, retries=False) as pool:
            answer = pool.request("GET", address._replace(path=path).url, preload_content=False)
            answer.close()
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        log.warning("the pulse was not felt: %s", type(error).__name__)
        return False
    if answer.status >= 300:
        log.warning("the pulse was answered with %d", answer.status)
    return answer.status < 300


def ping_after(program: Program, flow: str, code: int) -> None:
    """Tell that a command with --due came to its end, and how. Raises nothing."""
    pulse = program.site.notifications.pulse
    if pulse is None or pulse.due_url is None:
        return
    try:
        ping(program.secret(pulse.due_url, flow=flow), failed=code != 0)
    except InvalidInput as error:  # the work is done; that nobody hears of it is told where it is missed
        log.warning("the pulse was not given: %s", error)


class Pulse:
    """Gives the pulse, from entering to leaving, in a thread of its own."""

    def __init__(self, program: Program, engine: Working, ping: Callable[..., bool] = ping) -> None:
        self._program, self._engine, self._ping = program, engine, ping
        self._rule = program.site.notifications.pulse
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pulse", daemon=True)

    def __enter__(self) -> Pulse:
        if self._rule and self._rule.url:
            try:
                self._url = self._program.secret(self._rule.url)
                self._thread.start()
            except InvalidInput as error:
                # No reason to let the engine stand still; and who misses the pulse raises the alarm.
                log.error("the pulse is not given: %s", error)  # noqa: TRY400 - a person must change something
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CONNECT_SECONDS + READ_SECONDS)

    def _work(self) -> None:
        assert self._rule
        while not self._stop.is_set():
            trouble = trouble_of(self._program, self._engine)
            if trouble:
                log.warning("%s", trouble)
            self._ping(self._url, failed=bool(trouble))
            self._stop.wait(self._rule.every.total_seconds())
