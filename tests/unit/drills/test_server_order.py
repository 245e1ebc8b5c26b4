"""The order in which servers start, and where their probes are asked from."""

from __future__ import annotations

from typing import Any

import pytest

from drills.servers import Stand, start_order, vantage_of
from drills.vantage import HERE
from orchestrator.cloud.bubble import Segment
from orchestrator.cloud.marks import drill_mark, is_of_drill, is_ours, marked_for, unmarked_of_drill
from orchestrator.errors import InvalidInput, UnknownName
from policies.probe import CommandProbe, TcpProbe
from policies.site import Cloud, SystemRef
from policies.tenant import System, Tenant

NETWORKS = {"inner": Segment("inner", "net-1", "sub-1", "10.1.0.0/24"), "outer": Segment("outer", "net-2", "s", "c")}


def system(**after: list[str]) -> System:
    servers = {
        name: {
            "boot": name,
            "flavor": "small",
            "network": "outer" if name == "web" else "inner",
            "address": f"10.1.0.{number}",
            "after": others,
        }
        for number, (name, others) in enumerate(after.items(), 5)
    }
    return System.model_validate(
        {
            "title": {"zh": "系统", "en": "System"},
            "tier": "remote-dr",
            "sources": {name: {"kind": "volume", "volume": name} for name in after},
            "servers": servers,
        }
    )


def test_servers_start_in_waves() -> None:
    given = system(web=["app-1", "app-2"], db=[], **{"app-1": ["db"], "app-2": ["db"]}, mail=[])
    assert start_order(given) == (("db", "mail"), ("app-1", "app-2"), ("web",))
    assert start_order(system(web=[])) == (("web",),)


def stand(*, isolated: bool) -> Stand:
    return Stand("same-city", "bureau", "registry", "d", isolated, "drill-d-", NETWORKS, {"web": "10.1.0.5"})


def ref(given: System) -> SystemRef:
    tenant: Any = Tenant.model_construct(tenant="bureau")
    return SystemRef(tenant, "registry", given, None)  # type: ignore[arg-type]  # its tier is not asked for


def test_a_probe_is_asked_inside_the_network_of_its_server() -> None:
    cloud = Cloud(name="city", vantage=("way", "--in", "{network}", "{cidr}"))
    given = ref(system(db=[], web=["db"]))
    found = vantage_of(cloud, given, stand(isolated=True), TcpProbe(kind="tcp", server="web", port=80))
    assert found.prefix == ("way", "--in", "net-2", "c")
    command = CommandProbe(kind="command", command=("true",))
    assert vantage_of(cloud, given, stand(isolated=True), command).prefix[2] == "net-1"
    with pytest.raises(UnknownName):
        vantage_of(cloud, given, stand(isolated=True), TcpProbe(kind="tcp", server="wbe", port=80))


def test_without_a_way_in_only_open_networks_can_be_asked() -> None:
    each, given = TcpProbe(kind="tcp", server="web", port=80), ref(system(web=[]))
    assert vantage_of(Cloud(name="city"), given, stand(isolated=False), each) == HERE
    with pytest.raises(InvalidInput, match="no way in") as caught:
        vantage_of(Cloud(name="city"), given, stand(isolated=True), each)
    assert "centres.same-city.cloud.vantage" in caught.value.hint


def test_the_mark_of_a_drill_is_no_other_drills() -> None:
    text = marked_for("d-1", "closed network")
    assert is_of_drill("d-1", text)
    assert is_ours(text)
    assert not is_of_drill("d", text)
    assert not is_of_drill("d-11", text)
    assert not is_of_drill("d-1", drill_mark("d-1"))  # somebody else's text that only looks like it
    assert unmarked_of_drill("d-1", text) == "closed network [managed-by=tricenter]"
