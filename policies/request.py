"""A bureau's request (入云申请) for a place on the cloud: what its form holds, and the tenant that it becomes. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from policies.quota import Quota
from policies.tenant import Cidr, Member, Secret
from policies.values import Misfit, MisfitError, Model, Name, Text, Whole, Words

UNIT_CODE_LENGTH = 18
#: GB 32100-2015: the digits of a unit code, and the weight of each of its first seventeen places.
UNIT_CODE_DIGITS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
UNIT_CODE_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
PHONE_PATTERN = r"^\+?[0-9][0-9 ()-]{4,24}[0-9]$"

#: Where a source of a kind stands, as one cell of a form says it.
PLACES = {
    "path": re.compile(r"(?P<path>/.*)"),
    "volume": re.compile(r"(?P<volume>.+)"),
    "server": re.compile(r"(?P<server>.+)"),
    "cloud": re.compile(r""),
    "postgresql": re.compile(r"(?P<user>[^@/:]+)@(?P<host>[^@/:]+)(:(?P<port>\d{1,5}))?/(?P<database>[^@/]+)"),
    "mysql": re.compile(r"(?P<user>[^@/:]+)@(?P<host>[^@/:]+)(:(?P<port>\d{1,5}))?/(?P<database>[^@/]+)"),
    "bucket": re.compile(r"(?P<endpoint>https?://[^/\s@]+)/(?P<bucket>[^/\s]+)"),
}
PLACES_WANTED = {
    "path": "an absolute path such as /srv/files",
    "volume": "the name of a volume",
    "server": "the name of a server",
    "cloud": "nothing: the definition of the whole project is taken",
    "postgresql": "USER@HOST/DATABASE or USER@HOST:PORT/DATABASE, without a password",
    "mysql": "USER@HOST/DATABASE or USER@HOST:PORT/DATABASE, without a password",
    "bucket": "https://ENDPOINT/BUCKET",
}


def check_digit(code: str) -> str:
    """Return the last digit of the unit code (统一社会信用代码) that begins with these 17 places. Pure.

    Raises ValueError for a digit that no code has: I, O, S, V and Z among them.
    """
    total = sum(UNIT_CODE_DIGITS.index(each) * weight for each, weight in zip(code, UNIT_CODE_WEIGHTS, strict=True))
    return UNIT_CODE_DIGITS[-total % 31]


def _unit_code(value: str) -> str:
    code = value.strip().upper()
    if len(code) != UNIT_CODE_LENGTH or set(code) - set(UNIT_CODE_DIGITS):
        want = "18 digits and capital letters without I, O, S, V and Z (GB 32100-2015)"
        raise MisfitError([Misfit((), value, want)])
    if check_digit(code[:-1]) != code[-1]:
        want = "a unit code whose check digit fits (GB 32100-2015)"
        raise MisfitError([Misfit((), value, want, "校验位不符，其中有一位写错 one place of it is mistyped")])
    return code


#: 统一社会信用代码.
UnitCode = Annotated[str, AfterValidator(_unit_code)]


class RequestedSource(Model):
    """One part of a system: what it is, and where it stands."""

    kind: Literal["path", "postgresql", "mysql", "volume", "server", "bucket", "cloud"]
    place: str = Field("", description="a path, a name, USER@HOST/DATABASE or https://ENDPOINT/BUCKET, by the kind")

    @model_validator(mode="after")
    def _place_fits_the_kind(self) -> Self:
        if not PLACES[self.kind].fullmatch(self.place):
            got = repr(self.place) if self.place else "nothing"
            raise MisfitError([Misfit(("place",), got, f"{PLACES_WANTED[self.kind]} (kind {self.kind})")])
        return self

    def as_source(self, secret: str) -> dict[str, Any]:
        """Return the source as a tenant's file writes it; what opens it lies in the site's file `secret`."""
        found = PLACES[self.kind].fullmatch(self.place)
        assert found is not None  # the model has seen to it
        given: dict[str, Any] = {name: value for name, value in found.groupdict().items() if value is not None}
        if "port" in given:
            given["port"] = int(given["port"])
        if self.kind in ("postgresql", "mysql"):
            given["password"] = f"file:{secret}.password"
        if self.kind == "bucket":
            given["credential"] = f"file:{secret}.json"
        return {"kind": self.kind, **given}


class RequestedSystem(Model):
    title: Text
    tier: Name = Field(description="a tier of the site: data-backup, same-city-dr, remote-dr, or another")
    mlps_level: Whole = Field(ge=1, le=4, description="等保 level of the system")
    secret: Secret = False
    sources: dict[Name, RequestedSource] = Field(min_length=1)


class RequestedNetwork(Model):
    """Addresses by themselves, or how many: then the next free ones of the zone are given."""

    zone: Name
    cidr: Cidr | None = None
    prefix: Whole | None = Field(None, ge=16, le=29, description="24: the next free 256 addresses of the zone")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.cidr is None) == (self.prefix is None):
            got = "neither addresses nor a prefix length" if self.cidr is None else "addresses and a prefix length"
            raise MisfitError([Misfit(("cidr",), got, "one of both")])
        return self


class Request(Model):
    """What a bureau asks for. Holds no secret."""

    tenant: Name = Field(description="the name that projects, buckets and files will have")
    title: Text
    unit_code: UnitCode = Field(description="统一社会信用代码 (GB 32100-2015)")
    contact: Words
    phone: Annotated[str, Field(pattern=PHONE_PATTERN)]
    secret: Secret = False
    quota_class: Name | None = None
    quota_multiplier: Whole = Field(1, ge=1, le=1000)
    quota: Quota = Quota()
    members: dict[Name, Member] = Field(default_factory=dict)
    networks: dict[Name, RequestedNetwork] = Field(min_length=1)
    systems: dict[Name, RequestedSystem] = Field(min_length=1)

    def as_tenant(self) -> dict[str, Any]:
        """Return the tenant's file. Every network must have its addresses by now: see `request_checks.check`."""
        made: dict[str, Any] = {
            "tenant": self.tenant,
            "title": self.title.model_dump(),
            "unit_code": self.unit_code,
            "mlps_level": max(each.mlps_level for each in self.systems.values()),
            "contact": f"{self.contact} {self.phone}",
        }
        if self.quota_class:
            made |= {"quota_class": self.quota_class, "quota_multiplier": self.quota_multiplier}
        if quota := self.quota.model_dump(mode="json", exclude_none=True):
            made["quota"] = {service: limits for service, limits in quota.items() if limits}
        if self.members:
            made["members"] = {
                name: each.model_dump(mode="json", exclude_none=True) for name, each in self.members.items()
            }
        made["networks"] = {name: {"zone": each.zone, "cidr": str(each.cidr)} for name, each in self.networks.items()}
        made["systems"] = {name: self._as_system(name, each) for name, each in self.systems.items()}
        return made

    def _as_system(self, name: str, system: RequestedSystem) -> dict[str, Any]:
        sources = {
            source: each.as_source(f"secrets/{self.tenant}.{name}.{source}") for source, each in system.sources.items()
        }
        return {"title": system.title.model_dump(), "tier": system.tier, "sources": sources}
