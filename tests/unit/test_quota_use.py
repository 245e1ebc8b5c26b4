"""What clouds tell of quotas in use, through the SDK's own classes, and how it is shown."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from openstack import exceptions as sdk_errors
from openstack.block_storage.v3.quota_set import QuotaSet as StorageQuotas
from openstack.compute.v2.quota_set import QuotaSet as ComputeQuotas
from openstack.network.v2.quota import QuotaDetails

from orchestrator.catalogue.quota_uses import QuotaUse
from orchestrator.cloud.quota_use import Use, uses
from orchestrator.tenants.quota_use import by_target


def answered(kind: Any, body: dict[str, Any]) -> Any:
    """Return what the SDK makes of an answer."""
    made = kind()
    answer = Mock(status_code=200, headers={})
    answer.json.return_value = body
    made._translate_response(answer)
    return made


def said(in_use: int, limit: int, reserved: int = 0) -> dict[str, int]:
    return {"in_use": in_use, "limit": limit, "reserved": reserved}


@pytest.fixture
def connection() -> Mock:
    made = Mock()
    made.endpoint_for.return_value = None
    made.compute.get_quota_set.return_value = answered(
        ComputeQuotas,
        {"quota_set": {"id": "p", "ram": said(512, 2048), "instances": said(1, -1), "key_pairs": said(0, 100)}},
    )
    made.block_storage.get_quota_set.return_value = answered(
        StorageQuotas,
        {"quota_set": {"id": "p", "gigabytes": said(10, 100, 5), "volumes": said(2, 0), "gigabytes_fast": said(1, 2)}},
    )
    made.network.get_quota.return_value = answered(
        QuotaDetails, {"quota": {"port": {"used": 3, "limit": 50, "reserved": 1}, "network": {"used": 1, "limit": -1}}}
    )
    return made


def test_use_counts_what_is_reserved_and_leaves_out_what_is_not_counted(connection: Mock) -> None:
    assert sorted(uses(connection, "p"), key=str) == sorted(
        [
            Use("compute", "ram", 512, 2048),
            Use("compute", "instances", 1, None),
            Use("network", "ports", 4, 50),
            Use("network", "networks", 1, None),
            Use("block_storage", "gigabytes", 15, 100),
            Use("block_storage", "volumes", 2, 0),
        ],
        key=str,
    )


def test_a_neutron_that_does_not_tell_use_leaves_its_quotas_out(connection: Mock) -> None:
    connection.network.get_quota.side_effect = sdk_errors.NotFoundException("no such extension", http_status=404)

    assert {each.service for each in uses(connection, "p")} == {"compute", "block_storage"}


def test_uses_are_found_by_tenant_and_centre() -> None:
    use = QuotaUse("a", "production", "compute", "ram", 1, 2)

    assert by_target([use]) == {("a", "production"): {("compute", "ram"): use}}
