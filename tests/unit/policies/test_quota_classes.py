"""Quota classes: what a tenant's limits come to, and what of them a site may not say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.load import check_site
from policies.quota import Quota, QuotaClass
from policies.quota_classes import UNLIMITED, Limit, effective

CORES = ("compute", "cores")
amounts = st.none() | st.sampled_from([UNLIMITED, 0]) | st.integers(1, 10_000)
times = st.integers(1, 1000)


def quota_of(cores: int | None) -> Quota:
    return Quota.model_validate({"compute": {"cores": cores}})


def class_of(cores: int | None, inherits: str | None = None, multiplier: int = 1) -> QuotaClass:
    return QuotaClass.model_validate({"compute": {"cores": cores}, "inherits": inherits, "multiplier": multiplier})


def test_a_tenant_has_its_class_so_many_times_and_its_own_limits_over_it():
    classes = {
        "small": QuotaClass.model_validate(
            {"compute": {"instances": 12, "cores": 48}, "block_storage": {"gigabytes": "unlimited", "backups": 0}}
        ),
        "medium": QuotaClass.model_validate({"inherits": "small", "multiplier": 2, "compute": {"cores": 128}}),
    }
    own = Quota.model_validate({"compute": {"instances": 80}, "network": {"routers": 2}})
    assert effective(classes, own, "medium", 3) == {
        ("compute", "instances"): Limit(80),
        ("compute", "cores"): Limit(384, "medium", 3),
        ("block_storage", "gigabytes"): Limit(UNLIMITED, "small", 6),
        ("block_storage", "backups"): Limit(0, "small", 6),
        ("network", "routers"): Limit(2),
    }
    assert effective(classes, own, "medium", 3)["block_storage", "backups"].origin == "class small × 6"
    assert effective(classes, own, None, 1).keys() == {("compute", "instances"), ("network", "routers")}


@given(base=amounts, own=amounts, tenant=amounts, inner=times, outer=times)
def test_unset_zero_and_unlimited_stay_three_things(base, own, tenant, inner, outer):
    classes = {"base": class_of(base), "own": class_of(own, "base", inner)}
    found = effective(classes, quota_of(tenant), "own", outer).get(CORES)
    if tenant is not None:
        assert found == Limit(tenant)
        return
    written, factor = (own, outer) if own is not None else (base, inner * outer)
    if written is None:
        assert found is None
    else:
        assert found is not None
        assert found.amount == (UNLIMITED if written == UNLIMITED else written * factor)


@given(amount=amounts, factors=st.lists(times, max_size=6))
def test_a_line_of_classes_multiplies_what_the_first_says(amount, factors):
    classes = {"c0": class_of(amount)}
    for number, factor in enumerate(factors, 1):
        classes[f"c{number}"] = class_of(None, f"c{number - 1}", factor)
    product = 1
    for factor in factors:
        product *= factor
    found = effective(classes, Quota(), f"c{len(factors)}", 1)
    wanted = {} if amount is None else {CORES: amount if amount in (0, UNLIMITED) else amount * product}
    assert {key: each.amount for key, each in found.items()} == wanted


def test_a_class_that_inherits_from_itself_does_not_hang():
    with pytest.raises(KeyError, match="inherits from itself"):
        effective({"one": class_of(1, "two"), "two": class_of(1, "one")}, Quota(), "one", 1)


CLASSES = """\
quota_classes:
  small: {compute: {cores: 4}}
  medium:
    inherits: smal
  one:
    inherits: two
  two:
    inherits: one
  alone:
    multiplier: 3
"""


def test_names_circles_and_empty_multiplications_are_faults_at_their_lines(site_folder: Path):
    site, tenant = site_folder / "site.yaml", site_folder / "tenants" / "health.yaml"
    before, own = len(site.read_text("utf-8").splitlines()), len(tenant.read_text("utf-8").splitlines())
    site.write_text(site.read_text("utf-8") + CLASSES, "utf-8")
    tenant.write_text(tenant.read_text("utf-8") + "quota_class: medum\n", "utf-8")
    found = [(each.file.name, each.line, each.path, each.got, each.hint) for each in check_site(site_folder).findings]
    assert found == [
        ("site.yaml", before + 4, "quota_classes.medium.inherits", "smal", "did you mean small?"),
        ("site.yaml", before + 6, "quota_classes.one.inherits", "one → two → one", ""),
        (
            "site.yaml",
            before + 10,
            "quota_classes.alone.multiplier",
            "3 times nothing",
            "limits written here are taken as they are",
        ),
        ("health.yaml", own + 1, "tenants[health].quota_class", "medum", "did you mean medium?"),
    ]


def test_a_multiplier_without_a_class_is_a_fault(site_folder: Path):
    tenant = site_folder / "tenants" / "health.yaml"
    tenant.write_text(tenant.read_text("utf-8") + "quota_multiplier: 2\n", "utf-8")
    (found,) = check_site(site_folder).findings
    assert (found.path, found.severity) == ("tenants[health].quota_multiplier", "fault")
