"""Does a request fit the site, and all that others have or asked for? Every fault at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from policies.address_plan import next_free_of_zone, within
from policies.findings import did_you_mean
from policies.request import Request, RequestedNetwork, RequestedSystem
from policies.site import Site
from policies.values import Misfit

#: Kinds of source that are read from the cloud of production.
FROM_A_CLOUD = ("volume", "server", "cloud")


@dataclass(slots=True)
class Taken:
    """What nobody else can have: by whom it is taken."""

    names: dict[str, str] = field(default_factory=dict)
    unit_codes: dict[str, str] = field(default_factory=dict)
    networks: dict[IPv4Network, str] = field(default_factory=dict)

    def add(self, request: Request, owner: str) -> None:
        self.names[request.tenant] = owner
        self.unit_codes[request.unit_code] = owner
        self.networks |= {each.cidr: owner for each in request.networks.values() if each.cidr}


def taken_of(site: Site, requests: Iterable[tuple[str, Request]] = ()) -> Taken:
    """Return what the site's tenants have and open requests, each with who it is of, have asked for."""
    taken = Taken()
    for tenant in site.tenants.values():
        owner = f"the tenant {tenant.tenant}"
        taken.names[tenant.tenant] = owner
        taken.unit_codes[tenant.unit_code] = owner
        taken.networks |= {each.cidr: owner for each in tenant.networks.values()}
    for plan in site.plans.values():
        for elsewhere in plan.networks.values():
            mapped = [each for each in (elsewhere.same_city, elsewhere.provincial) if each]
            taken.networks |= {each: f"the plan {plan.plan}" for each in mapped if each not in taken.networks}
    for owner, request in requests:
        taken.add(request, owner)
    return taken


def check(request: Request, site: Site, taken: Taken) -> tuple[Request, list[Misfit]]:
    """Return the request with addresses for all of its networks that can have some, and what does not fit."""
    misfits = [*_still_free(request, taken), *_quota_fits(request, site)]
    networks: dict[str, RequestedNetwork] = {}
    own: dict[IPv4Network, str] = {}
    for name, network in request.networks.items():
        networks[name], found = _addressed(name, network, site, taken.networks | own)
        misfits += found
        if (cidr := networks[name].cidr) is not None:
            own[cidr] = f"the network {name} of the same request"
    for name, system in request.systems.items():
        misfits += _system_fits(name, system, site)
    return request.model_copy(update={"networks": networks}), misfits


def _still_free(request: Request, taken: Taken) -> Iterator[Misfit]:
    if owner := taken.names.get(request.tenant):
        yield Misfit(("tenant",), f"{request.tenant}, which {owner} has", "a name that nobody has")
    if owner := taken.unit_codes.get(request.unit_code):
        got = f"{request.unit_code}, which {owner} has"
        yield Misfit(("unit_code",), got, "a unit that has no tenant yet", "one unit is one tenant")


def _quota_fits(request: Request, site: Site) -> Iterator[Misfit]:
    if request.quota_class and request.quota_class not in site.quota_classes:
        hint = did_you_mean(request.quota_class, site.quota_classes)
        yield Misfit(("quota_class",), request.quota_class, "a quota class of the site", hint)
    most = request.quota.network.networks
    if most is not None and 0 <= most < len(request.networks):
        want = f"{len(request.networks)} at least, as many as are asked for"
        yield Misfit(("quota", "network", "networks"), str(most), want)


def _addressed(
    name: str, network: RequestedNetwork, site: Site, taken: dict[IPv4Network, str]
) -> tuple[RequestedNetwork, list[Misfit]]:
    at = ("networks", name)
    if network.zone not in site.zones:
        hint = did_you_mean(network.zone, site.zones)
        return network, [Misfit((*at, "zone"), network.zone, "a zone of the site", hint)]
    if network.cidr is not None:
        return network, list(_addresses_fit(at, network.zone, network.cidr, site, taken))
    assert network.prefix is not None  # one of both is given
    if network.zone not in site.address_plan:
        want = f"addresses: the site has no address plan for the zone {network.zone}"
        return network, [Misfit((*at, "prefix"), f"a prefix length of {network.prefix}", want)]
    found = next_free_of_zone(site.address_plan, network.zone, taken, network.prefix)
    if found is None:
        want = f"a network that still has room in the zone {network.zone}"
        hint = "ask for a smaller one (a longer prefix), or give the zone another block"
        return network, [Misfit((*at, "prefix"), f"/{network.prefix}", want, hint)]
    return network.model_copy(update={"cidr": found, "prefix": None}), []


def _addresses_fit(
    at: tuple[str, str], zone: str, cidr: IPv4Network, site: Site, taken: dict[IPv4Network, str]
) -> Iterator[Misfit]:
    place = (*at, "cidr")
    for other, owner in taken.items():
        if cidr.overlaps(other):
            hint = "leave them out and write a prefix length: then free ones are given"
            yield Misfit(place, f"{cidr}, which shares addresses with {other} of {owner}", "free addresses", hint)
    blocks = site.address_plan[zone].blocks if zone in site.address_plan else ()
    if site.address_plan and not within(cidr, blocks):
        shown = ", ".join(map(str, blocks)) or "none: the address plan does not know it"
        yield Misfit(place, str(cidr), f"addresses within the blocks of the zone {zone} ({shown})")


def _system_fits(name: str, system: RequestedSystem, site: Site) -> Iterator[Misfit]:
    at = ("systems", name)
    if site.mlps_level is not None and system.mlps_level > site.mlps_level:
        want = f"{site.mlps_level} at most, the level of this platform (等保: 平台定级不低于系统)"
        yield Misfit((*at, "mlps_level"), str(system.mlps_level), want)
    if system.tier not in site.tiers:
        yield Misfit((*at, "tier"), system.tier, "a tier of the site", did_you_mean(system.tier, site.tiers))
    else:
        lacking = [each for each in site.tiers[system.tier].copies if site.centres[each].vault is None]
        if lacking:
            want = f"a tier whose centres all have vaults; {', '.join(lacking)} has none"
            yield Misfit((*at, "tier"), system.tier, want)
    for source, each in system.sources.items():
        if each.kind in FROM_A_CLOUD and site.centres["production"].cloud is None:
            want = "a kind that needs no cloud: production has none"
            yield Misfit((*at, "sources", source, "kind"), each.kind, want)
