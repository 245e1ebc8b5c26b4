"""A power cut at a vault in the middle of all that works with it, whatever the machine's pace is.

Each piece of work has a line of its own to the vault. A line that has carried the bytes that it was to carry holds the
next ones back; when all lines hold, the vault is killed, and nothing but refusals comes from it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.bench.servers import Weed
from tests.integration.cuts import Proxy, listen

#: Work that ends before its middle is a fault of the test: then the others must not wait for it.
HOLD_SECONDS = 180


@dataclass
class Line:
    """A way to the vault on which so many bytes may go up (to it), or down (from it)."""

    up: bool
    left: int
    proxy: Proxy = field(init=False)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.proxy.port}"


class PowerCut:
    """Lines to one vault, which stays away once it was cut, until somebody starts it and gives its own endpoint."""

    def __init__(self, weed: Weed) -> None:
        self._weed, self._lines, self._held = weed, list[Line](), threading.Condition()
        self.over = False

    def line(self, *, up: int = 0, down: int = 0) -> Line:
        """Return another line, for `up` or `down` bytes. To be called before any of them is used."""
        made = Line(up > 0, up or down)
        self._lines.append(made)
        port = urlsplit(self._weed.endpoint).port
        assert port
        made.proxy = Proxy(listen(), port, lambda size, up: self._passes(made, size, up))
        return made

    def close(self) -> None:
        for each in self._lines:
            each.proxy.close()

    def _passes(self, line: Line, size: int, up: bool) -> bool:
        with self._held:
            if up is line.up:
                line.left -= size
            if line.left > 0:
                return not self.over
            if not self.over and all(each.left <= 0 for each in self._lines):
                self._weed.stop()
                self.over = True
                self._held.notify_all()
            self._held.wait_for(lambda: self.over, HOLD_SECONDS)
            return False
