"""Where tenants live in a cloud's identity service: each in a domain of its own, or nested in one that is shared."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from policies.values import Model, Words


class OwnDomain(Model):
    """Each tenant has a domain of its own name, with its project, its people and its groups."""

    kind: Literal["domain"] = "domain"

    def domain_of(self, tenant: str) -> str:
        """Return the name of the domain that people of a tenant log in to. Pure."""
        return tenant

    def account(self, tenant: str, login: str) -> str:
        """Return what the account of a person is called there. Pure."""
        return login


class Nested(Model):
    """All tenants live in one domain, which is there already: a project each, and accounts that begin with its name."""

    kind: Literal["nested"]
    domain: Words = Field(description="name of the shared domain")
    parent: Words | None = Field(None, description="name of the project that tenants' projects stand below")

    def domain_of(self, tenant: str) -> str:
        return self.domain

    def account(self, tenant: str, login: str) -> str:
        """Return what the account of a person is called: no two accounts of a domain may have one name. Pure."""
        return f"{tenant}.{login}"


Tenancy = Annotated[OwnDomain | Nested, Field(discriminator="kind")]


def login_of(account: str) -> tuple[str, str]:
    """Return the tenant and the login of an account of a shared domain; "" for the tenant when it is none's. Pure.

    No tenant has a dot in its name.
    """
    tenant, dot, login = account.partition(".")
    return (tenant, login) if dot and login else ("", account)
