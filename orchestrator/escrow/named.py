"""The secrets that a site names, wherever its models have one: found by the type of the field and not by a list.

So a secret that a later field brings is in the next bundle without anybody thinking of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

from policies.site import Site
from policies.values import SECRET_PATTERN

TENANT = "{tenant}"
Trail = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """A place in the site that names a secret. With `tenant`, the secret is that tenant's."""

    at: Trail
    reference: str
    tenant: str | None

    @property
    def file(self) -> str:
        """Where the secret stands in a bundle."""
        place = "secrets/" + ".".join(self.at)
        return f"{place}/{self.tenant}" if TENANT in self.reference else place

    @property
    def rescued(self) -> str:
        """How the place is written once the secret stands in a bundle's folder."""
        place = "secrets/" + ".".join(self.at)
        return f"{place}/{TENANT}" if TENANT in self.reference else place


def named_secrets(site: Site) -> list[Named]:
    """Return every secret of the site, one for each tenant where it is a tenant's. Pure."""
    found = []
    for at, reference in _walk(site, ()):
        if TENANT in reference:
            tenants = [at[1]] if at[0] == "tenants" else sorted(site.tenants)
            found += [Named(at, reference, each) for each in tenants]
        else:
            found.append(Named(at, reference, None))
    return found


def _walk(value: Any, at: Trail) -> Iterator[tuple[Trail, str]]:
    if isinstance(value, BaseModel):
        secret = _secret_fields(type(value))
        for name in type(value).model_fields:
            child = getattr(value, name)
            if name in secret and isinstance(child, str):
                yield (*at, name), child
            else:
                yield from _walk(child, (*at, name))
    elif isinstance(value, Mapping):
        for name, child in value.items():
            yield from _walk(child, (*at, str(name)))
    elif isinstance(value, tuple | list):
        for number, child in enumerate(value):
            yield from _walk(child, (*at, str(number)))


@cache
def _secret_fields(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(
        name for name, field in model.model_fields.items() if _is_secret(field.metadata) or _is_secret(field.annotation)
    )


def _is_secret(form: Any) -> bool:
    """Whether a type, or what is noted beside it, has the pattern of a reference to a secret."""
    if isinstance(form, list | tuple):
        return any(_is_secret(each) for each in form)
    if getattr(form, "pattern", None) == SECRET_PATTERN:
        return True
    return _is_secret(getattr(form, "metadata", ())) or _is_secret(get_args(form))
