"""Links between zones: nothing without an approval, and only between networks that are there and of different zones."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.load import check_site

NETWORKS = """\
networks:
  ward: {zone: public, cidr: 10.1.0.0/24}
  lab: {zone: public, cidr: 10.1.1.0/24}
  core: {zone: private, cidr: 10.2.0.0/24}
"""
ZONES = """\
zones:
  private: {title: {zh: 专用, en: Private}, kind: private}
"""


@pytest.fixture
def zoned_site(site_folder: Path) -> Path:
    site, tenant = site_folder / "site.yaml", site_folder / "tenants" / "health.yaml"
    site.write_text(site.read_text("utf-8").replace("zones:\n", ZONES), "utf-8")
    text = tenant.read_text("utf-8")
    tenant.write_text(text.replace("networks:\n  ward: {zone: public, cidr: 10.1.0.0/24}\n", NETWORKS), "utf-8")
    assert check_site(site_folder).findings == ()
    return site_folder


def faults(folder: Path, *links: str) -> list[tuple[str, str]]:
    tenant = folder / "tenants" / "health.yaml"
    written = "".join(f"  - {each}\n" for each in links)
    tenant.write_text(f"{tenant.read_text('utf-8')}zone_links:\n{written}", "utf-8")
    return [(each.path.removeprefix("tenants[health].zone_links"), each.got) for each in check_site(folder).findings]


def test_an_approved_link_of_two_zones_is_right(zoned_site):
    assert faults(zoned_site, "{between: [ward, core], approval: 市数据局-2026-017}") == []


@pytest.mark.parametrize(
    ("link", "wanted"),
    [
        ("{between: [ward, core]}", ("[0].approval", "nothing")),
        ("{between: [ward, core], approval: ' '}", ("[0].approval", "' '")),
        ("{between: [ward, cor], approval: A-1}", ("[0].between[1]", "cor")),
        ("{between: [ward, lab], approval: A-1}", ("[0].between", "ward and lab, both of the zone public")),
        ("{between: [ward, ward], approval: A-1}", ("[0].between", "ward and ward, both of the zone public")),
    ],
)
def test_what_is_wrong_with_a_link_is_a_fault(zoned_site, link, wanted):
    assert faults(zoned_site, link) == [wanted]


@pytest.mark.parametrize("ends", ["[ward]", "[ward, core, lab]"])
def test_a_link_has_two_ends(zoned_site, ends):
    found = faults(zoned_site, f"{{between: {ends}, approval: A-1}}")
    assert len(found) == 1
    assert found[0][0].startswith("[0].between")


def test_a_pair_is_linked_once(zoned_site):
    links = ("{between: [ward, core], approval: A-1}", "{between: [core, ward], approval: A-2}")
    assert faults(zoned_site, *links) == [("[1].between", "core and ward a second time")]
