"""Serves one API of OpenStack at a port of the loopback: run by the Python of the environment that the API is in.

Arguments: the port, and the module that makes the application, or the paste file that names it.
"""

from __future__ import annotations

import importlib
import socketserver
import sys
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class ThreadingServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Handler(WSGIRequestHandler):
    def address_string(self) -> str:  # asks no name server
        return str(self.client_address[0])


def application(named: str) -> Any:
    if named.endswith(".ini"):
        return importlib.import_module("paste.deploy").loadapp(f"config:{named}")
    return importlib.import_module(named).application


if __name__ == "__main__":
    port, named = sys.argv[1:]
    del sys.argv[1:]  # the services read what is left as theirs
    with make_server("127.0.0.1", int(port), application(named), ThreadingServer, Handler) as server:
        server.serve_forever()
