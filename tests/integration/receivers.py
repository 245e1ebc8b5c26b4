"""What notifications, pulses and mail are sent to: servers that keep what they were sent, and judge it as theirs do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

WAIT_SECONDS = 60
DINGTALK_SECRET, DINGTALK_TOKEN = "SEC0123456789abcdef", "t0kenOfDingTalk"


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """An HTTP server that answers as the messengers do. `status` is what all others are answered with."""

    url: str = ""
    status: int = 200
    asked: list[Asked] = field(default_factory=list)
    hold: threading.Event | None = None
    heard: threading.Condition = field(default_factory=threading.Condition)

    def answer(self, asked: Asked) -> tuple[int, bytes]:
        with self.heard:
            self.asked.append(asked)
            self.heard.notify_all()
        if self.hold is not None:
            self.hold.wait(WAIT_SECONDS)
        for start, judge in JUDGES.items():
            if asked.path.startswith(start):
                return 200, json.dumps(judge(asked)).encode()
        return self.status, b"ok"

    def wait_for(self, path: str, count: int = 1) -> list[Asked]:
        """Return what came to a path, once so many have. Fails when they do not come."""
        end = time.monotonic() + WAIT_SECONDS
        with self.heard:
            while len(found := [each for each in self.asked if each.path == path]) < count:
                assert self.heard.wait(end - time.monotonic()), f"{len(found)} of {count} came to {path}: {self.asked}"
        return found


def _dingtalk(asked: Asked) -> dict[str, Any]:
    """Judge as https://open.dingtalk.com/document/robots/customize-robot-security-settings says."""
    stamp = asked.query.get("timestamp", "0")
    made = hmac.new(DINGTALK_SECRET.encode(), f"{stamp}\n{DINGTALK_SECRET}".encode(), hashlib.sha256).digest()
    if asked.query.get("access_token") != DINGTALK_TOKEN:
        return {"errcode": 300001, "errmsg": f"token is not exist: {asked.query}"}
    if asked.query.get("sign") != base64.b64encode(made).decode():
        return {"errcode": 310000, "errmsg": "sign not match"}
    if abs(time.time() * 1000 - int(stamp)) > 3_600_000:
        return {"errcode": 310000, "errmsg": "invalid timestamp"}
    return {"errcode": 0, "errmsg": "ok"} if asked.json()["text"]["content"] else {"errcode": 40035}


def _wecom(asked: Asked) -> dict[str, Any]:
    if len(asked.json()["text"]["content"].encode()) > 2048:
        return {"errcode": 40058, "errmsg": "content exceed max length"}
    return {"errcode": 0, "errmsg": "ok"} if asked.query["key"] == "k3y" else {"errcode": 93000, "errmsg": "invalid"}


def _feishu(asked: Asked) -> dict[str, Any]:
    good = asked.path.endswith("/h00k") and asked.json()["content"]["text"]
    return {"code": 0, "msg": "success"} if good else {"code": 19001, "msg": "param invalid"}


JUDGES: dict[str, Callable[[Asked], dict[str, Any]]] = {
    "/robot/send": _dingtalk,
    "/cgi-bin/webhook/send": _wecom,
    "/open-apis/bot/v2/hook/": _feishu,
}


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Yield a receiver that listens on 127.0.0.1."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            status, said = receiver.answer(Asked(address.path, query, dict(self.headers), body))
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)
            except OSError:
                pass  # whoever asked was killed meanwhile

        do_GET = do_POST  # noqa: N815 - as the server calls it

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    yield receiver
    if receiver.hold:
        receiver.hold.set()
    server.shutdown()
    thread.join(10)
    server.server_close()


@dataclass
class Mailbox:
    """An SMTP server with STARTTLS that wants a login, and the mail that it took."""

    port: int = 0
    mail: list[Any] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - as aiosmtpd calls it
        self.mail.append(envelope)
        return "250 taken"
