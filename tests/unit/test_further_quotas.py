"""Quotas of services that a cloud may lack, by answers that real ones gave."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from openstack.dns.v2.quota import Quota as DnsQuota
from openstack.load_balancer.v2.quota import Quota, QuotaDefault

from orchestrator.cloud import further_quotas
from orchestrator.cloud.quota_use import Use, uses
from orchestrator.errors import InvalidInput, Refused


def answer(body: Any, status: int = 200) -> Mock:
    made = Mock(status_code=status, headers={"content-type": "application/json"}, reason="", url="http://x")
    made.json.return_value = body
    return made


@pytest.fixture
def connection() -> Mock:
    made = Mock(tricenter_cloud="here")
    made.endpoint_for.side_effect = lambda kind: f"http://{kind}"
    return made


def lacking(connection: Mock) -> Mock:
    connection.endpoint_for.side_effect = lambda kind: None
    return connection


def test_the_catalogue_tells_which_services_there_are(connection: Mock) -> None:
    assert further_quotas.offered(connection) == {"load_balancer", "dns", "key_manager", "shared_file_system"}
    connection.endpoint_for.side_effect = lambda kind: "http://x" if kind == "key-manager" else None
    assert further_quotas.offered(connection) == {"key_manager"}


def test_nothing_is_sent_to_a_service_that_is_not_there(connection: Mock) -> None:
    further_quotas.forget(lacking(connection), "p")
    further_quotas.offered(connection)
    assert further_quotas.load_balancer(connection, []) == further_quotas.key_manager(connection, []) == {}
    assert {name for name, *_ in connection.method_calls} == {"endpoint_for"}


def test_load_balancers_have_the_limits_of_the_project_or_the_default(connection: Mock) -> None:
    connection.load_balancer.quotas.return_value = [
        Quota(project_id="p", load_balancer=0, listener=-1, pool=7, health_monitor=-1, member=3)
    ]
    connection.load_balancer.get_quota_default.return_value = QuotaDefault(
        load_balancer=-1, listener=-1, pool=-1, health_monitor=-1, member=50
    )
    found = further_quotas.load_balancer(connection, ["p", "q"])
    assert found["p"] == {"load_balancers": 0, "listeners": -1, "pools": 7, "health_monitors": -1, "members": 3}
    assert found["q"] == {"load_balancers": -1, "listeners": -1, "pools": -1, "health_monitors": -1, "members": 50}


def test_dns_has_the_limits_of_the_project(connection: Mock) -> None:
    said = {"zones": 0, "zone_recordsets": 500, "zone_records": -1, "recordset_records": 20, "api_export_size": 1000}
    connection.dns.get_quota.return_value = DnsQuota(**said)
    assert further_quotas.dns(connection, "p") == said


def test_secrets_are_read_page_by_page_and_what_nobody_set_is_left_out(connection: Mock) -> None:
    unset = {"containers": None, "consumers": None, "cas": 4}
    pages = [
        {"project_quotas": [{"project_id": "p", "project_quotas": {"secrets": 5, "orders": 0, **unset}}], "total": 2},
        {"project_quotas": [{"project_id": "q", "project_quotas": {"secrets": -1, "orders": None}}], "total": 2},
    ]
    connection.key_manager.get.side_effect = [answer(each) for each in pages]
    assert further_quotas.key_manager(connection, ["p", "q", "r"]) == {
        "p": {"secrets": 5, "orders": 0},
        "q": {"secrets": -1},
        "r": {},
    }
    assert [each.args[0] for each in connection.key_manager.get.call_args_list] == [
        "/project-quotas?limit=100&offset=0",
        "/project-quotas?limit=100&offset=1",
    ]


def test_a_page_that_is_empty_before_its_time_ends_the_reading(connection: Mock) -> None:
    connection.key_manager.get.side_effect = [answer({"project_quotas": [], "total": 3})]
    assert further_quotas.key_manager(connection, ["p"]) == {"p": {}}


def test_shares_are_told_with_their_use(connection: Mock) -> None:
    said = {
        "id": "p",
        "shares": {"limit": 0, "in_use": 0, "reserved": 0},
        "gigabytes": {"limit": -1, "in_use": 5, "reserved": 2},
        "replica_gigabytes": {"limit": 9, "in_use": 0, "reserved": 0},
    }
    connection.shared_file_system.get.return_value = answer({"quota_set": said})
    connection.compute.get_quota_set.return_value = connection.block_storage.get_quota_set.return_value = Mock(spec=())
    connection.network.get_quota.return_value = Mock(spec=())
    assert uses(connection, "p") == [
        Use("shared_file_system", "shares", 0, 0),
        Use("shared_file_system", "gigabytes", 7, None),
    ]
    connection.shared_file_system.get.reset_mock()
    assert uses(lacking(connection), "p") == []
    connection.shared_file_system.get.assert_not_called()


def test_a_limit_that_a_service_refuses_is_told_as_the_service_says_it(connection: Mock) -> None:
    refusal = {"badRequest": {"code": 400, "message": "Quota limit must be -1 or greater."}}
    connection.shared_file_system.put.return_value = answer(refusal, 400)
    with pytest.raises(Refused, match="Quota limit must be -1 or greater"):
        further_quotas.set_shared_file_system(connection, "p", {"shares": -5})


def test_forgetting_what_was_never_set_is_fine(connection: Mock) -> None:
    for service in (connection.load_balancer, connection.key_manager, connection.shared_file_system):
        service.request.return_value = answer({}, 404)
    further_quotas.forget(connection, "p")
    connection.dns.delete_quota.assert_called_once_with("p")
    connection.shared_file_system.request.assert_called_once_with("/quota-sets/p", "DELETE", microversion="2.25")
    connection.key_manager.request.assert_called_once_with("/project-quotas/p", "DELETE", microversion=None)
    connection.load_balancer.request.assert_called_once_with("/lbaas/quotas/p", "DELETE", microversion=None)


def test_a_catalogue_that_cannot_be_read_is_told(connection: Mock) -> None:
    from keystoneauth1.exceptions import EmptyCatalog

    connection.endpoint_for.side_effect = EmptyCatalog("the catalogue is empty")
    with pytest.raises(InvalidInput):
        further_quotas.offered(connection)
