"""Is a plan ready? Against real vaults: what is there, what is proved, what a change takes back, and a dead centre."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.black_hole import black_hole
from tests.integration.conftest import SmallSite

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def site(small_site: SmallSite) -> SmallSite:
    """The small site with one plan of two systems, backed up to the same-city centre."""
    (small_site.folder / "plans").mkdir(exist_ok=True)
    small_site.tricenter("plan", "init", "bureau", "--name", "bureau")
    for system in ("bureau/registry", "bureau/notices"):
        small_site.tricenter("backup", "run", system)
    return small_site


def check(site: SmallSite, *words: str, code: int = 0, env: dict[str, str] | None = None) -> dict[str, Any]:
    ended = site.tricenter(
        "plan", "check", "bureau", "--centre", "same-city", *words, "--output", "json", code=code, env=env
    )
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def verdicts(found: dict[str, Any], name: str) -> dict[str, str]:
    return {each["subject"]: each["verdict"] for each in found["items"] if each["name"] == name}


def state(site: SmallSite) -> str:
    rows = site.json("plan", "list")
    return next(each["state"] for each in rows if (each["plan"], each["centre"]) == ("bureau", "same-city"))


def test_a_plan_is_ready_proved_by_a_drill_and_taken_back_by_a_change(site: SmallSite) -> None:
    found = check(site)
    assert found["ready"]
    assert verdicts(found, "repository") == {"bureau/registry": "ok", "bureau/notices": "ok"}
    assert set(verdicts(found, "point").values()) == {"warn"}, "fresh, and never proved"
    assert (verdicts(found, "state"), state(site)) == ({"bureau": "warn"}, "needs-verify")

    site.tricenter("drill", "run", "bureau", "--kind", "restore", "--centre", "same-city")
    found = check(site)
    assert set(verdicts(found, "point").values()) == {"ok"}
    assert (verdicts(found, "state"), state(site)) == ({"bureau": "ok"}, "verified")

    file = site.folder / "plans" / "bureau.yaml"
    written = file.read_text("utf-8")
    file.write_text(written.replace("# deadline: 4h ", "deadline: 3h  "), "utf-8")
    assert state(site) == "needs-verify"
    file.write_text(written.replace("# owner: 姓名 电话", "owner: 张三"), "utf-8")
    assert state(site) == "verified", "who answers for it is no part of what was shown"
    file.write_text(written, "utf-8")


def test_a_failover_is_not_ready_without_people_and_places(site: SmallSite) -> None:
    found = check(site, "--kind", "failover", code=4)
    assert verdicts(found, "people") == {"bureau": "fail"}
    assert set(verdicts(found, "place").values()) == {"fail"}
    assert verdicts(found, "registers")["epoch"] in ("ok", "warn")


def test_a_centre_that_answers_nothing_costs_seconds(site: SmallSite, tmp_path: Path) -> None:
    endpoint = site.app.vault("same-city").endpoint
    with black_hole() as nowhere:
        overlay = site.edited(tmp_path, lambda text: text.replace(endpoint, f"http://{nowhere}"))
        begin = time.monotonic()
        found = check(site, code=4, env={"TRICENTER_OVERLAY": str(overlay)})
        assert time.monotonic() - begin < 20
    assert found["seconds"] < 10
    assert verdicts(found, "vault") == {"same-city": "fail"}
    assert set(verdicts(found, "repository").values()) == {"fail"}


def test_a_key_that_does_not_open_the_repository_is_found(site: SmallSite, tmp_path: Path) -> None:
    secret = tmp_path / "wrong"
    secret.write_text("not the password\n", "utf-8")
    secret.chmod(0o600)
    reference = site.app.site.repository_password
    overlay = site.edited(tmp_path, lambda text: text.replace(reference, f"file:{secret}"))
    found = check(site, code=4, env={"TRICENTER_OVERLAY": str(overlay)})
    assert set(verdicts(found, "repository").values()) == {"fail"}
    assert verdicts(found, "vault") == {"same-city": "ok"}
