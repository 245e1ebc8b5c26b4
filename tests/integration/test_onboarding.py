"""A bureau from its form to its hand-over, on real clouds and vaults."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import openpyxl
import pytest

from orchestrator import cli
from orchestrator.tenants import handover_commands, request_carrying, request_deciding
from orchestrator.tenants.request_form import MEMBERS, SYSTEMS, UNITS
from tests.integration.tenant_sites import TenantSite, purge
from tests.unit.tenants.request_bureaus import member, system, unit

pytestmark = pytest.mark.integration


@pytest.fixture
def name() -> str:
    return f"t-{secrets.token_hex(4)}"


@pytest.fixture
def site(lab: Any, tmp_path: Path, name: str) -> Iterator[TenantSite]:
    """A site without any tenant; what the request makes is gone afterwards."""
    made = TenantSite(tmp_path, lab.dir, lab.clouds_file)
    made.write()
    yield made
    for cloud in ("production", "same-city"):
        purge(made.admin(cloud), name)
    base = json.loads((lab.dir / "lab.json").read_text())["port_base"]
    for centre, port in (("same-city", 30), ("provincial", 40)):
        key = json.loads((lab.dir / "secrets" / f"vault-{centre}.admin.json").read_text())
        store = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{base + port}",
            region_name="us-east-1",
            aws_access_key_id=key["access_key"],
            aws_secret_access_key=key["secret_key"],
        )
        if f"tenant-test-{name}" in {each["Name"] for each in store.list_buckets()["Buckets"]}:
            store.delete_bucket(Bucket=f"tenant-test-{name}")
        store.close()


def test_a_bureau_comes_by_its_form_and_is_handed_over_once(
    site: TenantSite, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def tricenter(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = cli.run([*site.arguments, "request", *arguments])
        told = capsys.readouterr()
        return code, told.out + told.err

    def works(person: str) -> None:
        for module in (request_deciding, request_carrying, handover_commands):
            monkeypatch.setattr(module, "login_name", lambda: f"{person}@desk")

    form = tmp_path / "form.xlsx"
    assert tricenter("template", "--output-file", str(form))[0] == 0
    book = openpyxl.load_workbook(form)
    rows = (
        (UNITS, unit(name, 7, addresses="10.79.7.0/24", prefix=None)),
        (SYSTEMS, system(name)),
        (MEMBERS, member(name)),
    )
    for sheet, row in rows:
        book[sheet.name].append([row.get(each.key) for each in sheet.fields])
    book.save(form)

    works("li")
    assert tricenter("check", str(form))[0] == 0
    code, out = tricenter("submit", str(form), "--output", "json")
    assert code == 0, out
    request = json.loads(out[out.index("[") : out.rindex("]") + 1])[0]["id"]
    assert tricenter("approve", request)[0] == 5
    assert tricenter("apply", request, "--yes")[0] == 5
    works("wang")
    assert tricenter("approve", request, "--message", "同意")[0] == 0
    code, out = tricenter("apply", "--all-approved", "--yes")
    assert code == 0, out
    assert "已开通 applied" in out
    code, again = tricenter("apply", request, "--yes")
    assert code == 0, again
    assert "0 created" in again

    code, out = tricenter("sheet", request, "--to", str(tmp_path / "sheets"))
    assert code == 0, out
    html = (tmp_path / "sheets" / f"{name}-handover.html").read_text()
    assert "10.79.7.0/24" in html
    assert "/v3" in html
    to = tmp_path / "first.json"
    assert tricenter("hand-over", request, "--to", str(to), "--plain")[0] == 0
    told = json.loads(to.read_text())["first_passwords"]
    assert {each["centre"] for each in told} == {"production", "same-city"}
    password = next(each["password"] for each in told if each["centre"] == "production")
    login = site.admin("production").connect_as(
        username="lisi", password=password, user_domain_name=name, project_name=name, project_domain_name=name
    )
    assert login.authorize()
    assert password not in html + out + again
    assert tricenter("hand-over", request, "--to", str(tmp_path / "second"), "--plain")[0] == 5
    assert not (tmp_path / "second").exists()
