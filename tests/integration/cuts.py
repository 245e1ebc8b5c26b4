"""Ways to cut a process off from a server: nothing is refused and nothing comes back, or all is refused after that."""

from __future__ import annotations

import ctypes
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.process import Child, run

CLONE_NEWNET = 0x40000000
LOOK_SECONDS = 0.05


#: Told of a piece on its way, how long it is and whether it goes to the server; says whether it may pass.
Passes = Callable[[int, bool], bool]


class Proxy:
    """Forwards TCP from `listening` to a port of this machine, until `cut`: then it takes connections and is silent.

    The first piece that does not pass, and all after it, go nowhere, and every connection is refused from then on.
    """

    def __init__(self, listening: socket.socket, port: int, passes: Passes = lambda size, up: True) -> None:
        self._listening, self._target, self._passes = listening, ("127.0.0.1", port), passes
        self.port = int(listening.getsockname()[1])
        self._open: list[socket.socket] = [listening]
        self._cut, self._closed = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        """Forward nothing more. What is connected stays so, and hears nothing."""
        self._cut.set()

    def close(self) -> None:
        self._closed.set()
        self._threads[0].join()

    def _accept(self) -> None:
        while not self._closed.is_set():
            if not select.select([self._listening], [], [], LOOK_SECONDS)[0]:
                continue
            client, _ = self._listening.accept()
            self._open.append(client)
            if not self._cut.is_set():
                with suppress(OSError):  # a server that is gone: what is open is closed when that is known here
                    server = socket.create_connection(self._target)
                    self._open.append(server)
                    self._threads.append(threading.Thread(target=self._forward, args=(client, server)))
                    self._threads[-1].start()
        for each in self._threads[1:]:
            each.join()
        for connection in self._open:
            connection.close()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        to = {client: server, server: client}
        while not self._closed.is_set():
            ready = select.select(list(to), [], [], LOOK_SECONDS)[0]
            if self._cut.is_set():
                return
            for each in ready:
                with suppress(OSError):
                    data = each.recv(65536)
                    if not data:
                        to[each].shutdown(socket.SHUT_RDWR)
                        return
                    if not self._passes(len(data), each is client):
                        self._closed.set()
                        return
                    to[each].sendall(data)


@dataclass(frozen=True)
class Line:
    """What leads to PostgreSQL: the port at which it answers, a prefix for who is to use it, and how it is cut."""

    port: int
    prefix: Sequence[str]
    cut: Callable[[], None]


@contextmanager
def silent_proxy(port: int) -> Iterator[Line]:
    """A proxy that falls silent: connections are taken and answered by nobody, as behind a dead firewall."""
    proxy = Proxy(listen(), port)
    try:
        yield Line(proxy.port, (), proxy.cut)
    finally:
        proxy.close()


@contextmanager
def dead_network(port: int) -> Iterator[Line]:
    """A network namespace whose only interface goes down. Its loopback leads to a proxy that lives outside of it."""
    # Held by a process and not by a mount: that works in a container, too.
    with Child(["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 600"]) as holder:
        assert next(holder.lines()) == "up"
        inside = Path(f"/proc/{holder.pid}/ns/net")
        with ThreadPoolExecutor(1) as thread:  # of its own: it never comes back out of the namespace
            proxy = Proxy(thread.submit(_listen_inside, inside).result(), port)
        enter = ("nsenter", f"--net={inside}")

        def cut() -> None:
            run([*enter, "ip", "link", "set", "lo", "down"], deadline_seconds=10)

        try:
            yield Line(proxy.port, enter, cut)
        finally:
            proxy.close()


def _listen_inside(namespace: Path) -> socket.socket:
    with namespace.open("rb") as file:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return listen()


def listen(port: int = 0) -> socket.socket:
    """Listen on a port of the loopback, or on any free one."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen()
    return listening
