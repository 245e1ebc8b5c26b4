"""Notifications over the wire: real commands, and servers that judge what they are sent as the messengers do."""

from __future__ import annotations

import email
import io
import json
import os
import signal
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from sqlalchemy import select, update

from orchestrator import cli
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.database import now
from orchestrator.catalogue.records import RunState
from orchestrator.catalogue.store import Catalogue
from orchestrator.notify import courier
from orchestrator.notify.channels import NotDelivered, Sent, Way
from orchestrator.notify.words import Rendered
from orchestrator.process import Child, Finished, run, spawn
from orchestrator.secrets import Secret
from policies.load import load_site
from policies.tenant import PathSource
from tests.bench.servers import Certificate, free_ports, make_certificate
from tests.integration.conftest import SmallSite
from tests.integration.receivers import DINGTALK_SECRET, DINGTALK_TOKEN, Mailbox, Receiver, receiving
from tests.unit.notify.small_news import Program, add_drill, add_fault, add_run, add_runs, add_wait

pytestmark = pytest.mark.integration

DALIAN = Path(__file__).parents[2] / "examples" / "dalian"
TRICENTER = str(Path(sys.executable).with_name("tricenter"))
OVERLAY = """
state: {state}
notifications:
  report_link: https://reports.example/{{drill}}.html
  channels: {channels}
  pulse: {pulse}
"""


@dataclass
class Town:
    """The example site with channels of ours, and a catalogue of its own."""

    folder: Path
    receiver: Receiver
    env: dict[str, str]

    def told(self, pulse: dict[str, str] | None = None, **channels: dict[str, Any]) -> Town:
        text = OVERLAY.format(
            state=self.folder / "state", channels=json.dumps(channels), pulse=json.dumps(pulse) if pulse else "null"
        )
        (self.folder / "overlay.yaml").write_text(text, encoding="utf-8")
        return self

    def secret(self, name: str, value: str) -> str:
        """Keep a secret in a file, and return the reference to it."""
        file = self.folder / name
        file.write_text(value, encoding="utf-8")
        file.chmod(0o600)
        return f"file:{file}"

    @property
    def argv(self) -> list[str]:
        return [TRICENTER, "--site", str(DALIAN), "--overlay", str(self.folder / "overlay.yaml")]

    def tricenter(self, *words: str, code: int = 0, env: dict[str, str] | None = None) -> Finished:
        ended = run([*self.argv, *words], env={**self.env, **(env or {})}, deadline_seconds=120, check=False)
        assert ended.code == code, f"{words}: {ended.code}, want {code}\n{ended.stdout}\n{ended.stderr}"
        assert "Traceback" not in ended.stderr
        return ended

    def json(self, *words: str, code: int = 0) -> Any:
        """The same in this process, which is quicker."""
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as told:
            for name, value in self.env.items():
                patch.setenv(name, value)
            assert cli.run([*self.argv[1:], *words, "--output", "json"]) == code
        return json.loads(told.getvalue())

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.env["TRICENTER_DATABASE_URL"])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def town(tmp_path: Path, receiver: Receiver) -> Town:
    url = f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    return Town(tmp_path, receiver, {"TRICENTER_DATABASE_URL": url, "HOME": str(tmp_path), "COLUMNS": "200"})


# --- each service


MESSAGE = Sent("m1", Rendered("演练达标", "RPO 10m / 1h", "info"))


def test_the_messengers_take_what_is_sent(receiver: Receiver) -> None:
    for url in (f"dingtalk://{DINGTALK_SECRET}@{DINGTALK_TOKEN}", "wecombot://k3y", "feishu://h00k"):
        Way("duty", Secret(url), receiver.url).send(MESSAGE)
    ding, wecom, feishu = receiver.asked
    assert ding.json() == {
        "msgtype": "text",
        "text": {"content": "演练达标\nRPO 10m / 1h"},
        "at": {"atMobiles": [], "isAtAll": False},
    }
    assert wecom.json() == {"msgtype": "text", "text": {"content": "演练达标\nRPO 10m / 1h"}}
    assert feishu.json() == {"msg_type": "text", "content": {"text": "演练达标\nRPO 10m / 1h"}}


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"dingtalk://{DINGTALK_TOKEN}", "sign not match"),
        (f"dingtalk://SEC00000000@{DINGTALK_TOKEN}", "sign not match"),
        (f"dingtalk://{DINGTALK_SECRET}@an0therToken", "300001"),
        ("wecombot://an0therKey", "93000"),
        ("feishu://an0therToken", "19001"),
    ],
)
def test_what_a_messenger_refuses_did_not_get_through_although_it_answers_200(
    receiver: Receiver, url: str, why: str
) -> None:
    with pytest.raises(NotDelivered, match=f"channel duty: refused the message: .*{why}") as refused:
        Way("duty", Secret(url), receiver.url).send(MESSAGE)
    assert not any(each in str(refused.value) for each in ("an0ther", DINGTALK_TOKEN, DINGTALK_SECRET))


def test_a_channel_is_tried_by_command(town: Town) -> None:
    town.told(
        duty={
            "url": town.secret("duty", f"dingtalk://{DINGTALK_SECRET}@{DINGTALK_TOKEN}"),
            "endpoint": town.receiver.url,
        }
    )
    shown = town.tricenter("notify", "test", "duty", "--dry-run").stdout
    assert "未发送 not sent" in shown
    assert "RPO" in shown
    assert town.receiver.asked == []
    told = town.tricenter("--debug", "notify", "test", "duty")
    assert "已送达 taken" in told.stdout
    assert DINGTALK_TOKEN not in told.stdout + told.stderr
    assert "'duty'" in town.tricenter("notify", "test", "dutty", code=2).stderr
    town.secret("duty", f"dingtalk://{DINGTALK_TOKEN}")
    assert "sign not match" in town.tricenter("notify", "test", "duty", code=4).stderr


def test_a_webhook_is_told_the_facts_under_an_id(town: Town) -> None:
    address = town.receiver.url.replace("http://", "json://li:pa55word@")
    town.told(hook={"url": town.secret("hook", f"{address}/t0ken/in"), "language": "en"})
    catalogue = town.catalogue
    assert town.json("notify", "send") == {"new": 0, "messages": [], "by_another": False}
    moment = now()
    add_drill(catalogue.engine, "20261123-ab", moment)
    add_run(catalogue.engine, "20261123-ab", RunState.DONE, moment, flow="drill", subject="p")
    foreseen = town.json("notify", "send", "--dry-run")
    assert (foreseen["new"], town.receiver.asked) == (1, [])
    assert "https://reports.example/20261123-ab.html" in foreseen["messages"][0]["body"]
    (sent,) = town.json("notify", "send")["messages"]
    (asked,) = town.receiver.asked
    body = asked.json()
    assert (asked.path, asked.headers["Idempotency-Key"], body["id"]) == ("/t0ken/in", sent["id"], sent["id"])
    assert asked.headers["Authorization"].startswith("Basic ")
    (notice,) = body["notices"]
    assert (notice["id"], notice["event"], notice["severity"]) == ("drill:20261123-ab", "drill", "info")
    assert notice["facts"]["systems"][0]["rto_seconds"] == 3000
    assert "drill of land-registry (sandbox): objectives met" in body["title"]
    assert "RPO 10m / 1h" in body["message"]
    (listed,) = town.json("notify", "list")["messages"]
    assert (listed["state"], listed["attempts"], listed["notices"][0]["id"]) == ("sent", 1, "drill:20261123-ab")
    kept = (town.folder / "catalogue.sqlite").read_bytes()
    assert b"t0ken" not in kept
    assert b"pa55word" not in kept


class _Knows:
    """Lets in who has the password."""

    def __call__(self, *asked: Any) -> AuthResult:
        known = asked[-1]
        good = isinstance(known, LoginPassword) and (known.login, known.password) == (b"li", b"pa55word")
        return AuthResult(success=good, handled=False)


@contextmanager
def mailing(certificate: Certificate) -> Iterator[Mailbox]:
    """Yield a mail server that speaks to those who encrypt and log in."""
    context, box = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), Mailbox()
    context.load_cert_chain(certificate.cert, certificate.key)
    server = Controller(
        box,
        hostname="127.0.0.1",
        port=free_ports(1)[0],
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=_Knows(),
    )
    server.start()
    box.port = server.port
    yield box
    server.stop()


def test_mail_is_encrypted_and_bears_the_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path)
    with mailing(certificate) as box:
        url = f"mailtos://li:{{}}@localhost:{box.port}/?from=dr@city.example&to=duty@city.example,boss@city.example"
        way = Way("mail", Secret(url.format("pa55word")))
        with pytest.raises(NotDelivered, match="CERTIFICATE_VERIFY_FAILED"):
            way.send(MESSAGE)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.cert))
        way.send(MESSAGE)
        taken = [email.message_from_bytes(each.content, policy=default) for each in box.mail]
        assert sorted(to for each in box.mail for to in each.rcpt_tos) == ["boss@city.example", "duty@city.example"]
        assert {each["X-Tricenter-Message"] for each in taken} == {"m1"}
        assert {each["Subject"] for each in taken} == {"演练达标"}
        assert "RPO 10m / 1h" in taken[0].get_content()
        with pytest.raises(NotDelivered, match="535") as refused:
            Way("mail", Secret(url.format("wr0ngword"))).send(MESSAGE)
        assert "wr0ngword" not in str(refused.value)
        assert len(box.mail) == 2


# --- crashes and storms


def test_a_sender_that_is_killed_loses_nothing_and_sends_the_same_again(town: Town) -> None:
    hook = {"url": town.secret("hook", town.receiver.url.replace("http", "json") + "/in")}
    town.told(hook=hook)
    catalogue, moment = town.catalogue, now()
    town.json("notify", "send")
    add_runs(catalogue.engine, [(f"r{each}", f"bureau/system-{each}") for each in range(500)], RunState.FAILED, moment)
    town.receiver.hold = threading.Event()
    pid = spawn([*town.argv, "notify", "send"], env=town.env, log=town.folder / "log")
    (first,) = town.receiver.wait_for("/in")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    town.receiver.hold.set()
    with catalogue.engine.begin() as db:
        db.execute(update(t.messages).values(next_at=t.messages.c.made_at))
    (sent,) = town.json("notify", "send")["messages"]
    first, again = town.receiver.asked
    assert first.json() == again.json()
    assert first.json()["id"] == sent["id"]
    assert len(first.json()["notices"]) == 500  # a storm is one message
    assert first.json()["message"].count("任务失败") == 11
    assert town.json("notify", "send")["messages"] == []


def test_a_server_tells_and_gives_the_pulse(town: Town) -> None:
    hook = {"url": town.secret("hook", town.receiver.url.replace("http", "json") + "/in")}
    town.told({"url": town.secret("pulse", f"{town.receiver.url}/pulse/t0ken"), "every": "10s"}, hook=hook)
    catalogue = town.catalogue
    add_fault(catalogue.engine, "data/ab", now())
    with Child([*town.argv, "serve", "--no-schedule", "--listen", "127.0.0.1:0"], env=town.env) as child:
        (told,) = town.receiver.wait_for("/in")
        town.receiver.wait_for("/pulse/t0ken")
        os.kill(child.pid, signal.SIGTERM)
        assert child.wait(60) == 0
        assert "t0ken" not in child.stderr
    assert told.json()["notices"][0]["event"] == "corruption"


def test_a_command_for_timers_tells_at_its_end_and_gives_the_pulse(
    fresh_site: SmallSite, tmp_path: Path, receiver: Receiver
) -> None:
    town = Town(tmp_path, receiver, {})
    rules = {
        "channels": {"hook": {"url": town.secret("hook", receiver.url.replace("http", "json") + "/in")}},
        "pulse": {"due_url": town.secret("pulse-backup", f"{receiver.url}/due/t0ken").replace("backup", "{flow}")},
    }
    overlay = fresh_site.edited(tmp_path, lambda text: f"{text}\nnotifications: {json.dumps(rules)}\n")
    env = {"TRICENTER_OVERLAY": str(overlay)}
    fresh_site.tricenter("backup", "run", "bureau/notices", "--due", env=env)
    assert [each.path for each in receiver.asked] == ["/due/t0ken"]
    source = fresh_site.app.system("bureau/notices").system.sources["pages"]
    assert isinstance(source, PathSource)
    Path(source.path).rename(tmp_path / "away")
    fresh_site.tricenter("backup", "run", "bureau/notices", env=env, code=2)
    (told,) = receiver.wait_for("/in")
    (notice,) = told.json()["notices"]
    assert (notice["event"], notice["facts"]["about"]) == ("run-failed", "bureau/notices")


def test_the_same_on_postgresql(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = Catalogue(postgresql_url)
    site = load_site(DALIAN)
    catalogue.register_systems((ref.tenant.tenant, ref.name) for ref in site.systems())
    rules = site.notifications.model_validate({"channels": {"duty": {"url": "env:X"}}})
    program = Program(site.model_copy(update={"notifications": rules}), catalogue)
    arrived: list[Any] = []
    monkeypatch.setattr(courier, "way_of", lambda *_: type("Way", (), {"most_bytes": 9999, "send": arrived.append})())
    courier.tell(program)
    moment = now()
    with catalogue.engine.begin() as db:
        db.execute(update(t.systems).values(created_at=moment - timedelta(days=400)))
    add_run(catalogue.engine, "w", RunState.WAITING, moment, flow="drill", waiting_for="approve:ab")
    add_wait(catalogue.engine, "w", "approve:ab", moment)
    add_run(catalogue.engine, "f", RunState.FAILED, moment)
    add_fault(catalogue.engine, "data/ab", moment)
    add_drill(catalogue.engine, "d", moment)
    add_run(catalogue.engine, "d", RunState.DONE, moment, flow="drill", subject="p")
    fresh, _ = courier.foresee(program)
    told = courier.tell(program)
    assert {each.event for each in told.noted} == {"objective", "approval", "run-failed", "corruption", "drill"}
    assert len(told.noted) == len(fresh) == len(arrived[-1].facts["notices"])
    assert [state for _, state in told.tried] == ["sent"]
    assert courier.tell(program).noted == ()
    with catalogue.engine.connect() as db:
        assert db.execute(select(t.messages.c.state)).scalars().all() == ["sent"]
    catalogue.engine.dispose()
