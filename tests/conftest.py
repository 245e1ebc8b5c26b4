"""What the tests of all rooms share: the lab, brought up once for a session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.lab import daemons, registration, up
from orchestrator.lab.layout import Lab, open_lab
from orchestrator.lab.progress import Progress

#: Tests that several files run, each on its own database: pytest explains their assertions, too.
pytest.register_assert_rewrite("tests.ledger_contract", "tests.migration_contract")


@pytest.hookimpl(tryfirst=True)  # before the plugin that looks for the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, in one of several processes, what shares something made once: the lab, or a module's servers."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("lab" if "lab" in fixtures else item.path.stem))


@dataclass(frozen=True)
class RunningLab:
    """The lab as tests see it: both clouds, both vaults and PostgreSQL run."""

    lab: Lab

    @property
    def dir(self) -> Path:
        return self.lab.folder

    @property
    def clouds_file(self) -> Path:
        return self.lab.clouds_file

    def register(self, site_folder: Path) -> Path:
        """Return the overlay that points the site in `site_folder` at this lab."""
        return registration.register(self.lab, site_folder)


@pytest.fixture(scope="session")
def lab() -> Iterator[RunningLab]:
    """The lab of TRICENTER_LAB, or the default one. One that ran before the session still runs after it."""
    if os.geteuid() != 0:
        pytest.fail("the lab needs root")
    place, progress = open_lab(), Progress()
    ran_before = bool(daemons.marked(place))
    up.bring_up(place, progress)
    yield RunningLab(place)
    if not ran_before:
        up.take_down(place, progress)
