"""A volume put beside, swapped, undone, committed, and its servers sealed: in a real cloud, as a member."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.backups.document import SourceProof
from orchestrator.backups.places import Back, place_from, place_of
from orchestrator.backups.places.volume import VolumePlace
from orchestrator.backups.restore_elsewhere import NewVolume, restore_volume
from orchestrator.backups.restore_folder import Restored
from orchestrator.backups.seal import prove_sealed, seal, unseal
from orchestrator.catalogue.records import SourceCopy
from orchestrator.cloud import block_storage, bubble, compute, standby, sweep
from orchestrator.cloud.compute import NewServer
from orchestrator.cloud.volume_import import import_volume
from orchestrator.errors import CheckFailed, Refused
from orchestrator.process import Child
from orchestrator.scratch.folder import make_scratch
from orchestrator.vault.restic import Repository
from tests.integration.recovery_tenant import CENTRE, CIDR, FLAVOR, Bureau, disk, make_bureau, remove_bureau

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def bureau(lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    made = make_bureau(tmp_path_factory.mktemp("site"), lab, alone=True)
    yield made
    remove_bureau(made)


class Images:
    """A repository that holds one disk image."""

    def __init__(self, image: Path) -> None:
        self._image = image

    @contextmanager
    def open_file(self, snapshot_id: str, path: str, *, stdout: int | None = None) -> Iterator[Child]:
        del snapshot_id, path, stdout
        with Child(["cat", str(self._image)]) as child:
            yield child


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disk(tmp_path_factory.mktemp("disk") / "disk.raw")


@pytest.fixture
def proof(image: Path) -> SourceProof:
    facts = {"size_bytes": image.stat().st_size, "sha256": hashlib.sha256(image.read_bytes()).hexdigest()}
    return SourceProof(SourceCopy("front", "volume", "a" * 64, datetime.now(UTC), image.stat().st_size, 1), facts)


@pytest.fixture
def standing(bureau: Bureau, image: Path) -> Iterator[str]:
    """The id of the volume that stands in the place; the mark of who made it sweeps it away."""
    owner = f"20261123T070000Z-{secrets.token_hex(4)}"
    yield import_volume(bureau.cloud, owner, "registry-front", image)
    sweep.delete_bubble(bureau.cloud, owner)


@pytest.fixture
def run(bureau: Bureau) -> Iterator[str]:
    name = f"20261123T080000Z-{secrets.token_hex(4)}"
    yield name
    sweep.delete_bubble(bureau.cloud, name)


def names(bureau: Bureau) -> dict[str, str]:
    return {each.name: each.id for each in block_storage.volumes(bureau.cloud)}


def put(place: VolumePlace, bureau: Bureau, run: str, image: Path, proof: SourceProof, root: Path) -> Path:
    scratch = make_scratch(root, run, 0)
    place.put(bureau.app, run, cast(Repository, Images(image)), proof, scratch)
    return scratch


def test_put_swap_undo_and_commit(
    bureau: Bureau, standing: str, run: str, image: Path, proof: SourceProof, tmp_path: Path
) -> None:
    place = place_of(bureau.ref, CENTRE, "front")
    assert isinstance(place, VolumePlace)
    assert place_from(place.as_argument()) == place
    scratch = put(place, bureau, run, image, proof, tmp_path)
    assert place.data(bureau.app, run, scratch).read_bytes() == image.read_bytes()
    new = place.volume_id(bureau.app, run)
    assert names(bureau) == {"registry-front": standing, f"registry-front.new-{run}": new}
    with pytest.raises(CheckFailed, match="nothing was swapped"):
        place.commit(bureau.app, run)
    for _ in range(2):
        assert place.swap(bureau.app, run).before == f"registry-front.before-{run}"
        assert names(bureau) == {"registry-front": new, f"registry-front.before-{run}": standing}
        assert place.volume_id(bureau.app, run) == new
    assert place.undo(bureau.app, run) is Back.BACK
    assert names(bureau) == {"registry-front": standing}
    assert place.undo(bureau.app, run) is Back.NOTHING

    put(place, bureau, run, image, proof, tmp_path)
    place.drop(bureau.app, run)
    assert names(bureau) == {"registry-front": standing}

    put(place, bureau, run, image, proof, tmp_path)
    place.swap(bureau.app, run)
    new = place.volume_id(bureau.app, run)
    place.commit(bureau.app, run)
    place.commit(bureau.app, run)
    assert names(bureau) == {"registry-front": new}


def test_a_restore_into_a_new_volume_takes_no_name_that_is_taken_and_goes_on_after_a_crash(
    bureau: Bureau, standing: str, run: str, image: Path, proof: SourceProof, tmp_path: Path, monkeypatch: Any
) -> None:
    repository, heard = cast(Repository, Images(image)), []

    def restore(name: str) -> Restored:
        def on_bytes(*told: object) -> None:
            heard.append(told)

        new = NewVolume(CENTRE, bureau.name, name)
        return restore_volume(bureau.app, new, run, repository, proof, on_bytes, root=tmp_path / "restores")

    with pytest.raises(Refused, match="nothing was restored"):
        restore("registry-front")
    assert names(bureau) == {"registry-front": standing}

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(VolumePlace, "commit", die)
        with pytest.raises(KeyboardInterrupt):
            restore("given-back")
    done = restore("given-back")
    assert done.proved
    assert names(bureau).keys() == {"registry-front", "given-back"}
    assert heard[-1] == ("front", image.stat().st_size, image.stat().st_size)
    assert not any((tmp_path / "restores").iterdir())
    with pytest.raises(Refused, match="nothing was restored"):
        restore("given-back")


def test_the_servers_of_a_sealed_volume_are_off_and_only_those_that_ran_start_again(
    bureau: Bureau, standing: str, run: str
) -> None:
    cloud = bureau.cloud
    own: bubble.Segment = standby.find_networks(cloud, {"office": CIDR}, "tenant", CENTRE)["office"]
    port = standby.ensure_standby_port(cloud, run, "web", own, "10.77.1.20", ())
    server = compute.request_server(cloud, NewServer("web", FLAVOR, (standing,), (port.id,)), run)
    compute.await_active(cloud, server)
    for _ in range(2):
        sealed = seal(bureau.app, bureau.ref, CENTRE, "front", run)
        assert sealed.facts["stopped"] == ["web"]
        found = compute.get_server(cloud, server)
        assert found is not None
        assert found.status == "SHUTOFF"
    assert prove_sealed(bureau.app, bureau.ref, CENTRE, sealed).proved
    place = place_of(bureau.ref, CENTRE, "front").as_argument()
    unseal(bureau.app, place, "another-run")
    assert prove_sealed(bureau.app, bureau.ref, CENTRE, sealed).proved
    unseal(bureau.app, place, run)
    unseal(bureau.app, place, run)
    assert prove_sealed(bureau.app, bureau.ref, CENTRE, sealed).faults == ("server web is not off",)
    found = compute.get_server(cloud, server)
    assert found is not None
    assert "tricenter-sealed" not in found.metadata
    compute.stop_server(cloud, server)
    assert seal(bureau.app, bureau.ref, CENTRE, "front", run).facts["stopped"] == []
    unseal(bureau.app, place, run)
    assert prove_sealed(bureau.app, bureau.ref, CENTRE, sealed).proved
