import json
import stat
from pathlib import Path

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.lab import vaults
from orchestrator.lab.layout import Lab, remember
from orchestrator.lab.registration import DATABASE_NAME_BYTES, SitePlace, register
from policies.load import load_site
from policies.tenant import PathSource, PostgresqlSource, VolumeSource

CITY = """
site: {site}
title: {{zh: 市, en: City}}
centres:
  production:
    title: {{zh: 生产, en: Production}}
    location: {{latitude: 38.9, longitude: 121.6}}
    cloud: {{name: real-cloud}}
  same-city:
    title: {{zh: 同城, en: Same city}}
    location: {{latitude: 39.0, longitude: 121.8}}
    cloud: {{name: real-cloud-2}}
    vault: &vault
      endpoint: https://near.example
      region: cn-test
      bucket_prefix: {prefix}
      credential: file:/etc/{{tenant}}.json
      admin_credential: env:ADMIN
  provincial:
    title: {{zh: 省级, en: Provincial}}
    location: {{latitude: 41.8, longitude: 123.4}}
    vault:
      <<: *vault
      endpoint: https://far.example
repository_password: file:/etc/{{tenant}}.password
"""
BUREAU = """
tenant: {tenant}
title: {{zh: 局, en: Bureau}}
unit_code: X-1
mlps_level: 2
contact: 王 1
systems:
  archive:
    title: {{zh: 档案, en: Archive}}
    tier: remote-dr
    sources:
      records: {{kind: path, path: /srv/records, exclude: ['*.tmp']}}
      index: {{kind: postgresql, host: db.example, database: d, user: u, password: 'env:P'}}
      disk: {{kind: volume, volume: archive-disk}}
"""


def write_site(folder: Path, site: str, *tenants: str, prefix: str = "dr-") -> Path:
    (folder / "tenants").mkdir(parents=True)
    (folder / "site.yaml").write_text(CITY.format(site=site, prefix=prefix), encoding="utf-8")
    for tenant in tenants:
        (folder / "tenants" / f"{tenant}.yaml").write_text(BUREAU.format(tenant=tenant), encoding="utf-8")
    return folder


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    place = Lab(tmp_path / "lab", 30_000)
    remember(place)
    for centre in ("same-city", "provincial"):
        vaults.prepare_vault(place, centre)
    return place


def test_the_overlay_points_every_part_of_the_site_at_the_lab(lab: Lab, tmp_path: Path) -> None:
    folder = write_site(tmp_path / "city", "city", "bureau")
    site = load_site(folder, register(lab, folder))
    assert {name: cloud.name for name, cloud in site.clouds().items()} == {
        "production": "production",
        "same-city": "same-city",
    }
    assert {name: vault.endpoint for name, vault in site.vaults().items()} == {
        "same-city": "http://127.0.0.1:30030",
        "provincial": "http://127.0.0.1:30040",
    }
    assert site.clouds_file == str(lab.clouds_file)
    sources = site.tenants["bureau"].systems["archive"].sources
    records, index, disk = sources["records"], sources["index"], sources["disk"]
    assert isinstance(records, PathSource)
    assert (records.path, records.exclude) == (f"{lab.sites}/city/data/bureau/archive/records", ("*.tmp",))
    assert isinstance(index, PostgresqlSource)
    assert (index.host, index.port, index.database) == ("127.0.0.1", 30_024, "city_bureau_archive_index")
    assert isinstance(disk, VolumeSource)
    assert disk.volume == "archive-disk"


def test_every_secret_that_the_overlay_names_is_there_private_and_kept(lab: Lab, tmp_path: Path) -> None:
    folder = write_site(tmp_path / "city", "city", "bureau")
    overlay = register(lab, folder)
    site = load_site(folder, overlay)
    index = site.tenants["bureau"].systems["archive"].sources["index"]
    assert isinstance(index, PostgresqlSource)
    references = [site.repository_password, index.password]
    for vault in site.vaults().values():
        keys = (vault.credential, vault.expirer_credential, vault.lock_credential, vault.admin_credential)
        references += [each for each in keys if each]
    files = [Path(each.removeprefix("file:").format(tenant="bureau")) for each in references]
    assert len({each.read_text() for each in files}) == len(files)
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    before = {each: each.read_text() for each in files}
    register(lab, folder)
    assert {each: each.read_text() for each in files} == before
    assert all(text not in overlay.read_text() for text in before.values())


def test_vaults_learn_the_tenants_of_every_site_each_limited_to_its_bucket(lab: Lab, tmp_path: Path) -> None:
    register(lab, write_site(tmp_path / "one", "one", "bureau", prefix="one-"))
    register(lab, write_site(tmp_path / "two", "two", "bureau", "office", prefix="two-"))
    for centre in ("same-city", "provincial"):
        known = json.loads(lab.vault_config(centre).read_text())
        contents = {each["name"]: json.loads(each["content"]) for each in known["policies"]}
        limits = {
            each["name"]: {
                statement["Resource"].removeprefix("arn:aws:s3:::").partition("/")[0]
                for name in each.get("policyNames", ())
                for statement in contents[name]["Statement"]
            }
            for each in known["identities"]
        }
        assert limits == {"admin": set()} | {
            f"{site}.{tenant}{role}": {f"{site}-{tenant}"}
            for site, tenant in (("one", "bureau"), ("two", "bureau"), ("two", "office"))
            for role in ("", ".expirer", ".lock")
        }


def test_a_lab_of_an_older_version_takes_sites_of_both(lab: Lab, tmp_path: Path) -> None:
    """A site that was registered when a tenant had one credential keeps it, with all that it could do."""
    old = lab.sites / "old"
    old.mkdir()
    access = {"identity": "old.bureau", "credential": str(vaults.credential(old / "key.json")), "bucket": "old-bureau"}
    (old / "access.json").write_text(json.dumps({"same-city": [access]}))
    register(lab, write_site(tmp_path / "one", "one", "bureau", prefix="one-"))
    known = json.loads(lab.vault_config("same-city").read_text())
    (found,) = [each for each in known["identities"] if each["name"] == "old.bureau"]
    assert set(found["actions"]) == {f"{action}:old-bureau" for action in vaults.TENANT_ACTIONS}
    assert "policyNames" not in found
    assert {"one.bureau", "one.bureau.expirer", "one.bureau.lock"} <= {each["name"] for each in known["identities"]}


def test_only_the_expirer_may_hide_objects_and_nobody_may_delete_versions() -> None:
    granted = {
        role: {
            (action, statement["Resource"])
            for statement in json.loads(vaults.role_policy("b", role)["content"])["Statement"]
            for action in statement["Action"]
        }
        for role in vaults.ROLES
    }
    deletes = {role: {each for each in grants if "Delete" in each[0]} for role, grants in granted.items()}
    assert deletes == {
        "writer": {("s3:DeleteObject", "arn:aws:s3:::b/*/locks/*")},
        "expirer": {("s3:DeleteObject", "arn:aws:s3:::b/*")},
        "lock": set(),
    }
    retains = {role for role, grants in granted.items() if any(each[0] == "s3:PutObjectRetention" for each in grants)}
    assert retains == {"lock"}


def test_database_names_fit_postgresql_and_stay_distinct(lab: Lab, tmp_path: Path) -> None:
    tenant = "t" + "e" * 38
    folder = write_site(tmp_path / "city", "city-with-a-long-name", tenant)
    (system,) = load_site(folder).systems()
    place = SitePlace(lab, "city-with-a-long-name")
    names = {place.database(system, source) for source in ("index", "indey")}
    assert len(names) == 2
    assert all(len(name) <= DATABASE_NAME_BYTES for name in names)


def test_without_a_lab_there_is_nothing_to_register_in(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no lab"):
        register(Lab(tmp_path / "nowhere"), write_site(tmp_path / "city", "city", "bureau"))
