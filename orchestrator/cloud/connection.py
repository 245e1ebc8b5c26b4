"""Connections to OpenStack clouds, with a deadline on every request. Only this package imports openstack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openstack
from keystoneauth1 import exceptions as keystone_errors
from openstack import exceptions as sdk_errors

from orchestrator.errors import CredentialRefused, InvalidInput, Unreachable

REQUEST_SECONDS = 60
CONNECT_RETRIES = 2


def connect(cloud: str, *, config_file: Path | None = None, **overrides: Any) -> openstack.connection.Connection:
    """Return a connection that has logged in to the clouds.yaml entry `cloud`.

    Raises InvalidInput (no such entry), CredentialRefused (login refused) or Unreachable.
    """
    files = [str(config_file)] if config_file else None
    try:
        region = openstack.config.OpenStackConfig(config_files=files).get_one(
            cloud, api_timeout=REQUEST_SECONDS, connect_retries=CONNECT_RETRIES, app_name="tricenter", **overrides
        )
        connection = openstack.connection.Connection(config=region)
        connection.authorize()
    except sdk_errors.ConfigException as error:
        raise InvalidInput(f"cloud {cloud!r}: {error}", hint=f"look at {config_file or 'clouds.yaml'}") from error
    except (sdk_errors.SDKException, keystone_errors.ClientException) as error:
        raise _explain(cloud, error) from error
    return connection


def _explain(cloud: str, error: Exception) -> Exception:
    if getattr(error, "http_status", None) == 401 or isinstance(error, keystone_errors.Unauthorized):
        return CredentialRefused(
            f"cloud {cloud!r} refused the login", hint="check the user and password of this entry in clouds.yaml"
        )
    if "401" in str(error):
        return CredentialRefused(
            f"cloud {cloud!r} refused the login", hint="check the user and password of this entry in clouds.yaml"
        )
    return Unreachable(
        f"cloud {cloud!r} does not answer: {error}", hint="is the centre up? for the lab: tricenter lab status"
    )
