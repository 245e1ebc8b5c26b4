"""The pulse is given while the work is done, and a failure is told as one."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from small_news import Program

from orchestrator.catalogue.store import Catalogue
from orchestrator.notify.pulse import Pulse, ping, ping_after, trouble_of
from orchestrator.secrets import Secret, read_secret
from policies.notifications import Notifications
from policies.site import Site


@dataclass
class Engine:
    idle_seconds: float = 0.1


@dataclass
class Felt:
    enough: int
    pings: list[bool] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def __call__(self, url: Secret, *, failed: bool) -> bool:
        self.pings.append(failed)
        if len(self.pings) >= self.enough:
            self.done.set()
        return True


def program(site: Site, catalogue: Catalogue, **rule: object) -> Program:
    rules = Notifications.model_validate({"pulse": rule})
    return Program(site.model_copy(update={"notifications": rules}), catalogue)


def test_it_works_while_the_loop_ends_and_the_catalogue_answers(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.sqlite"
    catalogue = Catalogue(f"sqlite:///{file}")
    run = program(site, catalogue, url="env:X")
    assert trouble_of(run, Engine()) == ""
    assert "has not ended for 61 s" in trouble_of(run, Engine(61))
    catalogue.engine.dispose()
    file.unlink()
    assert trouble_of(run, Engine()) == "the catalogue does not answer"


@pytest.mark.parametrize(("engine", "failed"), [(Engine(), False), (Engine(1000), True)])
def test_it_is_given_until_the_end(site: Site, catalogue: Catalogue, engine: Engine, failed: bool) -> None:
    felt = Felt(1)
    with Pulse(program(site, catalogue, url="env:X", every="1h"), engine, felt):
        assert felt.done.wait(20)
    assert felt.pings == [failed]


def test_without_its_secret_the_engine_works_on(
    site: Site, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run, felt = program(site, catalogue, url="env:TRICENTER_NO_SUCH"), Felt(1)
    monkeypatch.setattr(run, "secret", read_secret)
    with Pulse(run, Engine(), felt):
        pass
    assert "TRICENTER_NO_SUCH is not set" in caplog.text
    assert felt.pings == []


def test_without_a_rule_nothing_is_pinged(site: Site, catalogue: Catalogue) -> None:
    felt = Felt(1)
    with Pulse(Program(site, catalogue), Engine(), felt):
        pass
    ping_after(Program(site, catalogue), "backup", 0)
    assert felt.pings == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/t0ken", "not a url", "http://[::1/t0ken"])
def test_that_nobody_feels_it_is_logged_without_the_address(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    assert ping(Secret(url), failed=True) is False
    assert "the pulse was not felt" in caplog.text
    assert "t0ken" not in caplog.text
