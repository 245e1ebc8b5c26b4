"""Do the servers of a system fit: what they boot from, where they stand, and where its sources stand elsewhere?"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import get_args

from policies.document import Node
from policies.draft import Draft, fault_at, listed, network_of, unknown_name
from policies.findings import Finding, did_you_mean
from policies.graph import circle
from policies.site import Vault
from policies.tiers import CentreName

#: The group that every project has from the start.
DEFAULT_GROUP = "default"

#: Kinds of source that are proved by drills, and put back by people.
NOT_PLACED = ("mysql", "server")
#: The places of a vault, and what its buckets are called unless it says otherwise.
CENTRES = get_args(CentreName)
DEFAULT_BUCKET_PREFIX = str(Vault.model_fields["bucket_prefix"].default)

#: The kinds of source that need a cloud, and what for.
HELD_BY_A_CLOUD = {"volume": "holds volumes", "server": "holds servers", "cloud": "holds the tenant's project"}


def systems_misfits(draft: Draft) -> Iterator[Finding]:
    """Yield what does not fit in the systems of all tenants."""
    for tenant, node in draft.tenants:
        taken: dict[str, Node] = {}
        for name, system in node.items("systems"):
            path = f"tenants[{tenant}].systems.{name}"
            yield from _servers_fit(path, node, system, taken)
            yield from _standby_fits(path, draft, system)
            yield from _hooks_fit(path, system)
            yield from _buckets_fit(path, draft, system)
            yield from _archives_fit(path, draft, system)
    yield from _have_a_cloud(draft)


def _servers_fit(where: str, tenant: Node, system: Node, taken: dict[str, Node]) -> Iterator[Finding]:
    servers = dict(system.items("servers"))
    attached: dict[str, str] = {}
    for name, server in servers.items():
        path = f"{where}.servers.{name}"
        yield from _volumes_fit(path, name, system, server, attached)
        yield from _stands_in_a_network(path, tenant, server, taken)
        groups = [DEFAULT_GROUP, *(group for group, _ in tenant.items("security_groups"))]
        for index, group in enumerate(listed(server.at("security_groups"))):
            yield from unknown_name(group, f"{path}.security_groups[{index}]", "a security group of the tenant", groups)
        for index, other in enumerate(listed(server.at("after"))):
            yield from unknown_name(other, f"{path}.after[{index}]", "a server of the system", servers)
    waits = {
        name: tuple(each.value for each in listed(server.at("after")) if isinstance(each.value, str))
        for name, server in servers.items()
    }
    if found := circle(waits):
        first = servers[found[0]]
        path = f"{where}.servers.{found[0]}.after"
        yield fault_at(first.at("after") or first, path, " → ".join(found), "an order without a circle")


def _volumes_fit(path: str, name: str, system: Node, server: Node, attached: dict[str, str]) -> Iterator[Finding]:
    sources = dict(system.items("sources"))
    boot = server.at("boot")
    given = [(boot, f"{path}.boot")] if boot else []
    given += [(each, f"{path}.volumes[{index}]") for index, each in enumerate(listed(server.at("volumes")))]
    volumes = [source for source, node in sources.items() if node.text("kind") == "volume"]
    for node, place in given:
        source = node.value
        if not isinstance(source, str):
            continue
        if source not in sources:
            yield fault_at(node, place, source, "a volume source of the system", did_you_mean(source, volumes))
        elif source not in volumes:
            got = f"{source}, a {sources[source].text('kind') or 'broken'} source"
            yield fault_at(node, place, got, "a volume source of the system", did_you_mean(source, volumes))
        elif source in attached:
            owner = "this server" if attached[source] == name else f"the server {attached[source]}"
            yield fault_at(node, place, f"{source}, which {owner} has already", "a volume for each")
        attached.setdefault(source, name)


def _stands_in_a_network(path: str, tenant: Node, server: Node, taken: dict[str, Node]) -> Iterator[Finding]:
    networks = dict(tenant.items("networks"))
    network, address = server.at("network"), server.at("address")
    if network:
        yield from unknown_name(network, f"{path}.network", "a network of the tenant", networks)
    number = _address(server.text("address"))
    if address is None or number is None:
        return
    text = str(number)
    if text in taken:
        hint = f"the first is in {taken[text].file.name}:{taken[text].line}"
        yield fault_at(address, f"{path}.address", text, "an address that no other server of the tenant has", hint)
    taken.setdefault(text, address)
    cidr = network_of(networks[str(network.value)].text("cidr")) if network and network.value in networks else None
    if cidr and number not in cidr:
        yield fault_at(address, f"{path}.address", text, f"an address in {cidr}, the network's cidr")
    elif cidr and number in (cidr.network_address, cidr.network_address + 1, cidr.broadcast_address):
        want = f"an address from {cidr.network_address + 2} to {cidr.broadcast_address - 1}"
        yield fault_at(address, f"{path}.address", text, want, "the first is the router's, the last is for broadcasts")


def _address(text: str | None) -> IPv4Address | None:
    try:
        return IPv4Address(text) if text else None
    except ValueError:
        return None  # told by the model


def _standby_fits(where: str, draft: Draft, system: Node) -> Iterator[Finding]:
    sources = dict(system.items("sources"))
    for centre, places in system.items("standby"):
        for name, place in places.items():
            path = f"{where}.standby.{centre}.{name}"
            kind, own = place.text("kind"), sources[name].text("kind") if name in sources else None
            if name not in sources:
                yield fault_at(place, path, name, "a source of the system", did_you_mean(name, sources))
            elif kind and own and kind != own:
                want = f"{own}, as the source at production"
                yield fault_at(place.at("kind") or place, f"{path}.kind", kind, want)
            elif kind in NOT_PLACED:
                want = "nothing: no run puts a source of this kind in a place"
                yield fault_at(place.at("kind") or place, f"{path}.kind", kind, want, "leave it out of standby")
            elif kind in HELD_BY_A_CLOUD and draft.head and not draft.at("centres", centre, "cloud"):
                hint = f"write centres.{centre}.cloud in site.yaml"
                want = f"a cloud at {centre} that {HELD_BY_A_CLOUD[kind]}"
                yield fault_at(place.at("kind") or place, f"{path}.kind", kind, want, hint)


def _hooks_fit(where: str, system: Node) -> Iterator[Finding]:
    sources = dict(system.items("sources"))
    for name, hooks in system.items("hooks", "sources"):
        if name not in sources:
            want = "a source of the system"
            yield fault_at(hooks, f"{where}.hooks.sources.{name}", name, want, did_you_mean(name, sources))


def _buckets_fit(where: str, draft: Draft, system: Node) -> Iterator[Finding]:
    """Yield buckets that would be their own backup, or that a failover would restore into what it restores from."""
    taken: dict[tuple[str, str, str], str] = {}
    places = [(f"{where}.sources.{name}", node) for name, node in system.items("sources")]
    for centre, standby in system.items("standby"):
        places += [(f"{where}.standby.{centre}.{name}", node) for name, node in standby.items()]
    for path, node in places:
        bucket = node.at("bucket")
        if node.text("kind") != "bucket" or bucket is None:
            continue
        if vault := _vault_with(draft, node):
            got = f"{bucket.value}, a bucket of the vault at {vault}"
            yield fault_at(bucket, f"{path}.bucket", got, "the application's own bucket, which is no vault's")
        place = (node.text("endpoint") or "", node.text("bucket") or "", node.text("prefix") or "")
        if place in taken:
            got = f"{bucket.value}, which is {taken[place]} already"
            yield fault_at(bucket, f"{path}.bucket", got, "a bucket for each source and each centre")
        taken.setdefault(place, path.removeprefix(f"{where}."))


def _archives_fit(where: str, draft: Draft, system: Node) -> Iterator[Finding]:
    """Yield archives that no run would keep, and vaults that pgBackRest does not talk to."""
    for centre, places in system.items("standby"):
        for name, place in places.items():
            if archive := place.at("archive"):
                want = "nothing: only the database at production is archived"
                yield fault_at(archive, f"{where}.standby.{centre}.{name}.archive", "an archive", want)
    tier = draft.tiers.get(system.text("tier") or "")
    for name, source in system.items("sources"):
        archive = source.at("archive")
        if archive is None or archive.value is None or tier is None:
            continue
        for centre, _ in tier.items("copies"):
            vault = draft.at("centres", centre, "vault")
            if vault and (endpoint := vault.text("endpoint") or "").startswith("http://"):
                path, hint = f"{where}.sources.{name}.archive", "give the vault's endpoint as https://HOST[:PORT]"
                got = f"{endpoint}, the vault at {centre}"
                yield fault_at(archive, path, got, "vaults that answer https: pgBackRest speaks nothing else", hint)


def _vault_with(draft: Draft, source: Node) -> str | None:
    """Return the centre whose vault has the bucket of a source, going by the name of the bucket."""
    for centre in CENTRES:
        vault = draft.at("centres", centre, "vault")
        if vault is None or vault.text("endpoint") != source.text("endpoint"):
            continue
        if (source.text("bucket") or "").startswith(vault.text("bucket_prefix") or DEFAULT_BUCKET_PREFIX):
            return str(centre)
    return None


def _have_a_cloud(draft: Draft) -> Iterator[Finding]:
    cloud = draft.at("centres", "production", "cloud")
    if draft.head is None or (cloud and cloud.value is not None):
        return
    for tenant, name, system in draft.systems():
        for source, node in system.items("sources"):
            if (kind := node.text("kind")) in HELD_BY_A_CLOUD:
                path = f"tenants[{tenant}].systems.{name}.sources.{source}.kind"
                hint = "write centres.production.cloud in site.yaml"
                want = f"a cloud at production that {HELD_BY_A_CLOUD[kind]}"
                yield fault_at(node.at("kind") or node, path, kind, want, hint)
