"""What tenants may use that is not for everybody, whom they let into their networks, and their people's keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.cloud.connection import connect
from orchestrator.cloud.credentials import credential_file
from tests.integration.tenant_sites import TenantSite, purge

pytestmark = pytest.mark.integration

CENTRE = "production"
KEYS = [
    f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'KZ4r5mYqNdhY1T2Tq0uSx0Xq8n3mXyHk0w2QeB7m1' + end}" for end in ("aF", "bG")
]

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[TenantSite]:
    """Two bureaus; each kind of thing that is not for everybody once for the first of them, and once for nobody."""
    made = TenantSite(tmp_path, lab.dir, lab.clouds_file)
    one, other = made.add(), made.add()
    made.tenants[other]["networks"]["office"]["cidr"] = "10.77.2.0/24"
    made.tenants[one] |= {"volume_types": [f"{one}-own"], "images": [f"{one}-own"]}
    made.tenants[one]["networks"]["office"]["shared_with"] = [other]
    made.tenants[one]["members"]["zhang"]["key_pairs"] = {"laptop": f"{KEYS[0]} zhang@desk"}
    made.write()
    admin = made.admin(CENTRE)
    types = [admin.block_storage.create_type(name=f"{one}-{each}", is_public=False) for each in ("own", "other")]
    images = [
        admin.image.create_image(
            name=f"{one}-{each}", visibility="shared", disk_format="raw", container_format="bare", data=b"x" * 512,
            allow_duplicates=True,
        )
        for each in ("own", "other")
    ]  # fmt: skip
    yield made
    for tenant in (one, other):
        purge(made.admin(CENTRE), tenant)
    for each in types:
        admin.block_storage.delete_type(each)
    for each in images:
        admin.image.delete_image(each)


@pytest.fixture
def tricenter(site: TenantSite, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = cli.run([*site.arguments, *arguments, "--centre", CENTRE])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def test_what_is_not_for_everybody_is_for_whom_the_site_says(site: TenantSite, tricenter: Command) -> None:
    one, other = site.tenants
    admin = site.admin(CENTRE)
    code, out = tricenter("apply", "--yes")
    assert code == 0, out
    assert "0 to create, 0 to update" in tricenter("plan", "--fresh")[1]
    assert "0 to create, 0 to update" in tricenter("plan")[1]
    projects = {each.name: each.id for each in admin.identity.projects() if each.name in site.tenants}

    def users_of(what: str) -> set[str]:
        kind = next(each for each in admin.block_storage.types(is_public="None") if each.name == f"{one}-{what}")
        (image,) = admin.image.images(name=f"{one}-{what}")
        types = {each["project_id"] for each in admin.block_storage.get_type_access(kind)}
        assert types == {each.member_id for each in admin.image.members(image)}
        return types

    def shared() -> set[str]:
        (network,) = admin.network.networks(project_id=projects[one], name="office")
        return {each.target_project_id for each in admin.network.rbac_policies(object_id=network.id)}

    (zhang,) = (each for each in admin.identity.users(name="zhang") if each.domain_id == domain_of(admin, one))

    def keys() -> dict[str, str]:
        path = f"/os-keypairs?user_id={zhang.id}"
        found = admin.compute.get(path, microversion="2.10").json()["keypairs"]
        return {each["keypair"]["name"]: each["keypair"]["public_key"] for each in found}

    assert users_of("own") == {projects[one]}
    assert users_of("other") == set()
    assert shared() == {projects[other]}
    assert keys() == {"laptop": KEYS[0]}
    login = connect(other, config_file=credential_file(site.state / "secrets", other, CENTRE))
    assert [each.name for each in login.network.networks(is_shared=True, name="office")] == ["office"]

    # by hand: what the site does not say is taken back, and what it says is given again
    (extra,) = admin.image.images(name=f"{one}-other")
    admin.image.add_member(extra, member_id=projects[one])
    admin.image.update_member(projects[one], extra, status="accepted")
    kind = next(each for each in admin.block_storage.types(is_public="None") if each.name == f"{one}-other")
    admin.block_storage.add_type_access(kind, projects[one])
    site.tenants[one]["networks"]["office"]["shared_with"] = []
    site.tenants[one]["members"]["zhang"]["key_pairs"] = {"laptop": KEYS[1]}
    site.write()
    code, out = tricenter("plan")
    assert "remove share office with" in out
    code, out = tricenter("apply", "--yes")
    assert code == 0, out
    assert users_of("other") == set()
    assert shared() == set()
    assert keys() == {"laptop": KEYS[1]}
    assert "0 to create, 0 to update" in tricenter("plan", "--fresh")[1]

    site.tenants[one]["images"] = ["nowhere"]
    site.write()
    code, out = tricenter("plan")
    assert code != 0
    assert "'nowhere' of the images" in out


def domain_of(admin: Any, tenant: str) -> str:
    (domain,) = admin.identity.domains(name=tenant)
    return str(domain.id)
