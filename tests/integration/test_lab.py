"""The lab itself, with its real servers."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from orchestrator import process
from orchestrator.cloud.connection import connect
from orchestrator.errors import InvalidInput
from orchestrator.lab import daemons, sockets, up
from orchestrator.lab.commands import observe
from orchestrator.lab.layout import CENTRES, CLOUDS, VAULTS, CloudCentre, VaultCentre
from orchestrator.lab.progress import Progress
from orchestrator.lab.seed import seed
from policies.load import load_site
from policies.site import Site
from policies.tenant import PathSource, PostgresqlSource
from tests.conftest import RunningLab
from tests.unit.lab.test_registration import write_site

pytestmark = pytest.mark.integration
TENANT, OTHER = "lab-check-bureau", "lab-check-other"


@pytest.fixture
def folder(lab: RunningLab, tmp_path: Path) -> Path:
    """The folder of a site of two tenants that is registered in the lab."""
    return write_site(tmp_path / "site", "lab-check", TENANT, OTHER, prefix="labcheck-")


@pytest.fixture
def registered(lab: RunningLab, folder: Path) -> Site:
    return load_site(folder, lab.register(folder))


def states(lab: RunningLab) -> dict[str, str]:
    return {row["server"]: row["state"] for row in observe(lab.lab)}


def pids(lab: RunningLab) -> dict[str, int | None]:
    return {row["server"]: row["pid"] for row in observe(lab.lab)}


def test_every_server_runs(lab: RunningLab) -> None:
    assert set(states(lab).values()) == {"running"}
    assert len(states(lab)) == 4 + 3 + 2 * 13 + 2  # shared, PostgreSQL, clouds, vaults


def test_up_again_starts_nothing(lab: RunningLab) -> None:
    before, progress = pids(lab), Progress()
    up.bring_up(lab.lab, progress)
    assert pids(lab) == before
    assert progress.seconds < 3


def test_servers_listen_on_this_machine_only_and_on_the_ports_they_were_given(lab: RunningLab) -> None:
    ours = set()
    for found in daemons.marked(lab.lab).values():
        for server in found:
            for descriptor in Path(f"/proc/{server.pid}/fd").iterdir():
                if match := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
                    ours.add(int(match[1]))
    listening = [each for each in sockets.listeners() if each.inode in ours]
    assert {each.address for each in listening} <= {"127.0.0.1", "::1"}
    assert {each.port for each in listening if each.address == "::1"} <= {lab.lab.port("epmd")}
    metrics = {lab.lab.port("metrics")}  # runs when somebody asked for it
    assert {each.port for each in listening} - metrics == set(lab.lab.ports().values()) - metrics


@pytest.mark.parametrize("killed", ["same-city-placement", "production-cinder-scheduler"])
def test_a_killed_server_shows_as_broken_and_up_heals_it(lab: RunningLab, killed: str) -> None:
    before = pids(lab)
    victim = before[killed]
    assert victim
    started = process.started_at(victim)
    os.kill(victim, signal.SIGKILL)
    while process.started_at(victim) == started:  # a large one takes a moment to die
        time.sleep(0.02)
    assert states(lab)[killed] == "broken"
    up.bring_up(lab.lab, Progress())
    after = pids(lab)
    assert set(states(lab).values()) == {"running"}
    assert {name for name in after if after[name] != before[name]} == {killed}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_cloud_offers_what_tenants_need(lab: RunningLab, cloud: CloudCentre) -> None:
    connection = connect(cloud, config_file=lab.clouds_file)
    assert connection.network.find_network("public").is_router_external
    assert connection.compute.find_flavor("m1.small")
    assert connection.block_storage.find_type("standard")
    hosts = [each.host for each in connection.compute.services(binary="nova-compute")]
    assert sorted(hosts) == [f"{cloud}-compute-1", f"{cloud}-guests-1"]


# --- vaults


def client(site: Site, centre: VaultCentre, reference: str) -> Any:
    key = json.loads(Path(reference.removeprefix("file:")).read_text())
    vault = site.vaults()[centre]
    return boto3.client(
        "s3",
        endpoint_url=vault.endpoint,
        region_name=vault.region,
        aws_access_key_id=key["access_key"],
        aws_secret_access_key=key["secret_key"],
        config=Config(retries={"max_attempts": 1}),
    )


@pytest.fixture(params=VAULTS)
def buckets(request: pytest.FixtureRequest, registered: Site) -> Iterator[tuple[Any, Any, str, str]]:
    """The administrator, the tenant, the tenant's bucket and another's bucket with one object, at one vault."""
    centre: VaultCentre = request.param
    vault = registered.vaults()[centre]
    admin = client(registered, centre, vault.admin_credential)
    tenant = client(registered, centre, vault.credential.format(tenant=TENANT))
    own, foreign = vault.bucket(TENANT), vault.bucket(OTHER)
    present = {each["Name"] for each in admin.list_buckets()["Buckets"]}
    for bucket in {own, foreign} - present:
        admin.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    admin.put_object(Bucket=foreign, Key="theirs", Body=b"private")
    yield admin, tenant, own, foreign
    for bucket in (own, foreign):
        for each in admin.list_objects_v2(Bucket=bucket).get("Contents", ()):
            admin.delete_object(Bucket=bucket, Key=each["Key"])


@pytest.fixture
def expirer(buckets: tuple[Any, Any, str, str], registered: Site) -> Any:
    """The credential of the same tenant at the same vault that may hide objects."""
    endpoint = buckets[1].meta.endpoint_url
    (centre,) = [name for name in VAULTS if registered.vaults()[name].endpoint == endpoint]
    reference = registered.vaults()[centre].expirer_credential
    assert reference
    return client(registered, centre, reference.format(tenant=TENANT))


def test_a_tenant_reads_and_writes_its_own_bucket_and_removes_with_another_key(
    buckets: tuple[Any, Any, str, str], expirer: Any
) -> None:
    _, tenant, own, _ = buckets
    tenant.put_object(Bucket=own, Key="a/b", Body=b"content", Metadata={"k": "v"})
    answer = tenant.get_object(Bucket=own, Key="a/b")
    assert (answer["Body"].read(), answer["Metadata"]) == (b"content", {"k": "v"})
    assert [each["Key"] for each in tenant.list_objects_v2(Bucket=own, Prefix="a/")["Contents"]] == ["a/b"]
    assert tenant.get_object_lock_configuration(Bucket=own)["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"
    assert tenant.get_bucket_versioning(Bucket=own)["Status"] == "Enabled"
    with pytest.raises(ClientError, match="AccessDenied"):
        tenant.delete_object(Bucket=own, Key="a/b")
    expirer.delete_object(Bucket=own, Key="a/b")
    assert "Contents" not in tenant.list_objects_v2(Bucket=own, Prefix="a/")


def test_a_tenant_is_refused_everywhere_else(buckets: tuple[Any, Any, str, str]) -> None:
    _, tenant, own, foreign = buckets
    attempts = {
        "get": lambda: tenant.get_object(Bucket=foreign, Key="theirs"),
        "put": lambda: tenant.put_object(Bucket=foreign, Key="mine", Body=b"x"),
        "list": lambda: tenant.list_objects_v2(Bucket=foreign),
        "delete": lambda: tenant.delete_object(Bucket=foreign, Key="theirs"),
        "copy": lambda: tenant.copy_object(Bucket=own, Key="x", CopySource=f"{foreign}/theirs"),
        "create": lambda: tenant.create_bucket(Bucket=f"{own}-2"),
        "remove": lambda: tenant.delete_bucket(Bucket=own),
        "unlock": lambda: tenant.put_object_lock_configuration(
            Bucket=own, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
        ),
    }
    for name, attempt in attempts.items():
        with pytest.raises(ClientError) as refusal:
            attempt()
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, name


def test_restic_works_with_a_tenants_credential(
    buckets: tuple[Any, Any, str, str], expirer: Any, tmp_path: Path
) -> None:
    _, tenant, own, foreign = buckets
    endpoint = tenant.meta.endpoint_url
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "文件.txt").write_text("内容" * 1000)

    def restic(bucket: str, *arguments: str, check: bool = True, who: Any = tenant) -> process.Finished:
        key = who._request_signer._credentials
        env = {
            "AWS_ACCESS_KEY_ID": key.access_key,
            "AWS_SECRET_ACCESS_KEY": key.secret_key,
            "AWS_DEFAULT_REGION": tenant.meta.region_name,
            "RESTIC_PASSWORD": "p",
            "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
        }
        argv = ["restic", "-q", "-r", f"s3:{endpoint}/{bucket}/{tmp_path.name}", *arguments]
        return process.run(argv, deadline_seconds=120, env=env, check=check)

    restic(own, "init")
    restic(own, "backup", str(tmp_path / "tree"))
    restic(own, "check", "--read-data")
    restic(own, "restore", "latest", "--target", str(tmp_path / "out"))
    restored = next((tmp_path / "out").rglob("文件.txt"))
    assert restored.read_bytes() == (tmp_path / "tree" / "文件.txt").read_bytes()
    restic(own, "forget", "--keep-last", "1", "--prune", who=expirer)
    refused = restic(foreign, "init", check=False)
    assert refused.code != 0
    assert "Access Denied" in refused.stderr


def test_registering_another_site_leaves_the_vaults_running(lab: RunningLab, tmp_path: Path) -> None:
    before = {name: pid for name, pid in pids(lab).items() if name.startswith("vault-")}
    folder = write_site(tmp_path / "two", "lab-check-two", f"{TENANT}-2", prefix="labcheck2-")
    site = load_site(folder, lab.register(folder))
    for centre in VAULTS:
        vault = site.vaults()[centre]
        tenant = client(site, centre, vault.credential.format(tenant=f"{TENANT}-2"))
        with pytest.raises(ClientError, match="NoSuchBucket"):  # known, and allowed to look: the bucket is not there
            tenant.list_objects_v2(Bucket=vault.bucket(f"{TENANT}-2"))
    assert {name: pid for name, pid in pids(lab).items() if name.startswith("vault-")} == before


# --- seed


def forget_databases(lab: RunningLab, site: Site) -> None:
    from orchestrator.lab import postgres

    with postgres.administrator(lab.lab) as server:
        for tenant in site.tenants.values():
            source = tenant.systems["archive"].sources["index"]
            assert isinstance(source, PostgresqlSource)
            server.execute(f'DROP DATABASE IF EXISTS "{source.database}" WITH (FORCE)')
            server.execute(f'DROP ROLE IF EXISTS "{source.database}"')


def rows(site: Site, query: str) -> list[tuple[Any, ...]]:
    source = site.tenants[TENANT].systems["archive"].sources["index"]
    assert isinstance(source, PostgresqlSource)
    password = Path(source.password.removeprefix("file:")).read_text()
    with psycopg.connect(
        host=source.host, port=source.port, dbname=source.database, user=source.user, password=password
    ) as connection:
        return connection.execute(query).fetchall()


def test_seed_fills_every_source_once_and_grows_on_demand(lab: RunningLab, folder: Path, registered: Site) -> None:
    forget_databases(lab, registered)
    admin = connect("production", config_file=lab.clouds_file)
    remove_tenants(admin)
    with pytest.raises(InvalidInput, match=TENANT) as homeless:
        seed(lab.lab, folder, Progress(), scale=0.02)
    assert "tenant apply" in homeless.value.hint
    records = registered.tenants[TENANT].systems["archive"].sources["records"]
    assert isinstance(records, PathSource)
    tree = Path(records.path)
    assert sum(each.is_file() for each in tree.rglob("*")) >= 6
    assert rows(registered, "SELECT count(*) FROM permits") == [(360,)]
    try:
        add_tenants(admin)
        seed(lab.lab, folder, Progress(), scale=0.02)
        volumes = list(admin.block_storage.volumes(all_projects=True, name="archive-disk"))
        assert [(each.size, each.status) for each in volumes] == [(1, "available")] * 2
        before = snapshot_of(tree)
        seed(lab.lab, folder, Progress(), scale=0.02)
        assert snapshot_of(tree) == before
        assert [each.id for each in admin.block_storage.volumes(all_projects=True, name="archive-disk")] == [
            each.id for each in volumes
        ]
        assert not list(admin.identity.users(name=f"lab-seed-{TENANT}"))
        seed(lab.lab, folder, Progress(), grow=True)
        assert snapshot_of(tree) != before
        assert rows(registered, "SELECT (SELECT count(*) FROM permits), generation FROM seeding") == [(760, 1)]
    finally:
        remove_tenants(admin)


def snapshot_of(tree: Path) -> dict[str, tuple[int, int]]:
    return {str(each): (each.stat().st_size, each.stat().st_mtime_ns) for each in tree.rglob("*") if each.is_file()}


def add_tenants(admin: Any) -> None:
    for name in (TENANT, OTHER):
        domain = admin.identity.create_domain(name=name)
        admin.identity.create_project(name=name, domain_id=domain.id)


def remove_tenants(admin: Any) -> None:
    for volume in admin.block_storage.volumes(all_projects=True, name="archive-disk"):
        admin.block_storage.delete_volume(volume, force=True)
        admin.block_storage.wait_for_delete(volume, interval=1, wait=60)
    for name in (TENANT, OTHER):
        if domain := admin.identity.find_domain(name):
            admin.identity.update_domain(domain, is_enabled=False)
            admin.identity.delete_domain(domain)


def test_centres_are_known_by_the_names_that_sites_use(lab: RunningLab, registered: Site) -> None:
    assert set(CENTRES) == set(registered.centres)
