"""Keystone: domains, projects, groups, users, role grants and application credentials.

Reads list everything once; writes are repeated by type of error and never make an object twice. Role grants and
memberships go over plain requests, because the SDK's own calls do not tell when one was refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openstack import exceptions as sdk_errors

from orchestrator.cloud.calls import created, listed, sent
from orchestrator.cloud.connection import Connection, cloud_name
from orchestrator.cloud.faults import explained, repeat
from orchestrator.cloud.marks import TAG, is_ours, labels_of, marked


@dataclass(frozen=True, slots=True)
class Domain:
    id: str
    name: str
    description: str
    ours: bool
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Project:
    id: str
    name: str
    domain_id: str
    description: str
    tags: tuple[str, ...]
    ours: bool
    enabled: bool = True
    parent_id: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    id: str
    name: str
    domain_id: str
    description: str
    ours: bool


@dataclass(frozen=True, slots=True)
class User:
    id: str
    name: str
    domain_id: str
    description: str
    email: str | None
    ours: bool
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that a user or a group has on a project."""

    role_id: str
    project_id: str
    holder: str
    holder_id: str


@dataclass(frozen=True, slots=True)
class ApplicationCredential:
    id: str
    name: str
    description: str
    ours: bool


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    """A new application credential with its secret, which no one can ever read from the cloud again."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"IssuedCredential(id={self.id!r})"


# --- reads


def roles(connection: Connection) -> dict[str, str]:
    """Return the cloud's roles: name -> id. Roles of a domain are none of the cloud's."""
    found = listed(connection, "list roles", connection.identity.roles)
    return {each.name: each.id for each in found if not each.domain_id}


def domains(connection: Connection) -> list[Domain]:
    return [_domain(each) for each in listed(connection, "list domains", connection.identity.domains)]


def projects(connection: Connection) -> list[Project]:
    return [_project(each) for each in listed(connection, "list projects", connection.identity.projects)]


def groups(connection: Connection, domain_id: str | None = None) -> list[Group]:
    """Return the groups of a domain; without one, those of all, as far as the cloud lists them together.

    A cloud whose domains have identity drivers of their own (LDAP) lists only the domain of our login then.
    """
    scope = {"domain_id": domain_id} if domain_id else {}
    return [_group(each) for each in listed(connection, "list groups", lambda: connection.identity.groups(**scope))]


def users(connection: Connection, domain_id: str | None = None) -> list[User]:
    """Return the users of a domain; without one as `groups` does."""
    scope = {"domain_id": domain_id} if domain_id else {}
    return [_user(each) for each in listed(connection, "list users", lambda: connection.identity.users(**scope))]


def grants(connection: Connection) -> list[Grant]:
    """Return every role granted on a project, in one request; inherited ones and other scopes are left out."""
    found = []
    for each in listed(connection, "list role assignments", connection.identity.role_assignments):
        scope = each.scope or {}
        if "project" not in scope or "OS-INHERIT:inherited_to" in scope:
            continue
        holder = "user" if each.user else "group"
        found.append(Grant(each.role["id"], scope["project"]["id"], holder, (each.user or each.group)["id"]))
    return found


def group_user_ids(connection: Connection, group_id: str) -> frozenset[str]:
    found = listed(connection, "list members", lambda: connection.identity.group_users(group_id))
    return frozenset(each.id for each in found)


def application_credentials(connection: Connection, user_id: str) -> list[ApplicationCredential]:
    found = listed(
        connection,
        "list application credentials",
        lambda: connection.identity.application_credentials(user=user_id),
    )
    return [
        ApplicationCredential(each.id, each.name, each.description or "", is_ours(each.description)) for each in found
    ]


# --- writes; each may be repeated


def create_domain(connection: Connection, name: str, description: str) -> str:
    """Create a domain with the mark and return its id."""
    identity = connection.identity
    return created(
        connection,
        f"create domain {name}",
        lambda: identity.create_domain(name=name, description=marked(description)),
        lambda: identity.domains(name=name),
    )


def create_project(
    connection: Connection,
    name: str,
    domain_id: str,
    description: str,
    labels: tuple[str, ...] = (),
    *,
    parent_id: str | None = None,
) -> str:
    """Create a project with the mark, the tag and these labels, and return its id."""
    identity = connection.identity
    below = {"parent_id": parent_id} if parent_id else {}
    return created(
        connection,
        f"create project {name}",
        lambda: identity.create_project(
            name=name, domain_id=domain_id, description=marked(description), tags=[TAG, *labels], **below
        ),
        lambda: identity.projects(name=name, domain_id=domain_id),
    )


def label_project(connection: Connection, project_id: str, labels: tuple[str, ...]) -> None:
    """Give a project these labels in the place of those that it has. Its other tags stay."""
    identity = connection.identity

    def send() -> None:
        tags = list(identity.get_project(project_id).tags or ())
        kept = [each for each in tags if each not in labels_of(tags)]
        response = identity.put(f"/projects/{project_id}/tags", json={"tags": [*kept, *labels]})
        sdk_errors.raise_from_response(response)

    with explained(cloud_name(connection), "label a project"):
        repeat(send)


def create_group(connection: Connection, name: str, domain_id: str, description: str) -> str:
    """Create a group with the mark and return its id."""
    identity = connection.identity
    return created(
        connection,
        f"create group {name}",
        lambda: identity.create_group(name=name, domain_id=domain_id, description=marked(description)),
        lambda: identity.groups(name=name, domain_id=domain_id),
    )


def create_user(
    connection: Connection,
    name: str,
    domain_id: str,
    *,
    project_id: str,
    description: str,
    email: str | None,
    password: str,
) -> str:
    """Create a user with the mark and this password, and return its id."""
    identity = connection.identity
    contact = {"email": email} if email else {}
    return created(
        connection,
        f"create user {name}",
        lambda: identity.create_user(
            name=name,
            domain_id=domain_id,
            default_project_id=project_id,
            description=marked(description),
            password=password,
            **contact,
        ),
        lambda: identity.users(name=name, domain_id=domain_id),
    )


def update(connection: Connection, noun: str, object_id: str, **values: Any) -> None:
    """Change a domain, project, group or user. A description is given the mark."""
    if "description" in values:
        values["description"] = marked(values["description"])
    if "enabled" in values:
        values["is_enabled"] = values.pop("enabled")
    change = getattr(connection.identity, f"update_{noun}")
    with explained(cloud_name(connection), f"update {noun}"):
        repeat(lambda: change(object_id, **values))


def delete(connection: Connection, noun: str, object_id: str) -> None:
    """Delete a group or a user. One that is gone already is fine."""
    sent(connection, "identity", "DELETE", f"/{noun}s/{object_id}", f"delete a {noun}")


def grant(connection: Connection, given: Grant) -> None:
    sent(connection, "identity", "PUT", _grant_path(given), "grant a role")


def revoke(connection: Connection, given: Grant) -> None:
    """Take a role away. One that is gone already is fine."""
    sent(connection, "identity", "DELETE", _grant_path(given), "revoke a role")


def add_to_group(connection: Connection, group_id: str, user_id: str) -> None:
    sent(connection, "identity", "PUT", f"/groups/{group_id}/users/{user_id}", "add a user to a group")


def remove_from_group(connection: Connection, group_id: str, user_id: str) -> None:
    """Take a user out of a group. One that is out already is fine."""
    sent(connection, "identity", "DELETE", f"/groups/{group_id}/users/{user_id}", "take a user out of a group")


def issue_application_credential(
    connection: Connection, user_id: str, name: str, *, role: str, description: str
) -> IssuedCredential:
    """Make an application credential anew, as the user itself, and return it with its secret.

    One of the same name with our mark is deleted first: its secret cannot be read again.
    """
    identity = connection.identity

    def issue() -> Any:
        for each in application_credentials(connection, user_id):
            if each.name == name and each.ours:
                identity.delete_application_credential(user_id, each.id, ignore_missing=True)
        return identity.create_application_credential(
            user=user_id, name=name, roles=[{"name": role}], description=marked(description)
        )

    with explained(cloud_name(connection), f"create application credential {name}"):
        issued = repeat(issue)
    return IssuedCredential(issued.id, issued.secret)


def delete_application_credential(connection: Connection, user_id: str, credential_id: str) -> None:
    """Delete a user's application credential. One that is gone already is fine."""
    path = f"/users/{user_id}/application_credentials/{credential_id}"
    sent(connection, "identity", "DELETE", path, "delete an application credential")


def _grant_path(given: Grant) -> str:
    return f"/projects/{given.project_id}/{given.holder}s/{given.holder_id}/roles/{given.role_id}"


def _domain(found: Any) -> Domain:
    ours, enabled = is_ours(found.description), found.is_enabled is not False
    return Domain(found.id, found.name, found.description or "", ours, enabled)


def _project(found: Any) -> Project:
    tags = tuple(found.tags or ())
    ours, enabled = is_ours(found.description, tags), found.is_enabled is not False
    parent = found.parent_id
    return Project(found.id, found.name, found.domain_id, found.description or "", tags, ours, enabled, parent)


def _group(found: Any) -> Group:
    return Group(found.id, found.name, found.domain_id, found.description or "", is_ours(found.description))


def _user(found: Any) -> User:
    ours, enabled = is_ours(found.description), found.is_enabled is not False
    return User(found.id, found.name, found.domain_id, found.description or "", found.email, ours, enabled)
