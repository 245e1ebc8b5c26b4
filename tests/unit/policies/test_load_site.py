"""Reading a right site, laying an overlay over it, and the checks that no single file can make."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from policies.findings import Finding
from policies.fit import bucket_fault
from policies.load import check_site, load_site
from policies.plan import effective_probes
from policies.probe import FingerprintProbe, ManifestProbe, SqlProbe


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    return file


def change(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text("utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), "utf-8")


def another_tenant(folder: Path, name: str, cidr: str = "10.2.0.0/24") -> Path:
    text = (folder / "tenants" / "health.yaml").read_text("utf-8")
    return write(folder, f"tenants/{name}.yaml", text.replace("health", name).replace("10.1.0.0/24", cidr))


def only(folder: Path, overlay: Path | None = None) -> Finding:
    (finding,) = check_site(folder, overlay).findings
    return finding


def test_a_right_site_has_its_parts_and_no_findings(site_folder):
    looked = check_site(site_folder)
    assert looked.findings == ()
    site = load_site(site_folder)
    assert site == looked.site
    assert [str(each) for each in site.systems()] == ["health/his"]
    assert list(site.vaults()) == ["same-city", "provincial"]
    assert list(site.clouds()) == ["production"]
    assert {"data-backup", "same-city-dr", "remote-dr"} == set(site.tiers)


def test_a_system_without_a_plan_has_one_with_the_proofs_of_its_sources(site_folder):
    site = load_site(site_folder)
    plan, system = site.plans["health-his"], site.tenants["health"].systems["his"]
    assert list(plan.systems) == ["health/his"]
    assert effective_probes(plan, "health/his", system) == (
        ManifestProbe(source="files"),
        FingerprintProbe(source="db"),
    )


def test_a_plan_of_ones_own_takes_the_place_of_the_default_and_keeps_the_proofs(site_folder):
    query = "{kind: sql, source: db, query: SELECT 1, expect: '1'}"
    write(
        site_folder,
        "plans/his.yaml",
        f"plan: his\nsystems: {{health/his: {{probes: [{query}, {{kind: manifest, source: files}}]}}}}",
    )
    site = load_site(site_folder)
    assert list(site.plans) == ["his"]
    system = site.tenants["health"].systems["his"]
    sql = SqlProbe(kind="sql", source="db", query="SELECT 1", expect="1")
    expected = (ManifestProbe(source="files"), FingerprintProbe(source="db"), sql)
    assert effective_probes(site.plans["his"], "health/his", system) == expected


def test_the_longest_names_still_make_a_default_plan(site_folder):
    another_tenant(site_folder, long := "t" * 40)
    change(site_folder, f"tenants/{long}.yaml", "his:", f"{'s' * 40}:")
    assert f"{long}-{'s' * 40}" in load_site(site_folder).plans


def test_a_tier_of_the_site_takes_the_place_of_the_shipped_one(site_folder):
    retention = "{keep_within: 9d, lock: 0s}"
    write(
        site_folder,
        "tiers/data-backup.yaml",
        f"tier: data-backup\ntitle: {{zh: 备, en: B}}\nbackup_every: 1h\ngbt20988_level: 2\ndrill: {{every: 30d}}\n"
        f"copies:\n  provincial: {{rpo: 2h, rto: 1d12h, retention: {retention}}}\n",
    )
    tier = load_site(site_folder).tiers["data-backup"]
    assert list(tier.copies) == ["provincial"]
    assert tier.copies["provincial"].rto == timedelta(hours=36)
    assert tier.copies["provincial"].retention.lock == timedelta(0)


def test_an_overlay_changes_what_it_names_and_keeps_the_rest(site_folder, tmp_path):
    overlay = write(
        tmp_path,
        "overlay.yaml",
        "state: /tmp/state\n"
        "centres: {same-city: {cloud: {name: west}, vault: {endpoint: 'http://127.0.0.1:9000'}}}\n"
        "tenants:\n  health: {systems: {his: {sources: {db: {host: 127.0.0.1, port: 5433}}}}}\n",
    )
    site, plain = load_site(site_folder, overlay), load_site(site_folder)
    vault, before = site.vaults()["same-city"], plain.vaults()["same-city"]
    assert vault == before.model_copy(update={"endpoint": "http://127.0.0.1:9000"})
    source, was = (each.tenants["health"].systems["his"].sources["db"] for each in (site, plain))
    assert source == was.model_copy(update={"host": "127.0.0.1", "port": 5433})
    assert (site.state, plain.state) == ("/tmp/state", None)
    assert list(site.clouds()) == ["production", "same-city"]


def test_faults_after_a_merge_stand_where_the_value_is_written(site_folder, tmp_path):
    overlay = write(
        tmp_path,
        "overlay.yaml",
        "centres:\n  same-city:\n    vault:\n      endpoint: ftp://x\n"
        "tenants:\n  health:\n    systems:\n      his:\n        tier: gold\n"
        "  helth: {}\nstat: /tmp\n",
    )
    change(site_folder, "tenants/health.yaml", "unit_code: X-1", "unit_code: 1")
    change(site_folder, "site.yaml", "env:NEAR_ADMIN", "NEAR_ADMIN")
    places = {(each.file.name, each.line, each.path) for each in check_site(site_folder, overlay).findings}
    assert places == {
        ("overlay.yaml", 4, "centres.same-city.vault.endpoint"),
        ("overlay.yaml", 9, "tenants[health].systems.his.tier"),
        ("overlay.yaml", 10, "tenants[helth]"),
        ("overlay.yaml", 11, "stat"),
        ("site.yaml", 14, "centres.same-city.vault.admin_credential"),
        ("health.yaml", 3, "tenants[health].unit_code"),
    }


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("tenants: [health]", "no mapping"),
        ("tenants: {health: 3}", "no mapping"),
        ("tenants: {health: {tenant: other}}", "a new name for the tenant"),
        ("- a", "a list"),
    ],
)
def test_an_overlay_of_the_wrong_form_is_a_fault(site_folder, tmp_path, text, got):
    assert only(site_folder, write(tmp_path, "overlay.yaml", text)).got == got


def test_what_is_not_there_is_told(tmp_path, site_folder):
    assert only(tmp_path / "none").got == "no such folder"
    assert only(site_folder / "site.yaml").got == "a file"
    assert only(site_folder, tmp_path / "none.yaml").got == "no such file or directory"
    (site_folder / "site.yaml").rename(site_folder / "site.yml")
    assert only(site_folder).hint == "rename site.yml"


@pytest.mark.parametrize(
    ("name", "old", "new", "path", "hint"),
    [
        ("site.yaml", "kind: shared", "kind: share", "zones.public.kind", "did you mean shared?"),
        ("site.yaml", "endpoint: https://near", "endpiont: https://near", None, "did you mean endpoint?"),
        ("site.yaml", "same-city:", "same_city:", "centres.same_city", "did you mean same-city?"),
        ("tenants/health.yaml", "tier: data-backup", "tier: databackup", None, "did you mean data-backup?"),
        ("tenants/health.yaml", "zone: public", "zone: pubic", None, "did you mean public?"),
        ("tenants/health.yaml", "10.1.0.0/24", "10.1.0.9/24", None, "the network of that address is 10.1.0.0/24"),
    ],
)
def test_a_misspelling_is_answered_with_the_nearest_known_word(site_folder, name, old, new, path, hint):
    change(site_folder, name, old, new)
    findings = check_site(site_folder).findings
    assert hint in [each.hint for each in findings]
    assert path is None or path in [each.path for each in findings]


def test_networks_of_the_whole_site_are_apart(site_folder):
    another_tenant(site_folder, "education", "10.1.0.128/25")
    another_tenant(site_folder, "transport", "10.1.1.0/24")
    finding = only(site_folder)
    assert (finding.file.name, finding.path) == ("education.yaml", "tenants[education].networks.ward.cidr")
    assert "health.yaml:7" in finding.hint


def test_a_network_inside_a_wide_one_is_found_behind_a_neighbour_that_is_apart(site_folder):
    change(site_folder, "tenants/health.yaml", "10.1.0.0/24", "10.1.0.0/16")
    another_tenant(site_folder, "education", "10.1.1.0/24")
    another_tenant(site_folder, "transport", "10.1.9.0/24")
    assert len(check_site(site_folder).faults) == 2


def test_centres_that_share_a_store_or_a_cloud_are_lost_together(site_folder):
    change(site_folder, "site.yaml", "far.internal", "near.internal")
    assert only(site_folder).path == "centres.provincial.vault.endpoint"


def test_a_provincial_centre_in_the_same_city_is_a_fault(site_folder):
    change(site_folder, "site.yaml", "latitude: 41.81, longitude: 123.43", "latitude: 39.4, longitude: 121.61")
    finding = only(site_folder)
    assert (finding.severity, finding.got) == ("fault", "54.5 km from production")


@pytest.mark.parametrize("place", ["latitude: 38.92, longitude: 121.62", "latitude: 40.1, longitude: 121.78"])
def test_a_same_city_centre_too_near_or_too_far_is_a_warning(site_folder, place):
    change(site_folder, "site.yaml", "latitude: 39.06, longitude: 121.78", place)
    finding = only(site_folder)
    assert (finding.severity, finding.path) == ("warning", "centres.same-city.location")
    assert load_site(site_folder).site == "small"


def test_one_secret_for_all_tenants_is_a_warning(site_folder):
    change(site_folder, "site.yaml", "file:/secrets/{tenant}.password", "env:ALL")
    assert check_site(site_folder).findings == ()
    another_tenant(site_folder, "education")
    assert (only(site_folder).severity, only(site_folder).path) == ("warning", "repository_password")


def test_a_volume_needs_a_cloud_at_production(site_folder):
    change(site_folder, "site.yaml", "    cloud: {name: east}\n", "")
    change(site_folder, "tenants/health.yaml", "{kind: path, path: /srv/his}", "{kind: volume, volume: his}")
    assert only(site_folder).path == "tenants[health].systems.his.sources.files.kind"


def test_a_cloud_definition_needs_a_cloud_at_production(site_folder):
    change(site_folder, "tenants/health.yaml", "{kind: path, path: /srv/his}", "{kind: cloud}")
    assert check_site(site_folder).findings == ()
    change(site_folder, "site.yaml", "    cloud: {name: east}\n", "")
    assert "holds the tenant's project" in only(site_folder).want


BUCKET = "{{kind: bucket, endpoint: '{endpoint}', bucket: {bucket}, credential: file:his.json}}"
OBJECTS = BUCKET.format(endpoint="http://objects:8333", bucket="his")


def test_a_bucket_is_a_source_and_no_vaults_own(site_folder):
    change(site_folder, "tenants/health.yaml", "{kind: path, path: /srv/his}", OBJECTS)
    assert check_site(site_folder).findings == ()
    assert load_site(site_folder).tenants["health"].systems["his"].sources["files"].region == "us-east-1"
    vault = load_site(site_folder).vaults()["same-city"]
    own = BUCKET.format(endpoint=vault.endpoint, bucket=vault.bucket("health"))
    change(site_folder, "tenants/health.yaml", OBJECTS, own)
    assert only(site_folder).path == "tenants[health].systems.his.sources.files.bucket"
    assert "vault at same-city" in only(site_folder).got


def test_a_bucket_at_standby_is_another_one(site_folder):
    change(site_folder, "tenants/health.yaml", "{kind: path, path: /srv/his}", OBJECTS)
    with (site_folder / "tenants" / "health.yaml").open("a", encoding="utf-8") as file:
        file.write(f"    standby: {{same-city: {{files: {OBJECTS}}}}}\n")
    assert only(site_folder).path == "tenants[health].systems.his.standby.same-city.files.bucket"
    assert "sources.files" in only(site_folder).got


def test_a_cloud_definition_stands_wherever_the_system_is_active(site_folder):
    change(site_folder, "tenants/health.yaml", "{kind: path, path: /srv/his}", "{kind: cloud}")
    system = load_site(site_folder).tenants["health"].systems["his"]
    assert list(system.sources_at("same-city")) == ["files"]


def test_a_tier_without_an_off_site_copy_is_noted_from_mlps_level_2(site_folder):
    near = "{same-city: {rpo: 1d, rto: 1d, retention: {keep_within: 9d, lock: 1d}}}"
    rest = "backup_every: 1h\ngbt20988_level: 2\ndrill: {every: 30d}\n"
    write(site_folder, "tiers/near.yaml", f"tier: near\ntitle: {{zh: 近, en: N}}\n{rest}copies: {near}\n")
    change(site_folder, "tenants/health.yaml", "tier: data-backup", "tier: near")
    assert (only(site_folder).severity, only(site_folder).line) == ("note", 11)
    change(site_folder, "tenants/health.yaml", "mlps_level: 3", "mlps_level: 1")
    assert check_site(site_folder).findings == ()


def test_copies_need_a_vault(site_folder):
    text = (site_folder / "site.yaml").read_text("utf-8")
    begin, end = text.index("    vault:\n      endpoint: https://far"), text.index("zones:")
    (site_folder / "site.yaml").write_text(text[:begin] + text[end:], "utf-8")
    finding = only(site_folder)
    assert finding.path == "centres.provincial.vault"
    assert "data-backup" in finding.want


def test_two_default_plans_of_one_name_are_told(site_folder):
    change(site_folder, "tenants/health.yaml", "  his:", "  care-his:")
    another_tenant(site_folder, "health-care")
    text = (site_folder / "tenants" / "health-care.yaml").read_text("utf-8")
    (site_folder / "tenants" / "health-care.yaml").write_text(text.replace("  care-his:", "  his:"), "utf-8")
    assert only(site_folder).got == "a default plan named health-care-his"
    write(site_folder, "plans/own.yaml", "plan: own\nsystems: {health-care/his: {}}\n")
    assert check_site(site_folder).findings == ()


@pytest.mark.parametrize("bucket", ["dr", "b" * 64, "xn--town", "dr-x-s3alias", "dr-x--ol-s3"])
def test_names_that_s3_refuses(bucket):
    assert bucket_fault(bucket)


@pytest.mark.parametrize("bucket", ["dr-", "b" * 63, "dr-health", "dr-xn--town"])
def test_names_that_s3_takes(bucket):
    assert not bucket_fault(bucket)


def test_a_tenant_whose_bucket_s3_refuses_is_a_fault(site_folder):
    another_tenant(site_folder, "x-s3alias")
    assert {each.path for each in check_site(site_folder).faults} == {"tenants[x-s3alias].tenant"}


SERVED = """\
  ris:
    title: {zh: 放射, en: RIS}
    tier: data-backup
    sources:
      root: {kind: volume, volume: ris-root}
      db: {kind: postgresql, host: db, database: ris, user: backup, password: env:RIS}
    servers:
      web: {boot: root, flavor: small, network: ward, address: 10.1.0.9, security_groups: [default]}
    standby:
      same-city:
        db: {kind: postgresql, host: db2, database: ris, user: backup, password: env:RIS}
"""
SERVED_PLAN = """\
plan: care
duty: [zhang, li]
groups: [data, web]
systems:
  health/his: {group: data}
  health/ris:
    group: web
    steps: [{do: restore}, {do: servers}, {do: start}, {do: probe}, {do: switch}]
    probes: [{kind: tcp, server: web, port: 80}]
networks: {health/ward: {same-city: 10.9.0.0/24}}
names: {ris.example.cn: {system: health/ris, server: web}}
reconcile:
  - left: {system: health/his, source: db, query: q}
    right: {system: health/ris, source: db, query: q}
"""


def served(folder: Path) -> None:
    with (folder / "tenants" / "health.yaml").open("a", encoding="utf-8") as file:
        file.write(SERVED)
    write(folder, "plans/care.yaml", SERVED_PLAN)


def test_a_plan_of_several_systems_with_servers_has_no_findings(site_folder):
    served(site_folder)
    assert check_site(site_folder).findings == ()
    assert list(load_site(site_folder).plans) == ["care"]


def test_a_volume_at_standby_needs_a_cloud_there(site_folder):
    served(site_folder)
    with (site_folder / "tenants" / "health.yaml").open("a", encoding="utf-8") as file:
        file.write("        root: {kind: volume, volume: other}\n")
    assert only(site_folder).path == "tenants[health].systems.ris.standby.same-city.root.kind"


def test_two_networks_of_a_plan_are_apart_at_each_centre(site_folder):
    served(site_folder)
    change(site_folder, "tenants/health.yaml", "networks:\n", "networks:\n  lab: {zone: public, cidr: 10.1.1.0/24}\n")
    more = "10.9.0.0/24}, health/lab: {provincial: 10.9.0.0/24}}"
    change(site_folder, "plans/care.yaml", "10.9.0.0/24}}", more)
    assert check_site(site_folder).findings == ()
    change(site_folder, "plans/care.yaml", "provincial: 10.9", "same-city: 10.9")
    assert only(site_folder).path == "plans[care].networks.health/lab.same-city"


def test_a_port_that_no_group_opens_is_a_warning(site_folder):
    served(site_folder)
    groups = "security_groups:\n  web: {rules: [{protocol: tcp, ports: 443}, {direction: egress}]}\n"
    change(site_folder, "tenants/health.yaml", "systems:\n", f"{groups}systems:\n")
    change(site_folder, "tenants/health.yaml", "[default]", "[web]")
    assert (only(site_folder).severity, only(site_folder).path) == (
        "warning",
        "plans[care].systems.health/ris.probes[0].port",
    )
    change(site_folder, "plans/care.yaml", "port: 80", "port: 443")
    assert check_site(site_folder).findings == ()


def test_a_plan_is_no_stranger_when_the_tenants_file_cannot_be_read(site_folder):
    served(site_folder)
    (site_folder / "tenants" / "health.yaml").write_text("tenant: 'health\n", "utf-8")
    assert [each.path for each in check_site(site_folder).findings] == ["tenants[health]"]


@pytest.mark.parametrize("expirer", [None, "file:/secrets/{tenant}.near.json"])
def test_what_writes_should_not_be_what_deletes(site_folder, expirer):
    text = (site_folder / "site.yaml").read_text("utf-8")
    line = "      expirer_credential: file:/secrets/{tenant}.near.expirer.json\n"
    assert line in text
    (site_folder / "site.yaml").write_text(
        text.replace(line, f"      expirer_credential: {expirer}\n" if expirer else ""), "utf-8"
    )
    finding = only(site_folder)
    assert (finding.severity, finding.path) == ("warning", "centres.same-city.vault.expirer_credential")
    assert load_site(site_folder)
