"""Application credentials of a tenant's service user, issued by that user itself, which is the only one who may."""

from __future__ import annotations

import secrets

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from orchestrator.cloud import identity
from orchestrator.cloud.connection import Connection, Login, connect_as, writes
from orchestrator.errors import CredentialRefused

PASSWORD_BYTES = 24

#: Keystone revokes tokens by the second: a login in the second of a password change may be refused once or twice.
REVOCATION_SECONDS = 5.0

#: Tries a login again while a revocation of this very second may still refuse it.
after_revocation = Retrying(
    retry=retry_if_exception_type(CredentialRefused),
    wait=wait_fixed(1),
    stop=stop_after_delay(REVOCATION_SECONDS),
    reraise=True,
)


def new_password() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)


def issue(connection: Connection, login: Login, name: str, role: str) -> tuple[identity.IssuedCredential, int]:
    """Issue a credential as the user of `login`; return it with the number of requests that wrote.

    One of the same name is deleted first. Raises as `connect_as` does.
    """

    def as_user() -> tuple[identity.IssuedCredential, int]:
        user = connect_as(connection, login)
        about = "made by Tricenter for backup and recovery"
        issued = identity.issue_application_credential(user, login.user_id, name, role=role, description=about)
        return issued, writes(user)

    return after_revocation.copy()(as_user)
