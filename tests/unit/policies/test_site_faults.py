"""A site folder with a fault of every sort: all told at once, in our words, at their lines, and no secret shown."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from policies.findings import Finding, SiteInvalid
from policies.load import check_site, load_site

BROKEN = Path(__file__).with_name("broken_site")
EXPECTED = Path(__file__).with_name("broken_site.expected.txt")

#: Words of pydantic and of the YAML parser that mean nothing to who writes a site folder.
JARGON = ("pydantic", "Input should", "Value error", "validation", "type=", "scanning", "start token", "NoneType")


def told(finding: Finding) -> str:
    place = f"{finding.file.relative_to(BROKEN).as_posix()}:{finding.line}"
    return " | ".join((finding.severity, place, finding.path, finding.got, finding.want, finding.hint)).rstrip(" |")


def test_every_fault_is_told_at_once():
    assert [told(each) for each in check_site(BROKEN).findings] == EXPECTED.read_text("utf-8").splitlines()


def test_load_site_raises_all_the_faults_and_no_warning():
    with pytest.raises(SiteInvalid) as caught:
        load_site(BROKEN)
    faults = [each for each in EXPECTED.read_text("utf-8").splitlines() if each.startswith("fault")]
    assert len(caught.value.findings) == len(faults) > 60
    assert caught.value.exit_code == 2
    assert f"{len(faults)} faults" in str(caught.value)
    assert "tricenter validate" in caught.value.hint


def test_no_secret_and_no_jargon_is_told():
    texts = [str(each) for each in check_site(BROKEN).findings]
    assert not [each for each in texts if "hunter2" in each.lower()]
    assert not [each for each in texts if any(word in each for word in JARGON)]


def test_every_line_that_is_named_holds_what_it_is_about():
    for each in check_site(BROKEN).findings:
        step = each.path.rpartition(".")[2]
        if step.endswith("]") or each.file.is_dir() or each.got == "nothing":
            continue  # a whole file, a whole item of a list, or what is missing
        assert step in each.file.read_text("utf-8").splitlines()[each.line - 1], each


@pytest.mark.parametrize("lost", ["site.yaml", "tenants/again.yaml", "tiers/gold.yaml"])
def test_a_file_that_is_no_yaml_hides_no_fault_of_another(tmp_path, lost):
    site = tmp_path / "site"
    shutil.copytree(BROKEN, site)
    (site / lost).write_text("a: [1\n", "utf-8")
    found = {(each.file.relative_to(site).as_posix(), each.path) for each in check_site(site).findings}
    assert (lost, {"site.yaml": ""}.get(lost, f"{lost.partition('/')[0]}[{Path(lost).stem}]")) in found
    for kept in (
        ("tenants/health.yaml", "tenants[health].systems.his.sources.db.port"),
        ("tenants/health.yaml", "tenants[health].networks.lab.cidr"),
        ("plans/pacs.yaml", "plans[pacs].systems.health/his.probes[1].source"),
    ):
        assert kept in found


def test_a_tier_or_tenant_that_cannot_be_read_is_not_called_unknown(tmp_path, site_folder):
    (site_folder / "tiers").mkdir()
    (site_folder / "tiers" / "archive.yaml").write_text("tier: 'archive\n", "utf-8")
    tenant = site_folder / "tenants" / "health.yaml"
    tenant.write_text(tenant.read_text("utf-8").replace("data-backup", "archive"), "utf-8")
    assert [each.path for each in check_site(site_folder).findings] == ["tiers[archive]"]
    tenant.write_text("tenant: 'health\n", "utf-8")
    (site_folder / "plans").mkdir()
    (site_folder / "plans" / "his.yaml").write_text("plan: his\nsystems: {health/his: {}}\n", "utf-8")
    assert [each.path for each in check_site(site_folder).findings] == ["tenants[health]", "tiers[archive]"]


def test_a_blackout_names_tenants_and_systems_of_the_site(site_folder):
    site = site_folder / "site.yaml"
    period = "from: 2027-03-03, to: 2027-03-03, reason: {zh: 会, en: x}"
    site.write_text(
        site.read_text("utf-8") + f"blackouts: [{{{period}, tenants: [helth], systems: [health/his]}}]\n", "utf-8"
    )
    assert [(each.path, each.hint) for each in check_site(site_folder).findings] == [
        ("blackouts[0].tenants[0]", "did you mean health?")
    ]


@pytest.mark.parametrize(
    ("there", "path"),
    [("mlps_level: 3", "tenants[health].secret"), ("    tier: data-backup", "tenants[health].systems.his.secret")],
)
def test_a_system_with_state_secrets_is_refused_and_it_is_said_where_it_belongs(site_folder, there, path):
    tenant = site_folder / "tenants" / "health.yaml"
    indent = " " * (len(there) - len(there.lstrip()))
    tenant.write_text(tenant.read_text("utf-8").replace(there, f"{there}\n{indent}secret: true"), "utf-8")
    checked = check_site(site_folder)
    assert checked.site is None
    (found,) = checked.findings
    assert (found.path, found.got, found.severity) == (path, "true", "fault")
    assert all(word in found.want for word in ("政务内网", "分级保护", "state secrets", "physically apart"))
    assert "secret: true" in tenant.read_text("utf-8").splitlines()[found.line - 1]
