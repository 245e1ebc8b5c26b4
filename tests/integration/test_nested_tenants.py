"""Bureaus in one shared domain of a real cloud: made, looked at, locked out, let in, given new credentials, let go."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.exceptions import SDKException

from orchestrator import cli
from orchestrator.app import App
from orchestrator.cloud.connection import connect
from orchestrator.cloud.credentials import credential_file
from orchestrator.tenants import homes
from orchestrator.tenants.life import list_belongings, projects_of, prove_gone, purge
from tests.integration import tenant_sites
from tests.integration.tenant_sites import TenantSite

pytestmark = pytest.mark.integration

CENTRE = "production"
Command = Callable[..., tuple[int, str]]


class NestedSite(TenantSite):
    """A site whose production cloud gives one domain only."""

    domain = ""

    def _site(self) -> dict[str, Any]:
        made = super()._site()
        made["centres"][CENTRE]["cloud"]["tenancy"] = {"kind": "nested", "domain": self.domain, "parent": "bureaus"}
        return made


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[NestedSite]:
    made = NestedSite(tmp_path, lab.dir, lab.clouds_file)
    made.domain = f"gov-{secrets.token_hex(3)}"
    one, other = made.add(), made.add()
    made.tenants[other]["networks"]["office"]["cidr"] = "10.77.2.0/24"
    made.tenants[one]["networks"]["office"]["shared_with"] = [other]
    admin = made.admin(CENTRE)
    domain = admin.identity.create_domain(name=made.domain)
    admin.identity.create_project(name="bureaus", domain_id=domain.id)
    admin.identity.create_user(name="zhang", domain_id=domain.id, password=secrets.token_urlsafe())
    made.write()
    yield made
    tenant_sites.purge(made.admin(CENTRE), made.domain)


@pytest.fixture
def tricenter(site: NestedSite, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = cli.run([*site.arguments, *arguments])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def test_bureaus_share_a_domain_and_nothing_else(site: NestedSite, tricenter: Command) -> None:
    one, other = site.tenants
    admin = site.admin(CENTRE)
    at_production = ("--centre", CENTRE)
    code, out = tricenter("apply", "--yes", *at_production)
    assert code == 0, out
    assert "0 to create, 0 to update" in tricenter("plan", "--fresh", *at_production)[1]
    (domain,) = admin.identity.domains(name=site.domain)
    (parent,) = admin.identity.projects(domain_id=domain.id, name="bureaus")
    projects = {each.name: each for each in admin.identity.projects(domain_id=domain.id)}
    assert projects.keys() == {"bureaus", one, other}
    assert {projects[each].parent_id for each in (one, other)} == {parent.id}
    accounts = {each.name for each in admin.identity.users(domain_id=domain.id)}
    assert accounts == {"zhang", *(f"{each}.{login}" for each in (one, other) for login in ("zhang", "tricenter"))}
    assert list(admin.identity.domains(name=one)) == []
    assert opens(site, one) == projects[one].id
    assert len(tricenter("show", one, *at_production, "--output", "json")[1]) > 1000

    # by hand: a project renamed, a member disabled, the quota raised
    admin.identity.update_project(projects[one], name="renamed")
    (zhang,) = admin.identity.users(domain_id=domain.id, name=f"{other}.zhang")
    admin.identity.update_user(zhang, is_enabled=False)
    code, out = tricenter("apply", "--yes", *at_production)
    assert code == 0, out
    assert admin.identity.get_project(projects[one].id).name == one
    assert admin.identity.get_user(zhang.id).is_enabled

    password = (site.state / "secrets" / "handover" / f"{other}.{CENTRE}.zhang.password").read_text().strip()
    login = admin.connect_as(
        username=f"{other}.zhang", password=password, user_domain_name=site.domain, project_name=other,
        project_domain_name=site.domain,
    )  # fmt: skip
    assert login.authorize()
    before = credential_file(site.state / "secrets", one, CENTRE).read_text()
    assert tricenter("rotate", one, *at_production, "--yes")[0] == 0
    assert credential_file(site.state / "secrets", one, CENTRE).read_text() != before
    assert opens(site, one) == projects[one].id

    app = App(site.folder / "site", site.folder / "overlay.yaml")
    only = OneCentre(app)
    assert homes.projects_of(admin, app.site.clouds()[CENTRE].tenancy, [one, other, "bureaus"]) == {
        one: projects[one].id,
        other: projects[other].id,
    }
    # the other is let go: what is the first one's, and what is nobody's, stays
    known = projects_of(only, other)
    assert known == {CENTRE: [projects[other].id]}
    gone: list[str] = []
    purge(only, other, known, lambda each: gone.append(f"{each.noun} {each.name}"))
    assert f"project {other}" in gone
    assert not any(each.startswith("domain") for each in gone)
    assert prove_gone(only, other, known) == known
    assert list_belongings(only, one, {})
    left = {each.name for each in admin.identity.users(domain_id=domain.id)}
    assert left == {"zhang", f"{one}.zhang", f"{one}.tricenter"}
    with pytest.raises(SDKException, match="401"):
        admin.connect_as(username=f"{other}.zhang", password=password, user_domain_name=site.domain).authorize()


def test_who_stands_otherwise_is_a_conflict_and_nothing_is_written(site: NestedSite, tricenter: Command) -> None:
    one, _ = site.tenants
    del site.tenants[one]["networks"]["office"]["shared_with"]
    site.write()
    assert tricenter("apply", one, "--yes", "--centre", CENTRE)[0] == 0
    domain, site.domain = site.domain, "Default"
    admin = site.admin(CENTRE)
    written = TenantSite(site.folder, site.lab_folder, site.clouds_file, site.tenants, site.overlay)
    written.write()  # the same site, but for the tenancy
    try:
        code, out = tricenter("apply", one, "--yes", "--centre", CENTRE)
        assert code == 5, out
        assert "stands nested" in " ".join(out.split())
        assert list(admin.identity.domains(name=one)) == []
    finally:
        site.domain = domain


class OneCentre:
    """The program as if the site had one centre with a cloud, for the acts that go to all."""

    def __init__(self, app: App) -> None:
        self._app, self.secrets_folder = app, app.secrets_folder
        centres = {name: each if name == CENTRE else each.model_copy(update={"cloud": None})
                   for name, each in app.site.centres.items()}  # fmt: skip
        self.site = app.site.model_copy(update={"centres": centres})

    def new_cloud(self, centre: str) -> Any:
        return self._app.new_cloud(centre)

    def vault_admin(self, centre: str) -> Any:
        return self._app.vault_admin(centre)


def opens(site: NestedSite, tenant: str) -> str:
    """Return the project that the tenant's credential opens."""
    login = connect(tenant, config_file=credential_file(site.state / "secrets", tenant, CENTRE))
    return str(login.session.get_project_id())
