"""`tricenter serve`, `worker` and `run` as real processes: stopped, killed, taken over, approved, aborted."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import pytest

from orchestrator.errors import Refused
from orchestrator.person import login_name
from orchestrator.process import Child, Finished, run
from orchestrator.scratch.postgres import start_server
from orchestrator.secrets import read_secret
from orchestrator.server.client import Client
from orchestrator.server.listening import listen_on

pytestmark = pytest.mark.integration

DALIAN = Path(__file__).parents[2] / "examples" / "dalian"
PROGRAM = [sys.executable, str(Path(__file__).with_name("control_flows.py"))]
WAIT_SECONDS = 60


@dataclass
class Site:
    """A site with a state folder of its own, and the processes of it."""

    folder: Path
    database: str
    address: str
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def env(self) -> dict[str, str]:
        overlay = self.folder / "overlay.yaml"
        overlay.write_text(f"state: {self.folder / 'state'}\n")
        return {
            "HOME": str(self.folder),
            "TRICENTER_SITE": str(DALIAN),
            "TRICENTER_OVERLAY": str(overlay),
            "TRICENTER_DATABASE_URL": self.database,
            "TRICENTER_SERVER": f"http://{self.address}",
        }

    def __enter__(self) -> Site:
        self.stack.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def stay(self, *words: str) -> Child:
        """Start a process that stays, and return it when it is at work."""
        child = self.stack.enter_context(Child([*PROGRAM, *words], env=self.env))
        last = "listening on" if "--listen" in words else "worker"
        for line in child.lines():
            if last in line:
                return child
        raise AssertionError(child.stderr)

    def serve(self, *words: str) -> Child:
        return self.stay("serve", "--no-schedule", "--listen", self.address, *words)

    def tricenter(self, *words: str) -> Finished:
        return run([*PROGRAM, *words], env=self.env, deadline_seconds=WAIT_SECONDS, check=False)

    def watch(self, run_id: str) -> Callable[[], Finished]:
        """Follow a run; what is returned waits for the end of that."""
        ended: list[Finished] = []
        thread = threading.Thread(target=lambda: ended.append(self.tricenter("run", "watch", run_id)))
        thread.start()

        def end() -> Finished:
            thread.join(WAIT_SECONDS)
            return ended[0]

        return end

    def client(self, user: str = "somebody@else") -> Client:
        token = self.folder / "state" / "secrets" / "api-token"
        return Client(f"http://{self.address}", lambda: read_secret(f"file:{token}").reveal(), user=user)

    def ask_for(self, flow: str, **arguments: str) -> str:
        sent = {"flow": flow, "arguments": {"folder": str(self.folder), **arguments}}
        return str(self.client().post("runs", sent)["run"]["id"])

    def wait_for(self, run_id: str, **wanted: object) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while True:
            shown = self.client().get(f"runs/{run_id}")["run"]
            if all(shown[name] == value for name, value in wanted.items()):
                return
            assert time.monotonic() < end, shown
            time.sleep(0.1)

    @property
    def notes(self) -> list[str]:
        return (self.folder / "notes").read_text().split()

    def go(self) -> None:
        (self.folder / "go").touch()


def free_address() -> str:
    with closing(listen_on("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path, f"sqlite:///{tmp_path / 'catalogue.sqlite'}", free_address()) as made:
        yield made


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    place = Path("/tmp") / f"tricenter-{secrets.token_hex(3)}"
    place.mkdir(mode=0o711)
    server = start_server(place, "pg")
    try:
        server.create_database("catalogue")
        yield f"postgresql://{server.user}@/catalogue?host={server.socket_dir}&port={server.port}"
    finally:
        server.stop()
        shutil.rmtree(place)


def test_a_run_is_asked_for_followed_and_done(site: Site) -> None:
    site.serve()
    site.go()
    ended = site.tricenter("run", "start", "nap", f"folder={site.folder}", "--watch")
    assert ended.code == 0, ended.stderr
    assert [word for word in ("begin", "nap", "end") if word not in ended.stdout] == []
    (shown,) = site.client().get("runs")["runs"]
    assert (shown["state"], shown["result"], shown["requested_by"]) == ("done", "rested", login_name())


def test_a_server_that_stops_hands_its_runs_to_the_next(site: Site) -> None:
    first = site.serve()
    run_id = site.ask_for("nap")
    site.wait_for(run_id, step="nap")
    watched = site.watch(run_id)
    time.sleep(1)
    os.kill(first.pid, signal.SIGTERM)
    assert first.wait(WAIT_SECONDS) == 0
    assert first.stderr == ""
    site.serve()
    site.wait_for(run_id, state="running", step="nap")
    site.go()
    ended = watched()
    assert ended.code == 0, ended.stderr
    assert "still trying" in ended.stdout
    assert site.notes == ["begin", "end"], "no step that was done is done again"


def test_a_server_that_is_killed_is_resumed(site: Site) -> None:
    first = site.serve()
    run_id = site.ask_for("nap")
    site.wait_for(run_id, step="nap")
    os.kill(first.pid, signal.SIGKILL)
    first.wait(WAIT_SECONDS)
    assert site.tricenter("run", "list").code == 6
    site.go()
    site.serve()
    site.wait_for(run_id, state="done")
    assert site.notes == ["begin", "end"]


def test_a_second_stop_ends_at_once(site: Site) -> None:
    server = site.serve()
    run_id = site.ask_for("nap", deep="yes")
    site.wait_for(run_id, step="nap")
    os.kill(server.pid, signal.SIGINT)
    time.sleep(1)
    began = time.monotonic()
    os.kill(server.pid, signal.SIGINT)
    assert server.wait(WAIT_SECONDS) == 130
    assert time.monotonic() - began < 2


def test_an_aborted_run_ends_so_for_who_watches(site: Site) -> None:
    site.serve()
    run_id = site.ask_for("nap")
    site.wait_for(run_id, step="nap")
    watched = site.watch(run_id)
    assert site.tricenter("run", "abort", run_id, "--yes").code == 0
    assert watched().code == 130
    assert site.notes == ["begin"]


def test_another_person_approves(site: Site) -> None:
    site.serve()
    run_id = site.ask_for("ask")
    site.wait_for(run_id, state="waiting")
    with pytest.raises(Refused, match="cannot approve"):
        site.client().post(f"runs/{run_id}/approve", {"topic": "approval"})
    assert site.tricenter("run", "approve", run_id, "--yes").code == 0
    site.wait_for(run_id, state="done")
    assert site.client().get(f"runs/{run_id}")["run"]["result"]["by"] == login_name()


def test_one_server_for_a_state_folder_and_it_is_named(site: Site) -> None:
    server = site.serve()
    refused = site.tricenter("serve", "--listen", "127.0.0.1:0")
    assert refused.code == 5
    assert f"pid {server.pid}" in refused.stderr


def test_workers_need_postgresql(site: Site) -> None:
    refused = site.tricenter("worker")
    assert refused.code == 5
    assert "TRICENTER_DATABASE_URL=postgresql://" in refused.stderr


def test_the_token_is_private_and_said_nowhere(site: Site) -> None:
    server = site.serve()
    file = site.folder / "state" / "secrets" / "api-token"
    assert file.stat().st_mode & 0o777 == 0o600
    token = file.read_text().strip()
    shown = [site.tricenter("run", "list"), site.tricenter("--debug", "run", "list", "--output", "json")]
    assert not [each for each in shown if token in each.stdout + each.stderr]
    assert token not in Path(f"/proc/{server.pid}/cmdline").read_text()
    with pytest.raises(Exception, match="401"):
        urlopen(f"http://{site.address}/api/v1/runs", timeout=10)


def test_workers_take_over_from_each_other(tmp_path: Path, postgres: str) -> None:
    health = free_address()
    with Site(tmp_path, postgres, free_address()) as site:
        assert site.tricenter("db", "upgrade").code == 0
        site.serve("--jobs", "1")
        first = site.stay("worker", "--no-schedule", "--listen", health)
        second = site.stay("worker", "--no-schedule")
        for page in ("readyz", "healthz", "metrics"):
            with urlopen(f"http://{health}/{page}", timeout=10) as answer:
                assert answer.status == 200
        assert {each["kind"] for each in site.client().get("workers")["workers"]} == {"server", "worker"}
        run_id = site.ask_for("nap")
        site.wait_for(run_id, step="nap")
        pids = {each["id"]: each["pid"] for each in site.client().get("workers")["workers"]}
        worker = site.client().get(f"runs/{run_id}")["run"]["worker"]
        watched = site.watch(run_id) if pids[worker] in (first.pid, second.pid) else None
        os.kill(pids[worker], signal.SIGKILL)
        if watched is None:  # it was the server itself: the API is the next one's
            site.serve("--jobs", "1")
            watched = site.watch(run_id)
        site.wait_for(run_id, generation=2, state="running")
        site.go()
        assert watched().code == 0
        assert site.notes == ["begin", "end"]
