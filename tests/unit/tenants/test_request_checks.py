"""Requests: unit codes, forms, and checks that name every fault where it is written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.catalogue.requests import read_requests, submit_requests
from orchestrator.catalogue.store import Catalogue
from orchestrator.tenants.request_form import SYSTEMS, UNITS, write_form
from orchestrator.tenants.request_writing import plan_writing, write_tenants
from orchestrator.tenants.requesting import Read, faults_with, read_and_check
from policies.load import load_site
from policies.request import UNIT_CODE_DIGITS, Request, check_digit
from policies.request_checks import check, taken_of
from tests.unit.tenants.request_bureaus import filled, member, system, unit, unit_code

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"
SITE = load_site(DALIAN)


def looked(*files: Path, folder: Path = DALIAN) -> Read:
    return read_and_check(files, load_site(folder), (), folder, None)


@pytest.mark.parametrize("code", ["91110108551385082Q", "91440300708461136T"])
def test_unit_codes_that_are_in_use_have_the_check_digit_that_is_computed(code: str) -> None:
    assert check_digit(code[:-1]) == code[-1]


@given(
    st.text(UNIT_CODE_DIGITS, min_size=17, max_size=17),
    st.integers(0, 16),
    st.sampled_from(UNIT_CODE_DIGITS),
)
def test_one_mistyped_place_of_a_unit_code_is_always_found(body: str, place: int, digit: str) -> None:
    wrong = body[:place] + digit + body[place + 1 :]
    assert (check_digit(wrong) == check_digit(body)) is (wrong == body)


def test_a_filled_form_fits_and_gets_the_next_free_addresses(tmp_path: Path) -> None:
    rows = [system("water"), system("water", source=None, kind="volume", place="data")]
    form = filled(tmp_path / "form.xlsx", SITE, [unit("water", 1)], rows, [member("water")])
    read = looked(form)
    assert read.faults == ()
    (judged,) = read.judged
    assert judged.request is not None
    tenant = judged.request.as_tenant()
    assert tenant["contact"] == "李四 0411-8888-1234"
    assert tenant["unit_code"] == unit_code(1)
    assert set(tenant["systems"]["files"]["sources"]) == {"tree", "volume"}
    cidr = judged.request.networks["business"].cidr
    assert cidr is not None
    assert cidr.prefixlen == 29
    others = [network.cidr for each in SITE.tenants.values() for network in each.networks.values()]
    assert not any(cidr.overlaps(each) for each in others)


def test_every_fault_is_told_at_once_with_its_cell(tmp_path: Path) -> None:
    bad = unit("water", 1, unit_code=unit_code(1)[:-1] + "!", phone="none", secret="是")
    rows = [system("water", tier="nope", mlps_level=9, kind="volume", place=None), system("nobody")]
    form = filled(tmp_path / "form.xlsx", SITE, [bad], rows, [member("water", role="king")])
    told = "\n".join(map(str, looked(form).faults))
    for cell in ("units!D4", "units!F4", "units!G4", "systems!F4", "systems!J4", "systems!A5", "members!D4"):
        assert cell in told
    assert "政务内网" in told


def test_faults_with_the_site_are_told_with_their_cell(tmp_path: Path) -> None:
    taken = next(iter(SITE.tenants.values()))
    network = next(iter(taken.networks.values()))
    rows = [
        unit("water", 1, addresses=str(network.cidr), prefix=None, quota_class="nope"),
        unit(taken.tenant, 2, zone="moon"),
        unit("twin", 1),
    ]
    systems = [system("water", tier="nope"), system(taken.tenant), system("twin")]
    told = [str(each) for each in looked(filled(tmp_path / "f.xlsx", SITE, rows, systems, [])).faults]
    for wanted in ("units!I4", "units!K4", "units!A5", "units!H5", "units!D6", "systems!E4"):
        assert any(wanted in each for each in told), (wanted, told)
    assert f"which the tenant {taken.tenant} has" in "\n".join(told)


def test_a_system_above_the_platforms_level_is_refused() -> None:
    site = SITE.model_copy(update={"mlps_level": 2})
    asked = _request(mlps_level=3)
    assert [each.at for each in check(asked, site, taken_of(site))[1]] == [("systems", "files", "mlps_level")]
    assert check(asked, SITE, taken_of(SITE))[1] == []


def test_a_tier_whose_centres_have_no_vault_is_not_feasible() -> None:
    centres = {**SITE.centres, "provincial": SITE.centres["provincial"].model_copy(update={"vault": None})}
    site = SITE.model_copy(update={"centres": centres})
    (misfit,) = check(_request(), site, taken_of(site))[1]
    assert misfit.at == ("systems", "files", "tier")
    assert "provincial has none" in misfit.want


def test_addresses_of_open_requests_are_given_to_nobody_else() -> None:
    first, _ = check(_request(), SITE, taken_of(SITE))
    second, _ = check(_request(), SITE, taken_of(SITE, [("a request", first)]))
    assert first.networks["business"].cidr != second.networks["business"].cidr


def test_what_the_site_itself_finds_is_told_of_the_request(tmp_path: Path) -> None:
    form = filled(tmp_path / "f.xlsx", SITE, [unit("water", 1)], [system("water", place="/srv/../x")], [])
    read = looked(form)
    found = faults_with({"water": {"tenant": "water"}}, DALIAN, None)
    assert any(each.path.startswith("tenants[water]") for each in found)
    assert not (DALIAN / "tenants" / "water.yaml").exists()
    assert len(read.judged) == 1


def test_what_is_no_form_is_told_and_keeps_nothing_else_from_being_read(tmp_path: Path) -> None:
    (tmp_path / "bad.xlsx").write_text("not a spreadsheet")
    book = openpyxl.Workbook()
    book.save(tmp_path / "other.xlsx")
    filled(tmp_path / "good.xlsx", SITE, [unit("water", 1)], [system("water")], [])
    (tmp_path / "yaml.yaml").write_text("tenant: fire\n")
    read = looked(tmp_path)
    assert [each.name for each in read.judged if each.sound] == ["water"]
    told = "\n".join(map(str, read.faults))
    for wanted in ("bad.xlsx", "no such sheet", "request[fire].unit_code"):
        assert wanted in told


def test_the_form_explains_itself_and_offers_what_the_site_has(tmp_path: Path) -> None:
    write_form(tmp_path / "form.xlsx", SITE)
    book = openpyxl.load_workbook(tmp_path / "form.xlsx")
    rules = {str(rule.sqref): rule.formula1 for rule in book[SYSTEMS.name].data_validations.dataValidation}
    assert rules["E4:E500"] == '"' + ",".join(sorted(SITE.tiers)) + '"'
    assert book[UNITS.name]["D1"].value == "统一社会信用代码\nunit_code"
    with pytest.raises(FileExistsError):
        write_form(tmp_path / "form.xlsx", SITE)


def test_two_hundred_bureaus_at_once_are_checked_stored_and_written_together(tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(DALIAN, site)
    text = (site / "site.yaml").read_text()
    (site / "site.yaml").write_text(text.replace("10.210.2.0/23,", "10.210.2.0/23, 10.211.0.0/16,", 1))
    names = [f"bureau-{number:03d}" for number in range(200)]
    units = [unit(name, number) for number, name in enumerate(names)]
    units[7]["unit_code"] = units[8]["unit_code"][:-1] + "!"
    form = filled(tmp_path / "f.xlsx", SITE, units, [system(name) for name in names], [member(name) for name in names])
    read = looked(form, folder=site)
    assert {each.name for each in read.judged if not each.sound} == {"bureau-007"}
    sound = [each.request for each in read.judged if each.sound and each.request]
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    submit_requests(catalogue, [each.model_dump(mode="json", exclude_none=True) for each in sound], "li@desk")
    stored = {each.tenant: Request.model_validate(dict(each.document)) for each in read_requests(catalogue)}
    plan = plan_writing(stored, site, None)
    assert (len(plan.fresh), dict(plan.wrong)) == (199, {})
    write_tenants(plan.fresh, site, None)
    assert len(load_site(site).tenants) == len(SITE.tenants) + 199


def _request(**changes: Any) -> Request:
    return Request.model_validate(
        {
            "tenant": "water",
            "title": {"zh": "水务局", "en": "Water"},
            "unit_code": unit_code(1),
            "contact": "李四",
            "phone": "0411-8888-1234",
            "networks": {"business": {"zone": "public", "prefix": 28}},
            "systems": {
                "files": {
                    "title": {"zh": "文件", "en": "Files"},
                    "tier": "remote-dr",
                    "mlps_level": 2,
                    "sources": {"tree": {"kind": "path", "place": "/srv/files"}},
                    **changes,
                }
            },
        }
    )
