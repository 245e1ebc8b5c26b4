"""Probes: what must hold after a recovery. The proofs of the sources, and what a plan asks beside them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from policies.values import Model, Name, SecretRef, Span, Text, Whole, Words

PORT = Field(ge=1, le=65535)


class ManifestProbe(Model):
    """Every restored file has the size and SHA-256 that the source had at backup time."""

    kind: Literal["manifest"] = "manifest"
    source: Name


class FingerprintProbe(Model):
    """Every restored table has the row count and digest that it had in the dump's own transaction."""

    kind: Literal["fingerprint"] = "fingerprint"
    source: Name


class ImageProbe(Model):
    """The restored volume has the size and SHA-256 of the bytes that were read at backup time."""

    kind: Literal["image"] = "image"
    source: Name


class ObjectsProbe(Model):
    """Every restored object has the size, SHA-256, content type and metadata that it was read with at backup time."""

    kind: Literal["objects"] = "objects"
    source: Name


class DefinitionProbe(Model):
    """The restored definition of the tenant's cloud, or of a server, is the one read at backup time, byte for byte."""

    kind: Literal["definition"] = "definition"
    source: Name


class SqlProbe(Model):
    """A query on the restored database answers what is expected (compared as text)."""

    kind: Literal["sql"]
    source: Name
    query: Words = Field(description="one SELECT that answers one value")
    expect: str = Field(description="the answer as text, in quotes: '0'")


class TcpProbe(Model):
    """A server accepts connections at a port."""

    kind: Literal["tcp"]
    server: Name
    port: Annotated[Whole, PORT]
    within: Span | None = Field(None, description="asked again until it holds or this is over; the step's time if not")


class HttpProbe(Model):
    """A server answers a GET with the status that is expected, and with the text."""

    kind: Literal["http"]
    server: Name
    port: Annotated[Whole, PORT] = 80
    tls: bool = Field(False, description="HTTPS; the certificate is not checked: names and clocks differ in a drill")
    path: str = Field("/", pattern=r"^/")
    status: Whole = Field(200, ge=100, le=599)
    contains: str = Field("", description="text that must stand in the answer's body")
    within: Span | None = None


class ServerSqlProbe(Model):
    """A database inside a server (PostgreSQL) answers a query with what is expected (compared as text)."""

    kind: Literal["server-sql"]
    server: Name
    port: Annotated[Whole, PORT] = 5432
    database: Words
    user: Words
    password: SecretRef | None = None
    query: Words
    expect: str
    within: Span | None = None


class CommandProbe(Model):
    """A command ends with the status that is expected. It sees TRICENTER_ADDRESS_<SERVER> of every server."""

    kind: Literal["command"]
    command: tuple[Words, ...] = Field(min_length=1, description="program and arguments; no shell")
    status: Whole = Field(0, ge=0, le=255)
    contains: str = Field("", description="text that must stand in what it prints")
    timeout: Span | None = None


class Figure(Model):
    """One value of one recovered system."""

    system: str = Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$", description="TENANT/SYSTEM, one of the plan's")
    source: Name = Field(description="a postgresql or mysql source of it")
    query: Words = Field(description="one SELECT that answers one value")


class Reconciliation(Model):
    """Two systems agree with each other after recovery: their figures are equal (compared as text)."""

    title: Text | None = None
    left: Figure
    right: Figure


Proof = ManifestProbe | FingerprintProbe | ImageProbe | ObjectsProbe | DefinitionProbe
DataProbe = Proof | SqlProbe
ServerProbe = TcpProbe | HttpProbe | ServerSqlProbe
Probe = Annotated[DataProbe | ServerProbe | CommandProbe, Field(discriminator="kind")]

#: The probe that every source of a kind gets, whether a plan names it or not.
PROOF_OF_KIND: dict[str, type[Proof]] = {
    "path": ManifestProbe,
    "postgresql": FingerprintProbe,
    "mysql": FingerprintProbe,
    "volume": ImageProbe,
    "server": DefinitionProbe,
    "bucket": ObjectsProbe,
    "cloud": DefinitionProbe,
}
