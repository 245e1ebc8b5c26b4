"""Addresses: what is understood, and that nothing of them is shown. What is sent over them has tests with servers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import logging
import threading
import urllib.parse
from collections.abc import Iterator

import pytest

from orchestrator.errors import InvalidInput, Unreachable
from orchestrator.notify.channels import NotDelivered, Sent, Way, sign_dingtalk
from orchestrator.notify.words import Rendered
from orchestrator.secrets import Secret


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What comes to the root of all logs, at its lowest level: with --debug that is shown."""
    text, root = io.StringIO(), logging.getLogger()
    handler, before = logging.StreamHandler(text), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(before)


MESSAGE = Sent("m1", Rendered("title", "body", "info"), {"notices": []})


@pytest.mark.parametrize(
    ("url", "service", "most"),
    [
        ("dingtalk://SECabc@token", "DingTalk", 19985),
        ("https://oapi.dingtalk.com/robot/send?access_token=abc", "", 0),
        ("wecombot://key-1", "WeCom Bot", 2048),
        ("feishu://token", "Feishu", 19985),
        ("mailtos://li:secret@mail.example?to=duty@example.cn", "E-Mail", 30_000),
        ("jsons://hooks.example/path", "JSON", 30_000),
    ],
)
def test_addresses(url: str, service: str, most: int) -> None:
    if not service:
        with pytest.raises(InvalidInput, match="cannot be read") as refused:
            Way("duty", Secret(url))
        assert "abc" not in f"{refused.value}{refused.value.hint}"
        return
    way = Way("duty", Secret(url))
    assert (way.service, way.most_bytes) == (service, most)


def test_an_endpoint_is_for_messengers_only() -> None:
    with pytest.raises(InvalidInput, match="names its server in the address"):
        Way("duty", Secret("json://hooks.example/"), "https://other.example")


def test_dingtalk_is_signed_as_its_documentation_says() -> None:
    moment, signature = sign_dingtalk("SECabc", 1700000000.1234)
    assert moment == "1700000000123"
    known = hmac.new(b"SECabc", b"1700000000123\nSECabc", hashlib.sha256).digest()
    assert base64.b64decode(signature) == known
    assert urllib.parse.quote_plus(signature) != signature  # what is encoded once must not be encoded twice


@pytest.mark.parametrize(
    "url", ["json://user:pa55word@127.0.0.1:9/hook/t0ken", "mailto://user:pa55word@127.0.0.1:9?to=a@b.cn&from=c@d.cn"]
)
def test_what_fails_is_told_without_the_address(url: str, logged: io.StringIO) -> None:
    with pytest.raises(NotDelivered, match=r"channel duty: .*[Cc]onnection") as failed:
        Way("duty", Secret(url)).send(MESSAGE)
    logging.getLogger("urllib3.connectionpool").debug("the log is there")
    told = f"{failed.value}{failed.value.hint}{logged.getvalue()}"
    assert "the log is there" in told
    for part in ("pa55word", "t0ken", "127.0.0.1"):
        assert part not in told


def test_a_service_that_never_ends_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.notify.channels.DEADLINE_SECONDS", 0.05)
    way, held = Way("duty", Secret("json://127.0.0.1/")), threading.Event()
    monkeypatch.setattr(way._plugin, "notify", lambda **_: held.wait(10))
    with pytest.raises(Unreachable, match="no end after"):
        way.send(MESSAGE)
    held.set()
