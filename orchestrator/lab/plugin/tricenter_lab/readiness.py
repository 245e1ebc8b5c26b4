"""Tells the lab when a nova-compute has really begun: its row in the database says so long before.

A server that is asked for in between ends in ERROR, because a starting nova-compute takes it for the rest of a crash.
"""

import contextlib
import os
import socket
import threading
from pathlib import Path

_begun = threading.Event()


def announce():
    """From now on accept connections on the socket that the lab named. What comes by it is of no interest."""
    path = os.environ.get("TRICENTER_LAB_BEGUN")
    if not path or _begun.is_set():
        return
    _begun.set()
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen()
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()


def _accept(listener):
    while True:
        with contextlib.suppress(OSError):
            listener.accept()[0].close()
