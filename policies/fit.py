"""Do the parts of a site fit together? Names that must exist elsewhere, addresses, distances, places for the copies.

Works on what the files say and not on checked models, so that a fault in one value of a tenant hides none of these.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Network
from typing import cast

from pydantic import ValidationError

from policies.document import Node
from policies.draft import Draft, fault_at, listed, network_of
from policies.findings import Finding, did_you_mean, spelled
from policies.fit_addresses import addresses_misfits
from policies.fit_links import links_misfits
from policies.fit_plans import plans_misfits
from policies.fit_quotas import quotas_misfits
from policies.fit_shares import shares_misfits
from policies.fit_systems import systems_misfits
from policies.site import Location
from policies.tiers import CentreName, CopyRule, ScheduleRule, objective_misfits
from policies.values import parse_duration

SAME_CITY_KM = (10, 100)
PROVINCIAL_KM = 100
SMALLEST_NETWORK = 29

#: Names that S3 keeps for itself, beside its rule of 3 to 63 characters.
_S3_RESERVED = re.compile(r"^(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|--x-s3|--table-s3)$")


def misfits(draft: Draft) -> Iterator[Finding]:
    """Yield everything that does not fit, and what is worth a warning."""
    yield from _objectives_fit(draft)
    yield from _tiers_known(draft)
    yield from _copies_have_vaults(draft)
    yield from _zones_known(draft)
    yield from _networks_apart(draft)
    yield from addresses_misfits(draft)
    yield from links_misfits(draft)
    yield from shares_misfits(draft)
    yield from quotas_misfits(draft)
    yield from systems_misfits(draft)
    yield from plans_misfits(draft)
    yield from _centres_apart(draft)
    yield from _distances(draft)
    yield from _buckets_legal(draft)
    yield from _credentials_own(draft)
    yield from _credentials_split(draft)
    yield from _escrow_named(draft)
    yield from _mlps(draft)
    yield from _limits_of_something(draft)
    yield from _blackouts_fit(draft)


def _objectives_fit(draft: Draft) -> Iterator[Finding]:
    """What the model of a tier tells as well, but only once all else in the tier is right."""
    for tier, node in draft.tiers.items():
        copies: dict[CentreName, CopyRule] = {}
        for centre, rule in node.items("copies"):
            known = {key: child.plain() for key, child in rule.items()}
            with suppress(ValidationError):  # the RTO takes no part, so a wrong one hides nothing
                copies[cast("CentreName", centre)] = CopyRule.model_validate({**known, "rto": "1h"})
        backup_every = None
        with suppress(ValueError):
            backup_every = parse_duration(node.text("backup_every"))
        schedule, written = ScheduleRule(), node.at("schedule")
        with suppress(ValidationError):
            schedule = ScheduleRule.model_validate(written.plain()) if written else schedule
        for misfit in objective_misfits(backup_every, copies, schedule):
            yield fault_at(
                node.at(*misfit.at) or node, spelled(misfit.at, f"tiers[{tier}]"), misfit.got, misfit.want, misfit.hint
            )


def _tiers_known(draft: Draft) -> Iterator[Finding]:
    if "tiers" in draft.unread:
        return
    for tenant, name, system in draft.systems():
        tier = system.text("tier")
        if tier is not None and tier not in draft.tiers:
            place = system.at("tier") or system
            path = f"tenants[{tenant}].systems.{name}.tier"
            yield fault_at(place, path, tier, "a tier of this site", did_you_mean(tier, draft.tiers))


def _copies_have_vaults(draft: Draft) -> Iterator[Finding]:
    used = Counter(tier for _, _, system in draft.systems() if (tier := system.text("tier")) in draft.tiers)
    for centre in ("same-city", "provincial"):
        place = draft.at("centres", centre)
        vault = draft.at("centres", centre, "vault")
        wanting = sorted(tier for tier in used if tier and draft.tiers[tier].at("copies", centre))
        if place and wanting and (vault is None or vault.value is None):
            want = f"a vault: the copies of {', '.join(wanting)} stand here"
            hint = "write the vault, or choose tiers without a copy at this centre"
            yield fault_at(place, f"centres.{centre}.vault", "nothing", want, hint)


def _zones_known(draft: Draft) -> Iterator[Finding]:
    if draft.head is None:
        return
    zones = [name for name, _ in draft.head.items("zones")]
    for tenant, node in draft.tenants:
        for name, network in node.items("networks"):
            zone = network.text("zone")
            if zone is not None and zone not in zones:
                place = network.at("zone") or network
                path = f"tenants[{tenant}].networks.{name}.zone"
                yield fault_at(place, path, zone, "a zone of site.yaml", did_you_mean(zone, zones))


def _networks_apart(draft: Draft) -> Iterator[Finding]:
    planned: list[tuple[IPv4Network, str, Node]] = []
    for tenant, node in draft.tenants:
        for name, network in node.items("networks"):
            path = f"tenants[{tenant}].networks.{name}.cidr"
            place, cidr = network.at("cidr"), network_of(network.text("cidr"))
            if place and cidr:
                planned.append((cidr, path, place))
                if cidr.prefixlen > SMALLEST_NETWORK:
                    want = f"a network of 8 addresses (/{SMALLEST_NETWORK}) or more"
                    yield fault_at(place, path, str(cidr), want, "the router and the DHCP service need addresses too")
    # Networks of the address plan are nested or apart. In order, the one before that reaches furthest tells which.
    furthest: tuple[IPv4Network, str, Node] | None = None
    for cidr, path, place in sorted(planned, key=lambda each: (each[0].network_address, each[0].prefixlen)):
        if furthest and cidr.subnet_of(furthest[0]):
            other, other_path, other_place = furthest
            hint = f"{other_path} is {other} ({other_place.file.name}:{other_place.line})"
            yield fault_at(place, path, str(cidr), "addresses that no other network has", hint)
        else:
            furthest = cidr, path, place


def _centres_apart(draft: Draft) -> Iterator[Finding]:
    for trail, noun in ((("vault", "endpoint"), "vault"), (("cloud", "name"), "cloud")):
        seen: dict[str, str] = {}
        for centre in ("production", "same-city", "provincial"):
            value = draft.text("centres", centre, *trail)
            place = draft.at("centres", centre, *trail)
            if value is None or place is None:
                continue
            if value in seen:
                path = f"centres.{centre}.{'.'.join(trail)}"
                hint = "centres that share one are lost together"
                yield fault_at(place, path, f"the {noun} of {seen[value]}", f"a {noun} of its own", hint)
            seen.setdefault(value, centre)


def _location(draft: Draft, centre: str) -> Location | None:
    degrees = [draft.at("centres", centre, "location", each) for each in ("latitude", "longitude")]
    values = [each.value for each in degrees if each and isinstance(each.value, int | float)]
    if len(values) != 2 or not (abs(values[0]) <= 90 and abs(values[1]) <= 180):
        return None  # told by the model
    return Location(latitude=values[0], longitude=values[1])


def _distances(draft: Draft) -> Iterator[Finding]:
    here = _location(draft, "production")
    for centre in ("same-city", "provincial"):
        there, place = _location(draft, centre), draft.at("centres", centre, "location")
        if here is None or there is None or place is None:
            continue
        path, distance = f"centres.{centre}.location", here.distance_km(there)
        got = f"{distance:.1f} km from production"
        hint = "is a coordinate mistyped, or latitude and longitude exchanged?"
        if centre == "provincial" and distance < PROVINCIAL_KM:
            yield fault_at(place, path, got, f"{PROVINCIAL_KM} km or more, so that no disaster takes both cities", hint)
        elif centre == "same-city" and not SAME_CITY_KM[0] <= distance <= SAME_CITY_KM[1]:
            want = f"{SAME_CITY_KM[0]} to {SAME_CITY_KM[1]} km"
            yield fault_at(place, path, got, want, hint, "warning")


def bucket_fault(bucket: str) -> str:
    """Return why S3 would refuse a bucket of this name, or nothing."""
    if not 3 <= len(bucket) <= 63:
        return f"a name of {len(bucket)} characters, and S3 takes 3 to 63"
    return "a name that S3 keeps for itself" if _S3_RESERVED.match(bucket) else ""


def _buckets_legal(draft: Draft) -> Iterator[Finding]:
    for centre in ("same-city", "provincial"):
        if not draft.at("centres", centre, "vault"):
            continue
        prefix = draft.text("centres", centre, "vault", "bucket_prefix") or "dr-"
        for tenant, node in draft.tenants:
            if why := bucket_fault(bucket := f"{prefix}{tenant}"):
                place = node.at("tenant") or node
                got = f"the bucket {bucket} at {centre}: {why}"
                yield fault_at(place, f"tenants[{tenant}].tenant", got, "another tenant name or bucket_prefix")


def _credentials_own(draft: Draft) -> Iterator[Finding]:
    trails = [
        ("repository_password",),
        *(
            ("centres", each, "vault", credential)
            for each in ("same-city", "provincial")
            for credential in ("credential", "expirer_credential", "lock_credential")
        ),
    ]
    for trail in trails:
        value, place = draft.text(*trail), draft.at(*trail)
        if (
            place
            and value
            and value.startswith(("env:", "file:"))
            and "{tenant}" not in value
            and len(draft.tenants) > 1
        ):
            got = f"one secret for {len(draft.tenants)} tenants"
            want = "one for each: file:…/{tenant}…"
            hint = "whoever holds this secret reads every tenant's copies"
            yield fault_at(place, ".".join(trail), got, want, hint, "warning")


def _credentials_split(draft: Draft) -> Iterator[Finding]:
    """What writes must not be what deletes: the key that every backup uses is the first that an attacker has."""
    for centre in ("same-city", "provincial"):
        vault = draft.at("centres", centre, "vault")
        if vault is None or vault.value is None:
            continue
        path = f"centres.{centre}.vault.expirer_credential"
        writer, expirer = (draft.text("centres", centre, "vault", key) for key in ("credential", "expirer_credential"))
        if writer and expirer in (None, writer):
            got = "nothing: credential also deletes" if expirer is None else "the same as credential"
            want = "a credential of its own for retention, so that the one that writes need not delete"
            place = vault.at("expirer_credential") or vault
            yield fault_at(place, path, got, want, "docs/vault.md says what each may do", "warning")


def _escrow_named(draft: Draft) -> Iterator[Finding]:
    """A vault holds everything but the passwords: when they are lost with this host, its points are noise."""
    written = draft.at("escrow")
    if draft.head is None or (written and written.value is not None):
        return
    hint = "name custodians, then tricenter escrow split; docs/keys.md says what it is for"
    want = "who opens the rescue bundles when nothing but one vault is left"
    yield fault_at(draft.head, "escrow", "nothing", want, hint, "warning")


def _mlps(draft: Draft) -> Iterator[Finding]:
    """From level 2 on, 等保 (GB/T 22239-2019) asks for off-site backup; it names no RPO and no RTO."""
    levels = {tenant: node.at("mlps_level") for tenant, node in draft.tenants}
    for tenant, name, system in draft.systems():
        level, tier = levels[tenant], system.text("tier")
        if level is None or not isinstance(level.value, int) or level.value < 2 or tier not in draft.tiers:
            continue
        if not draft.tiers[tier].at("copies", "provincial"):
            got = f"等保 level {level.value} and no copy at the provincial centre"
            hint = f"the tier {tier} keeps no off-site (异地) copy; whether same-city counts is the assessor's to say"
            place = system.at("tier") or system
            path = f"tenants[{tenant}].systems.{name}.tier"
            yield fault_at(place, path, got, "a tier with an off-site copy", hint, "note")


def _limits_of_something(draft: Draft) -> Iterator[Finding]:
    """A limit of one slot by name limits nothing when there is no such thing."""
    if draft.head is None:
        return
    centres = [centre for centre, _ in draft.head.items("centres")]
    known = {
        "centre": centres,
        "vault": [each for each in centres if draft.at("centres", each, "vault")],
        "cloud": [each for each in centres if draft.at("centres", each, "cloud")],
        "tenant": [tenant for tenant, _ in draft.tenants],
    }
    for slot, node in draft.head.items("limits"):
        kind, colon, name = slot.partition(":")
        if not colon or kind not in known or name in known[kind] or (kind == "tenant" and "tenants" in draft.unread):
            continue
        want = f"a {kind} of this site"
        yield fault_at(node, f"limits.{slot}", f"the {kind} {name}", want, did_you_mean(name, known[kind]))


def _blackouts_fit(draft: Draft) -> Iterator[Finding]:
    tenants = [tenant for tenant, _ in draft.tenants]
    systems = [f"{tenant}/{name}" for tenant, name, _ in draft.systems()]
    for index, blackout in enumerate(listed(draft.at("blackouts"))):
        for key, known in (("tenants", tenants), ("systems", systems)):
            for number, each in enumerate(listed(blackout.at(key))):
                name = each.value
                if not isinstance(name, str) or name in known or (key == "systems" and "/" not in name):
                    continue  # right, or told by the model
                if "tenants" in draft.unread and name.partition("/")[0] not in tenants:
                    continue  # it may stand in a file that could not be read
                want = f"a {key.removesuffix('s')} of this site"
                yield fault_at(each, f"blackouts[{index}].{key}[{number}]", name, want, did_you_mean(name, known))
