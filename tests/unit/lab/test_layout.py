import stat
from pathlib import Path
from threading import Thread

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.lab import layout
from orchestrator.lab.layout import Lab, open_lab, remember


def test_every_port_is_distinct_and_within_those_reserved(tmp_path: Path) -> None:
    ports = Lab(tmp_path, 20_000).ports()
    assert len(set(ports.values())) == len(ports)
    assert all(20_000 <= port < 20_100 for port in ports.values())


def test_ports_follow_the_base(tmp_path: Path) -> None:
    low, high = Lab(tmp_path, 15_000).ports(), Lab(tmp_path, 21_000).ports()
    assert {name: port + 6_000 for name, port in low.items()} == high


def test_the_port_base_is_remembered_and_not_changed(tmp_path: Path) -> None:
    remember(open_lab(tmp_path / "lab", 23_000))
    assert open_lab(tmp_path / "lab").port_base == 23_000
    with pytest.raises(InvalidInput, match="23000"):
        open_lab(tmp_path / "lab", 24_000)


@pytest.mark.parametrize("base", [80, 65_500, -1])
def test_a_base_without_room_is_refused(tmp_path: Path, base: int) -> None:
    with pytest.raises(InvalidInput, match="port base"):
        open_lab(tmp_path, base)


@pytest.mark.parametrize("name", ["with space", "per%cent", "quo'te"])
def test_a_folder_that_configuration_files_cannot_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="characters"):
        open_lab(tmp_path / name)


def test_a_secret_is_made_once_and_private(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    secret = lab.secret("x")
    assert lab.secret("x") == secret != lab.secret("y")
    assert len(secret) >= 24
    path = tmp_path / "secrets" / "x"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sorted(each.name for each in path.parent.iterdir()) == ["x", "y"]


def test_two_that_make_a_secret_at_once_get_the_same(tmp_path: Path) -> None:
    seen: list[str] = []
    threads = [Thread(target=lambda: seen.append(layout.random_secret(tmp_path / "s" / "x"))) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(seen) == 16
    assert len(set(seen)) == 1


def test_the_folder_is_found_by_option_then_variable_then_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRICENTER_LAB", str(tmp_path / "named"))
    assert open_lab(tmp_path / "given").folder == tmp_path / "given"
    assert open_lab().folder == tmp_path / "named"
    monkeypatch.delenv("TRICENTER_LAB")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert open_lab().folder == tmp_path / "state" / "tricenter" / "lab"
