"""How a message gets to people: apprise, which knows their services by URL, behind one deadline and without a leak.

DingTalk, WeCom and Feishu answer 200 to a message that they refuse, and say so in the body only. For these three
apprise reads the address, and the message is posted here, where the answer is read; DingTalk's signature is encoded
once, as its documentation wants it. What fails is told without any part of the address.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import apprise
import urllib3
from apprise import NotifyFormat, NotifyType
from apprise.plugins.custom_json import NotifyJSON
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.email import NotifyEmail
from apprise.plugins.feishu import NotifyFeishu
from apprise.plugins.wecombot import NotifyWeComBot

from orchestrator.errors import CheckFailed, InvalidInput, Unreachable
from orchestrator.notify.discretion import discreetly
from orchestrator.notify.words import Rendered
from orchestrator.secrets import Secret

#: From the first byte to the last answer.
DEADLINE_SECONDS = 20.0
CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0
#: What a service says of itself is not read further than this.
ANSWER_BYTES = 64 * 1024
LONGEST_TOLD = 200
#: Shorter parts of an address tell nobody anything, and would blot out half of what is told.
SHORTEST_SECRET = 4
TYPES = {"info": NotifyType.INFO, "warning": NotifyType.WARNING, "critical": NotifyType.FAILURE}
#: A service that names no limit of its own.
MOST_BYTES = 30_000

_apprise_log = logging.getLogger("apprise")
_apprise_log.propagate = False  # what it says names addresses: it is heard here, and told redacted


class NotDelivered(CheckFailed):
    """The service answered, and did not take the message."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What is sent: the message's id, what people read, and the facts for machines."""

    id: str
    rendered: Rendered
    facts: Mapping[str, Any] = field(default_factory=dict)


class Way:
    """The way to the people of one channel."""

    def __init__(self, name: str, url: Secret, endpoint: str | None = None) -> None:
        """Raises InvalidInput for an address that cannot be read; it is not shown."""
        self._name, self._url, self._endpoint = name, url, endpoint
        self._plugin = self._read()

    @property
    def most_bytes(self) -> int:
        """How long a message may be, with its title."""
        return min(int(self._plugin.body_maxlen or MOST_BYTES), MOST_BYTES)

    @property
    def service(self) -> str:
        return str(self._plugin.service_name)

    def send(self, sent: Sent) -> None:
        """Return when the service took the message, within DEADLINE_SECONDS. To be repeated under the same id.

        Raises NotDelivered when it was refused and Unreachable when there was no answer; neither shows the address.
        """
        ended: list[str | Exception | None] = []
        # A service that answers byte by byte would hold a thread for ever: this one may be left behind.
        worker = threading.Thread(target=self._work, args=(sent, ended), name=f"notify {self._name}", daemon=True)
        worker.start()
        worker.join(DEADLINE_SECONDS)
        if not ended:
            raise Unreachable(f"channel {self._name}: no end after {DEADLINE_SECONDS:.0f} s")
        if isinstance(ended[0], Exception):
            raise Unreachable(f"channel {self._name}: {self._redacted(_told(ended[0]))}")
        if ended[0] is not None:
            raise NotDelivered(
                f"channel {self._name}: {self._redacted(ended[0])}",
                hint="the service said why: look at its settings, and at the secret of the channel",
            )

    def _work(self, sent: Sent, ended: list[str | Exception | None]) -> None:
        try:
            with discreetly():
                ended.append(self._send(sent))
        except Exception as error:  # noqa: BLE001  # told by whoever waits, in a thread that raises to nobody
            ended.append(error)

    def _send(self, sent: Sent) -> str | None:
        """Return why the service did not take the message; None when it did."""
        ask = ROBOTS.get(type(self._plugin))
        if ask:
            return self._post(*ask(self._plugin, self._host(), f"{sent.rendered.title}\n{sent.rendered.body}"))
        if isinstance(self._plugin, NotifyJSON):
            self._plugin.payload_extras.update({"id": sent.id, **sent.facts})
            self._plugin.headers["Idempotency-Key"] = sent.id
        if isinstance(self._plugin, NotifyEmail):
            self._plugin.headers["X-Tricenter-Message"] = sent.id
        with _Hearing() as heard:
            taken = self._plugin.notify(
                body=sent.rendered.body,
                title=sent.rendered.title,
                notify_type=TYPES[sent.rendered.severity],
                body_format=NotifyFormat.TEXT,
            )
        return None if taken else heard.told or "the service did not take the message"

    def _host(self) -> str:
        return self._endpoint or HOSTS[type(self._plugin)]

    def _post(self, url: str, payload: Mapping[str, Any], code: str) -> str | None:
        certificates = "CERT_REQUIRED" if self._plugin.verify_certificate else "CERT_NONE"
        with urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS), retries=False, cert_reqs=certificates
        ) as pool:
            body = json.dumps(payload, ensure_ascii=False).encode()
            headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "tricenter"}
            answer = pool.request("POST", url, body=body, headers=headers, redirect=False, preload_content=False)
            text = answer.read(ANSWER_BYTES, decode_content=True).decode(errors="replace")
            answer.close()
        if answer.status != 200:
            return f"answered with {answer.status}"
        try:
            said = json.loads(text)
            taken = said.get(code, said.get("StatusCode")) == 0
        except (ValueError, AttributeError):
            return f"answered with no JSON: {text}"
        return None if taken else f"refused the message: {text}"

    def _read(self) -> Any:
        with _Hearing():
            plugin = apprise.Apprise.instantiate(self._url.reveal(), suppress_exceptions=True)
        if plugin is None:
            raise InvalidInput(
                f"the address of channel {self._name} cannot be read",
                hint="it is a URL of apprise: dingtalk://SECRET@TOKEN, wecombot://KEY, feishu://TOKEN, mailtos://…",
            )
        if self._endpoint and type(plugin) not in ROBOTS:
            raise InvalidInput(
                f"channel {self._name} has an endpoint, and {plugin.service_name} names its server in the address",
                hint="endpoint is for dingtalk://, wecombot:// and feishu://",
            )
        return plugin

    def _redacted(self, text: str) -> str:
        """Return a text on one line without any part of the address."""
        address = urlsplit(self._url.reveal())
        parts = {*address.netloc.replace("@", ":").split(":"), *address.path.split("/"), address.query}
        parts |= {value for pair in address.query.split("&") for value in pair.split("=")[1:]}
        known = {shape for part in parts for shape in (part, unquote(part)) if len(shape) >= SHORTEST_SECRET}
        for part in sorted(known, key=len, reverse=True):
            text = text.replace(part, "…")
        return " ".join(text.split())[:LONGEST_TOLD]


class _Hearing(logging.Handler):
    """Hears what apprise says while it is entered, and lets nobody else hear it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._lines: list[str] = []

    @property
    def told(self) -> str:
        return "; ".join(self._lines)

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        # The cause is told at the lowest level only, where the whole message and its address are told as well.
        telling = record.levelno >= logging.WARNING or said.startswith("Socket Exception")
        if telling and record.thread == self._thread:
            self._lines.append(said)

    def __enter__(self) -> _Hearing:
        self._thread = threading.get_ident()
        _apprise_log.setLevel(logging.DEBUG)
        _apprise_log.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        _apprise_log.removeHandler(self)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


# --- the three that answer 200 to what they refuse

Ask = tuple[str, Mapping[str, Any], str]


def _dingtalk(plugin: NotifyDingTalk, host: str, text: str, clock: Callable[[], float] = time.time) -> Ask:
    """Return what is posted: https://open.dingtalk.com/document/robots/custom-robot-access."""
    query = {"access_token": plugin.token}
    if plugin.secret:
        query |= dict(zip(("timestamp", "sign"), sign_dingtalk(plugin.secret, clock()), strict=True))
    payload = {"msgtype": "text", "text": {"content": text}, "at": {"atMobiles": plugin.targets, "isAtAll": False}}
    return f"{host}/robot/send?{urlencode(query)}", payload, "errcode"


def sign_dingtalk(secret: str, now: float) -> tuple[str, str]:
    """Return the timestamp, in milliseconds, and the signature of it. Pure."""
    moment = str(round(now * 1000))
    made = hmac.new(secret.encode(), f"{moment}\n{secret}".encode(), hashlib.sha256).digest()
    return moment, base64.b64encode(made).decode()


def _wecom(plugin: NotifyWeComBot, host: str, text: str) -> Ask:
    """Return what is posted: https://developer.work.weixin.qq.com/document/path/91770."""
    payload = {"msgtype": "text", "text": {"content": text}}
    return f"{host}/cgi-bin/webhook/send?{urlencode({'key': plugin.key})}", payload, "errcode"


def _feishu(plugin: NotifyFeishu, host: str, text: str) -> Ask:
    """Return what is posted: https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot."""
    return f"{host}/open-apis/bot/v2/hook/{plugin.token}", {"msg_type": "text", "content": {"text": text}}, "code"


ROBOTS: Mapping[type, Callable[[Any, str, str], Ask]] = {
    NotifyDingTalk: partial(_dingtalk, clock=time.time),
    NotifyWeComBot: _wecom,
    NotifyFeishu: _feishu,
}
HOSTS: Mapping[type, str] = {
    NotifyDingTalk: "https://oapi.dingtalk.com",
    NotifyWeComBot: "https://qyapi.weixin.qq.com",
    NotifyFeishu: "https://open.feishu.cn",
}
