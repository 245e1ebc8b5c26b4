from pathlib import Path

import pytest

from orchestrator.lab import snapshot, vaults
from orchestrator.lab.layout import Lab, remember


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    place = Lab(tmp_path / "lab", 30_000)
    remember(place)
    return place


def fill(lab: Lab) -> None:
    (lab.openstack_data / "mysql").mkdir(parents=True)
    (lab.openstack_data / "mysql" / "table").write_text("rows")
    lab.cloud_data("production").mkdir(parents=True)
    (lab.cloud_data("production") / "ready").touch()


def test_wiped_data_comes_back_from_the_snapshot(lab: Lab) -> None:
    fill(lab)
    snapshot.take(lab)
    assert snapshot.path(lab).stat().st_mode & 0o777 == 0o600
    snapshot.wipe(lab)
    assert not lab.data.exists()
    remember(lab)
    assert snapshot.restore(lab)
    assert (lab.openstack_data / "mysql" / "table").read_text() == "rows"
    assert (lab.cloud_data("production") / "ready").exists()
    assert [each.name for each in lab.folder.glob("data*")] == ["data"]


def test_data_that_is_there_is_never_written_over(lab: Lab) -> None:
    fill(lab)
    snapshot.take(lab)
    (lab.openstack_data / "mysql" / "table").write_text("newer rows")
    assert not snapshot.restore(lab)
    assert (lab.openstack_data / "mysql" / "table").read_text() == "newer rows"


def test_a_restore_that_was_killed_half_way_is_done_anew(lab: Lab) -> None:
    fill(lab)
    snapshot.take(lab)
    snapshot.wipe(lab)
    remember(lab)
    (lab.data / "openstack.draft" / "mysql").mkdir(parents=True)
    (lab.data / "openstack.draft" / "mysql" / "torn").touch()
    assert snapshot.restore(lab)
    assert [each.name for each in (lab.openstack_data / "mysql").iterdir()] == ["table"]


def test_a_snapshot_serves_only_the_lab_it_was_made_of(lab: Lab, tmp_path: Path) -> None:
    other_port, other_folder = Lab(lab.folder, 31_000), Lab(tmp_path / "lab-2", 30_000)
    names = {snapshot.path(each).name for each in (lab, other_port, other_folder)}
    assert len(names) == 3
    (lab.folder / "secrets" / "openstack.password").unlink()
    assert snapshot.path(lab).name not in names


def test_an_unchanged_list_of_identities_is_not_written_again(lab: Lab) -> None:
    vaults.prepare_vault(lab, "provincial")
    assert not vaults.write_identities(lab, "provincial", [])
    access = vaults.TenantAccess("city.bureau", vaults.credential(lab.folder / "secrets" / "b.json"), "dr-bureau")
    assert vaults.write_identities(lab, "provincial", [access])
    assert not vaults.write_identities(lab, "provincial", [access])
