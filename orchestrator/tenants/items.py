"""The things that make up a tenant at one centre: the same types say what is wanted and what was seen.

An item is known by its noun and name. Its other fields are its values; the planner compares them field by field, and
None means "leave it as it is". Descriptions stand here without the mark: the cloud room adds and removes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar

from orchestrator.cloud.security import AUTOMATIC, Rule

Value = str | int | bool | tuple[str, ...] | None

#: How an item is found again: its noun and its name.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of a tenant. Subclasses say how the planner may treat it."""

    name: str

    noun: ClassVar[str]
    #: An object of the same name that Tricenter did not create is a conflict. Links and settings have no owner.
    owned: ClassVar[bool] = True
    #: Links that Tricenter made are taken away when the site no longer wants them.
    removable: ClassVar[bool] = False
    #: Objects that Tricenter made are destroyed when the site no longer wants them and a person has allowed it.
    destroyable: ClassVar[bool] = False
    #: Values that cannot be changed once the object is there.
    fixed: ClassVar[frozenset[str]] = frozenset()
    #: Values that may be larger than wanted, and are never made smaller.
    at_least: ClassVar[frozenset[str]] = frozenset()

    @property
    def key(self) -> Key:
        return (self.noun, self.name)

    @property
    def within(self) -> Key | None:
        """The item that this one is a part of, for parts that make no sense to take out of something unknown."""
        return None

    @property
    def comes_with(self) -> Key | None:
        """The item that the service makes this one with, for parts that need no creating of their own then."""
        return None

    def values(self) -> dict[str, Value]:
        """Return what is compared and shown: every field but the name."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "name"}


@dataclass(frozen=True, slots=True)
class Domain(Item):
    noun = "domain"
    description: str
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Project(Item):
    """`labels` are its tags of the unit's code, the 等保 level and the contact; None leaves them as they are."""

    noun = "project"
    description: str
    enabled: bool = True
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Quota(Item):
    """The limits of one service; the name is the service. Limits that are not named are left alone."""

    noun = "quota"
    owned = False
    limits: Mapping[str, int]
    #: Where each wanted limit is written, for readers; it is no value.
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    def values(self) -> dict[str, Value]:
        return dict(self.limits)


@dataclass(frozen=True, slots=True)
class Access(Item):
    """What is not for everybody and the project may use: these, and no others. The name is the kind: `flavors`."""

    noun = "access"
    owned = False
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group(Item):
    noun = "group"
    destroyable = True
    description: str


@dataclass(frozen=True, slots=True)
class User(Item):
    noun = "user"
    destroyable = True
    description: str
    email: str | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Role(Item):
    """A role on the tenant's project that a user or group holds; named `user zhang: member`."""

    noun = "role"
    owned = False
    removable = True
    holder: str
    holder_name: str
    role: str

    def values(self) -> dict[str, Value]:
        return {}


@dataclass(frozen=True, slots=True)
class Membership(Item):
    """A user's place in a group; named `zhang in land-members`."""

    noun = "membership"
    owned = False
    removable = True
    user: str
    group: str

    def values(self) -> dict[str, Value]:
        return {}


@dataclass(frozen=True, slots=True)
class KeyPair(Item):
    """A public key of a member; named `zhang: laptop`. Those that people add themselves are theirs."""

    noun = "key pair"
    owned = False
    user: str
    label: str
    public_key: str

    def values(self) -> dict[str, Value]:
        return {"public_key": self.public_key}


@dataclass(frozen=True, slots=True)
class Credential(Item):
    """The application credential of the tenant's service user. Worth nothing without the file of its secret."""

    noun = "application credential"
    user: str
    role: str
    secret_file: str = "present"  # noqa: S105  # a state, not a secret

    def values(self) -> dict[str, Value]:
        return {"secret_file": self.secret_file}


@dataclass(frozen=True, slots=True)
class Network(Item):
    noun = "network"
    destroyable = True
    description: str
    tag: bool = True


@dataclass(frozen=True, slots=True)
class Share(Item):
    """Another tenant's leave to use a network; named `office with land`. Gone when the site no longer says so."""

    noun = "share"
    owned = False
    removable = True
    network: str
    tenant: str

    @property
    def within(self) -> Key | None:
        return (Network.noun, self.network)

    def values(self) -> dict[str, Value]:
        return {}


@dataclass(frozen=True, slots=True)
class Subnet(Item):
    noun = "subnet"
    destroyable = True
    fixed = frozenset({"cidr", "network"})
    network: str
    cidr: str
    dns: tuple[str, ...]
    description: str
    tag: bool = True


@dataclass(frozen=True, slots=True)
class Router(Item):
    """`external_network` None leaves the gateway as it is."""

    noun = "router"
    destroyable = True
    description: str
    external_network: str | None
    tag: bool = True


@dataclass(frozen=True, slots=True)
class Interface(Item):
    """A router's foot in a subnet; named `business on office`."""

    noun = "router interface"
    owned = False
    destroyable = True
    subnet: str
    router: str

    def values(self) -> dict[str, Value]:
        return {}


@dataclass(frozen=True, slots=True)
class LinkInterface(Item):
    """The foot of a link between zones; named `office on link-office.portal`. Gone when the approval is."""

    noun = "link interface"
    owned = False
    removable = True
    subnet: str
    router: str

    def values(self) -> dict[str, Value]:
        return {}


@dataclass(frozen=True, slots=True)
class LinkRoute(Item):
    """What a zone's router knows of the network behind a link; named `10.2.0.0/24 on office by link-office.portal`.

    `next_hop` is Neutron's choice: it is known of what was seen. Links are removed by noun, this one before its foot.
    """

    noun = "extra route"
    owned = False
    removable = True
    destination: str
    router: str
    link: str
    subnet: str
    next_hop: str | None = None

    def values(self) -> dict[str, Value]:
        return {}


@dataclass(frozen=True, slots=True)
class SecurityGroup(Item):
    """`open_egress` False: the rules that Neutron adds to a new group, and that let everything leave, are unwanted."""

    noun = "security group"
    destroyable = True
    description: str
    open_egress: bool = True
    tag: bool = True

    def values(self) -> dict[str, Value]:
        return {"description": self.description, "tag": self.tag}


@dataclass(frozen=True, slots=True)
class SecurityRule(Item):
    """One rule of a group; named `web: ingress tcp 443 from 10.0.0.0/8`."""

    noun = "security rule"
    owned = False
    removable = True
    group: str
    rule: Rule

    @property
    def within(self) -> Key | None:
        return (SecurityGroup.noun, self.group)

    @property
    def comes_with(self) -> Key | None:
        return self.within if self.rule in AUTOMATIC else None

    def values(self) -> dict[str, Value]:
        return {}


@dataclass(frozen=True, slots=True)
class Bucket(Item):
    """The tenant's bucket in the vault of the centre."""

    noun = "bucket"
    owned = False
    at_least = frozenset({"lock_days", "kept_days"})
    versioning: bool
    lock: str | None
    lock_days: int
    #: For how long what is hidden is kept; 0: for ever.
    kept_days: int


@dataclass(frozen=True, slots=True)
class Seen:
    """An item as it was found: its id there, and whether Tricenter created it.

    `inside` is the id of what it stands in: a subnet's network, an interface's subnet. What a drill made is `passing`:
    the drill takes it away itself. `called` is its name there, when somebody has given it another one.
    """

    id: str
    ours: bool
    item: Item
    inside: str = ""
    passing: bool = False
    called: str = ""


#: What was found of a tenant at a centre. Neutron allows one name twice, so there may be several of a key.
Observed = Mapping[Key, tuple[Seen, ...]]
