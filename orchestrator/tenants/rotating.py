"""A new application credential for a tenant's service user, in the place of the old one.

The old one goes last, when the new one has opened the project and stands in the file. Killed at any moment, the file
holds a credential that works; what was left behind is named by the next rotation and taken away at its end.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.catalogue import leases
from orchestrator.catalogue.store import Catalogue
from orchestrator.cloud import identity
from orchestrator.cloud.connection import Connection, Login, connect, disconnect
from orchestrator.cloud.credentials import credential_file, entry, stored_id
from orchestrator.cloud.ports import project_of
from orchestrator.engine.port import FlowSpec, Run
from orchestrator.errors import CheckFailed, InvalidInput, Refused, UnknownName
from orchestrator.secrets import write_private
from orchestrator.tenants.applying import slots_of, subject_of
from orchestrator.tenants.desired import SERVICE_ROLE, SERVICE_USER
from orchestrator.tenants.drift_run import LEASE
from orchestrator.tenants.homes import Home, home_of
from orchestrator.tenants.issuing import after_revocation, issue, new_password
from policies.site import Site

ROTATE = "tenant-rotate"


class Town(Protocol):
    """What a rotation needs of the object graph."""

    @property
    def site(self) -> Site: ...

    @property
    def secrets_folder(self) -> Path: ...

    @property
    def catalogue(self) -> Catalogue: ...

    def new_cloud(self, centre: str) -> Connection: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """What a cloud has of a tenant's credentials: the one that the file names, and others of ours, which are left."""

    user_id: str
    project_id: str
    current: str | None
    left: tuple[identity.ApplicationCredential, ...]

    def as_evidence(self) -> dict[str, Any]:
        return {"current": self.current, "left": [each.id for each in self.left]}


def next_file(folder: Path, tenant: str, centre: str) -> Path:
    """Return where a new credential waits until it has opened the project."""
    path = credential_file(folder, tenant, centre)
    return path.with_name(f"{path.name}.next")


def standing(town: Town, tenant: str, centre: str) -> Standing:
    """Look at the credentials of a tenant at a centre. Writes nothing.

    Raises UnknownName, InvalidInput when there is no cloud, Refused when the tenant was never applied there, and what
    the cloud room raises.
    """
    if tenant not in town.site.tenants:
        raise UnknownName("tenant", tenant, town.site.tenants)
    if centre not in town.site.clouds():
        raise InvalidInput(f"{centre} has no cloud, and so no credential to rotate")
    cloud = town.new_cloud(centre)
    try:
        home = home_of(cloud, town.site.clouds()[centre].tenancy, tenant)
        return _standing(cloud, home, tenant, centre, stored_id(credential_file(town.secrets_folder, tenant, centre)))
    finally:
        disconnect(cloud)


def _standing(cloud: Connection, home: Home, tenant: str, centre: str, stored: str | None) -> Standing:
    user = home.service_user
    project = next((each for each in home.projects if each.name == tenant), None)
    if user is None or project is None:
        raise Refused(
            f"{tenant} has no service user at {centre}", hint=f"tricenter tenant apply {tenant} --centre {centre}"
        )
    return of(user.id, project.id, identity.application_credentials(cloud, user.id), stored)


def of(user_id: str, project_id: str, there: list[identity.ApplicationCredential], stored: str | None) -> Standing:
    """Tell the credential in use from what was left: by the file, whatever they are called. Pure."""
    ours = [each for each in there if each.ours]
    current = stored if any(each.id == stored for each in ours) else None
    return Standing(user_id, project_id, current, tuple(each for each in ours if each.id != current))


def _rotate(run: Run, town: Town, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Issue, prove, put in place, and only then delete. Nothing is replayed: a killed rotation is begun anew."""
    tenant, centre = arguments["tenant"], arguments["centre"]
    waiting = next_file(town.secrets_folder, tenant, centre)
    with leases.hold(town.catalogue, LEASE, run.id, exclusive=True):
        before = run.attempt("look", standing, town, tenant, centre)
        cloud = town.new_cloud(centre)
        try:
            made = run.attempt("issue", _issue, cloud, tenant, before, waiting)
            run.attempt("prove", prove, waiting, tenant, before.project_id)
            run.attempt("put-in-place", _put_in_place, waiting, credential_file(town.secrets_folder, tenant, centre))
            gone = run.attempt("delete-old", _delete_others, cloud, before.user_id, made)
        finally:
            disconnect(cloud)
    return {"credential": made, "deleted": gone}


def _issue(cloud: Connection, tenant: str, before: Standing, waiting: Path) -> str:
    """Issue a credential of a name that none has, keep its secret in a file of its own, and return its id."""
    password = new_password()
    identity.update(cloud, "user", before.user_id, password=password)
    login = Login(before.user_id, password, before.project_id)
    issued, _ = issue(cloud, login, f"{SERVICE_USER}-{secrets.token_hex(4)}", SERVICE_ROLE)
    write_private(waiting, entry(cloud, tenant, issued))
    return issued.id


def prove(file: Path, tenant: str, project_id: str) -> None:
    """Log in with the credential in a file. Raises CheckFailed when it opens another project, or as `connect`."""
    opened = after_revocation.copy()(connect, tenant, config_file=file)
    try:
        if (found := project_of(opened)) != project_id:
            raise CheckFailed(f"the new credential of {tenant} opens the project {found}, not {project_id}")
    finally:
        disconnect(opened)


def _put_in_place(waiting: Path, file: Path) -> None:
    write_private(file, waiting.read_text(encoding="utf-8"))
    waiting.unlink()


def _delete_others(cloud: Connection, user_id: str, kept: str) -> list[str]:
    """Delete every credential of ours but one, and return what was deleted."""
    others = [each for each in identity.application_credentials(cloud, user_id) if each.ours and each.id != kept]
    for each in others:
        identity.delete_application_credential(cloud, user_id, each.id)
    return [each.id for each in others]


TENANT_ROTATE = FlowSpec(name=ROTATE, arguments=("tenant", "centre"), subject=subject_of, slots=slots_of, run=_rotate)
