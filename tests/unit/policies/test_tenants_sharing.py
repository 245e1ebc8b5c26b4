"""Networks shared with other tenants, and public keys: what of them a site may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.load import check_site

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ4r5mYqNdhY1T2Tq0uSx0Xq8n3mXyHk0w2QeB7m1aF"


def faults(folder: Path, written: str, becomes: str) -> list[tuple[str, str]]:
    tenant = folder / "tenants" / "health.yaml"
    text = tenant.read_text("utf-8")
    assert written in text
    tenant.write_text(text.replace(written, becomes), "utf-8")
    return [(each.path.removeprefix("tenants[health]."), each.got) for each in check_site(folder).findings]


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ("[nobody]", [("networks.ward.shared_with[0]", "nobody")]),
        ("[health]", [("networks.ward.shared_with[0]", "health itself")]),
        ("[health, health]", [("networks.ward.shared_with[0]", "health itself"),
                              ("networks.ward.shared_with[1]", "health itself"),
                              ("networks.ward.shared_with[1]", "health a second time")]),
    ],
)  # fmt: skip
def test_a_network_is_shared_with_other_tenants_of_the_site(
    site_folder: Path, names: str, wanted: list[tuple[str, str]]
) -> None:
    assert faults(site_folder, "cidr: 10.1.0.0/24}", f"cidr: 10.1.0.0/24, shared_with: {names}}}") == wanted


@pytest.mark.parametrize(
    ("key", "right"), [(KEY, True), (f"{KEY} li@desk", True), ("ssh-dss AAAA", False), ("x", False)]
)
def test_a_key_is_a_public_key(site_folder: Path, key: str, right: bool) -> None:
    members = f"members:\n  keyed: {{name: 李, key_pairs: {{laptop: '{key}'}}}}\nnetworks:"
    assert (faults(site_folder, "networks:", members) == []) is right
