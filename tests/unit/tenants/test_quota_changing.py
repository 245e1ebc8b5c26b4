"""A change of a quota in a tenant's file: nothing else is touched; who may decide; what is not written."""

from __future__ import annotations

import shutil
from difflib import ndiff
from pathlib import Path

import pytest

from orchestrator.catalogue.quota_changes import (
    ask_quota_change,
    decide_quota_change,
    mark_quota_change_applied,
    read_quota_change,
    read_quota_changes,
)
from orchestrator.catalogue.quota_uses import QuotaUse
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import InvalidInput, Refused, UnknownName
from orchestrator.tenants.quota_changing import Change, below_use, plan_change, write_change
from orchestrator.tenants.tenant_text import edited_text, loaded
from policies.load import load_site
from policies.quota_change import Difference, Edits

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"
MORE: Edits = {"compute.cores": 77, "network.ports": "unlimited"}


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(DALIAN, tmp_path / "site")
    return tmp_path / "site"


def planned(folder: Path, tenant: str, edits: Edits, overlay: Path | None = None) -> Change:
    return plan_change(load_site(folder, overlay), folder, overlay, tenant, edits)


@pytest.mark.parametrize("tenant", sorted(each.stem for each in (DALIAN / "tenants").glob("*.yaml")))
def test_every_other_line_of_a_file_stays_as_it_is(folder: Path, tenant: str) -> None:
    change = planned(folder, tenant, MORE)
    told = [line for line in ndiff(change.before.splitlines(), change.text.splitlines()) if line[0] in "+-"]
    assert all(any(word in line for word in ("compute", "network", "quota:")) for line in told), told
    write_change(change)
    limits = {each.limit: each.after for each in change.differing}
    assert limits["compute.cores"] == 77
    assert set(limits.values()) <= {77, -1}
    again = planned(folder, tenant, MORE)
    assert again.made
    assert again.differing == ()
    back = planned(folder, tenant, {"compute.cores": None, "network.ports": None})
    write_change(back)
    assert load_site(folder).tenants[tenant].quota.compute.cores is None


def test_a_class_and_its_multiplier_stand_beside_the_head(folder: Path) -> None:
    change = planned(folder, "civil-affairs", {"quota_class": "medium", "quota_multiplier": 2})
    write_change(change)
    assert "contact: 何琳 0411-0000-1106\nquota_class: medium\nquota_multiplier: 2\n" in change.text
    assert load_site(folder).tenants["civil-affairs"].quota_multiplier == 2
    write_change(planned(folder, "civil-affairs", {"quota_class": None, "quota_multiplier": None}))
    assert (folder / "tenants/civil-affairs.yaml").read_text() == change.before


CORES = {"quota": {"compute": {"cores": 1}}}


@pytest.mark.parametrize(
    ("text", "edits", "becomes"),
    [
        ('{"quota": {"compute": {"cores": 2}}}', {"compute.cores": 1}, CORES),
        ("tenant: t", {"compute.cores": 1}, {"tenant": "t", **CORES}),
        ("quota:\n    compute:\n        cores: 1   # one\nlast: 1\n# end\n", {"compute.cores": None}, {"last": 1}),
        ("quota:\n  compute: {cores: 1}\nlast: 1", {"quota_class": "s"}, {"quota_class": "s", **CORES, "last": 1}),
    ],
)
def test_files_of_other_shapes_are_edited_too(text: str, edits: Edits, becomes: object) -> None:
    made = edited_text(text, edits)
    assert made is not None
    assert loaded(made) == becomes


@pytest.mark.parametrize(
    "text",
    [
        "a: &c {cores: 1}\nquota:\n  compute: *c\n",
        "quota:\n  compute: &c {cores: 1}\n  more: 1\n  network: *c\nlast: 1\n",
    ],
)
def test_what_is_shared_by_an_alias_is_not_edited(text: str) -> None:
    made = edited_text(text, MORE)
    assert (
        made is None or loaded(made) is None or loaded(made)["quota"]["network"] == {"cores": 1, "ports": "unlimited"}
    )


def test_what_the_overlay_says_is_not_edited_below_it(folder: Path) -> None:
    overlay = folder.parent / "overlay.yaml"
    overlay.write_text("tenants: {archives: {quota: {compute: {cores: 3}}}}")
    with pytest.raises(Refused, match="says quota of archives"):
        planned(folder, "archives", MORE, overlay)


def test_a_change_that_the_site_would_not_bear_is_told(folder: Path) -> None:
    change = planned(folder, "archives", {"quota_class": "smal"})
    assert "small" in change.faults[0].hint
    assert planned(folder, "archives", {"quota_multiplier": 3}).faults
    with pytest.raises(InvalidInput, match="no file"):
        plan_change(load_site(folder), folder, None, "nobody", MORE)


def test_a_file_that_somebody_wrote_meanwhile_is_left(folder: Path) -> None:
    change = planned(folder, "archives", MORE)
    change.file.write_text(change.before + "# mine\n")
    with pytest.raises(Refused, match="changed meanwhile"):
        write_change(change)
    assert change.file.read_text().endswith("# mine\n")
    assert [each.name for each in change.file.parent.iterdir() if each.name.startswith(".")] == []


def test_less_than_is_in_use_is_told_with_the_centre() -> None:
    uses = [
        QuotaUse("t", centre, "compute", "cores", used, 40) for centre, used in (("production", 9), ("same-city", 0))
    ]
    assert list(below_use([Difference("compute.cores", 40, 8)], uses)) == [
        "compute.cores: 8 wanted, 9 in use at production"
    ]
    assert list(below_use([Difference("compute.cores", 40, None), Difference("compute.ram", 9, 0)], uses)) == []


def test_two_people_decide_and_the_history_remembers(catalogue: Catalogue) -> None:
    differing = [Difference("compute.cores", 24, 77)]
    first = ask_quota_change(catalogue, "archives", MORE, differing, "li@desk", "扩容")
    with pytest.raises(Refused, match="open change"):
        ask_quota_change(catalogue, "archives", MORE, differing, "zhao@desk", "too")
    with pytest.raises(Refused, match="cannot approve"):
        decide_quota_change(catalogue, first.id, "approved", "li@elsewhere", "")
    with pytest.raises(Refused, match="is asked"):
        mark_quota_change_applied(catalogue, first.id, "wang@desk")
    decide_quota_change(catalogue, first.id, "rejected", "li@desk", "写错了")
    with pytest.raises(Refused, match="rejected already"):
        decide_quota_change(catalogue, first.id, "approved", "wang@desk", "")
    second = ask_quota_change(catalogue, "archives", MORE, differing, "li@desk", "扩容")
    decide_quota_change(catalogue, second.id, "approved", "wang@desk", "同意")
    for _ in range(2):
        mark_quota_change_applied(catalogue, second.id, "wang@desk")
    with pytest.raises(Refused, match="applied already"):
        decide_quota_change(catalogue, second.id, "rejected", "wang@desk", "too late")
    found = read_quota_changes(catalogue, "archives")
    assert {each.id: each.state for each in found} == {first.id: "rejected", second.id: "applied"}
    assert read_quota_change(catalogue, second.id).differences == tuple(differing)
    assert read_quota_changes(catalogue, "archives", ["asked", "approved"]) == []
    with pytest.raises(UnknownName):
        read_quota_change(catalogue, "none")
