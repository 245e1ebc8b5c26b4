"""Requests from submission to the site's files: who may decide, what is written, and what is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orchestrator.catalogue.requests import (
    decide_request,
    mark_applied,
    mark_handed_over,
    read_request,
    read_requests,
    submit_requests,
)
from orchestrator.catalogue.store import Catalogue
from orchestrator.errors import InvalidInput, Refused, UnknownName
from orchestrator.tenants import request_writing
from orchestrator.tenants.request_writing import plan_writing, write_tenants
from orchestrator.tenants.requesting import read_and_check
from policies.load import load_site
from policies.request import Request
from tests.unit.tenants.request_bureaus import filled, system, unit

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(DALIAN, tmp_path / "site")
    return tmp_path / "site"


def asked(tmp_path: Path, folder: Path, *names: str) -> dict[str, Request]:
    units = [unit(name, number) for number, name in enumerate(names)]
    form = filled(tmp_path / f"{'-'.join(names)}.xlsx", None, units, [system(name) for name in names], [])
    read = read_and_check([form], load_site(folder), (), folder, None)
    assert read.faults == ()
    return {each.name: each.request for each in read.judged if each.request}


def test_who_submits_does_not_decide_and_nothing_is_decided_twice(
    catalogue: Catalogue, tmp_path: Path, folder: Path
) -> None:
    documents = [each.model_dump(mode="json", exclude_none=True) for each in asked(tmp_path, folder, "water").values()]
    (made,) = submit_requests(catalogue, documents, "li@desk")
    assert Request.model_validate(dict(read_request(catalogue, made.id).document)).tenant == "water"
    with pytest.raises(Refused, match="cannot decide"):
        decide_request(catalogue, made.id, "approved", "li@elsewhere", "")
    with pytest.raises(Refused, match="is asked"):
        mark_applied(catalogue, made.id, "wang@desk")
    with pytest.raises(Refused, match="asked for already"):
        submit_requests(catalogue, documents, "zhao@desk")
    assert decide_request(catalogue, made.id, "approved", "wang@desk", "ok").state == "approved"
    with pytest.raises(Refused, match="approved already"):
        decide_request(catalogue, made.id, "rejected", "wang@desk", "no")
    mark_applied(catalogue, made.id, "wang@desk")
    mark_applied(catalogue, made.id, "wang@desk")
    mark_handed_over(catalogue, made.id, "wang@desk", ["lisi"])
    with pytest.raises(Refused, match="was handed over"):
        mark_handed_over(catalogue, made.id, "wang@desk", ["lisi"])
    with pytest.raises(UnknownName):
        read_request(catalogue, "nope")
    assert [each.state for each in read_requests(catalogue)] == ["applied"]
    assert read_requests(catalogue, ["asked"]) == []


def test_a_rejected_request_leaves_its_name_free(catalogue: Catalogue, tmp_path: Path, folder: Path) -> None:
    documents = [each.model_dump(mode="json") for each in asked(tmp_path, folder, "water").values()]
    (made,) = submit_requests(catalogue, documents, "li@desk")
    decide_request(catalogue, made.id, "rejected", "wang@desk", "too large")
    assert submit_requests(catalogue, documents, "li@desk")[0].id != made.id


def test_files_are_written_once_and_never_over_another(tmp_path: Path, folder: Path) -> None:
    requests = asked(tmp_path, folder, "water", "fire")
    plan = plan_writing(requests, folder, None)
    assert set(plan.fresh) == {"water", "fire"}
    write_tenants(plan.fresh, folder, None)
    assert {"water", "fire"} < set(load_site(folder).tenants)
    again = plan_writing(requests, folder, None)
    assert (dict(again.fresh), again.there, dict(again.wrong)) == ({}, ("water", "fire"), {})
    (folder / "tenants" / "fire.yaml").write_text("tenant: fire\n")
    changed = plan_writing(requests, folder, None)
    assert list(changed.wrong) == ["fire"]
    with pytest.raises(Refused, match="there already"):
        write_tenants({"fire": plan.fresh["fire"]}, folder, None)
    assert (folder / "tenants" / "fire.yaml").read_text() == "tenant: fire\n"


def test_what_does_not_fit_the_site_is_named_and_the_rest_is_written(tmp_path: Path, folder: Path) -> None:
    requests = asked(tmp_path, folder, "water", "fire")
    wrong = requests["fire"].networks["business"].model_copy(update={"cidr": None, "prefix": None, "zone": "moon"})
    requests["fire"] = requests["fire"].model_copy(update={"networks": {"business": wrong}})
    plan = plan_writing(requests, folder, None)
    assert (list(plan.fresh), list(plan.wrong)) == (["water"], ["fire"])
    assert "moon" in plan.wrong["fire"]


def test_a_fault_takes_back_what_was_written(tmp_path: Path, folder: Path) -> None:
    before = sorted((folder / "tenants").iterdir())
    good = plan_writing(asked(tmp_path, folder, "water"), folder, None).fresh["water"]
    with pytest.raises(InvalidInput, match="not valid"):
        write_tenants({"water": good, "fire": "tenant: fire\n"}, folder, None)
    assert sorted((folder / "tenants").iterdir()) == before


def test_a_kill_between_two_files_is_gone_on_from(tmp_path: Path, folder: Path) -> None:
    requests = asked(tmp_path, folder, "water", "fire")
    plan = plan_writing(requests, folder, None)
    request_writing._write_new(folder / "tenants" / "water.yaml", plan.fresh["water"])
    again = plan_writing(requests, folder, None)
    assert (list(again.fresh), again.there) == (["fire"], ("water",))
    write_tenants(again.fresh, folder, None)
    assert {"water", "fire"} < set(load_site(folder).tenants)
