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
    references += [ref for vault in site.vaults().values() for ref in (vault.credential, vault.admin_credential)]
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
        identities = json.loads(lab.vault_config(centre).read_text())["identities"]
        limits = {each["name"]: {action.partition(":")[2] for action in each["actions"]} for each in identities}
        assert limits == {
            "admin": {""},
            "one.bureau": {"one-bureau"},
            "two.bureau": {"two-bureau"},
            "two.office": {"two-office"},
        }


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
