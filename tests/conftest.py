"""What the tests of all rooms share: the lab, brought up once for a session."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from orchestrator.lab import daemons, registration, up
from orchestrator.lab.layout import Lab, open_lab
from orchestrator.lab.progress import Progress

_TOLD = pytest.StashKey[list[str]]()

#: Tests that several files run, each on its own database: pytest explains their assertions, too.
pytest.register_assert_rewrite("tests.ledger_contract", "tests.migration_contract", "tests.attack_contract")

# A busy neighbour is no failure.
settings.register_profile("shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared-machine")

# As the program does at its start: who is started by `… &` in a script ignores SIGINT, and so would all its children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


#: Modules that take minutes, the longest first. They begin first: one that began last would run alone in the end.
LONG = ("test_crash_matrix", "test_sandbox", "test_switch", "test_expire", "test_workers", "test_restic")


@pytest.hookimpl(tryfirst=True)  # before the plugin that looks for the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, in one of several processes, what shares something made once: a module's site and servers."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(item.path.stem))


#: What tests have to show in the end. Each of several processes hands its own to the one that prints.
TOLD = "told"


@pytest.fixture(scope="session")
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Show a text at the end of all tests, whatever captures their output."""
    output = getattr(request.config, "workeroutput", None)
    told: list[str] = request.config.stash.setdefault(_TOLD, []) if output is None else output.setdefault(TOLD, [])
    return told.append


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash.setdefault(_TOLD, []).extend(getattr(node, "workeroutput", {}).get(TOLD, []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for each in config.stash.get(_TOLD, []):
        terminalreporter.write_line(each)


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
    """The lab of TRICENTER_LAB, or the default one. One that ran before the session still runs after it.

    Several processes may share one that runs, as `tests/integration/run` has them do.
    """
    if os.geteuid() != 0:
        pytest.fail("the lab needs root")
    place, progress = open_lab(), Progress()
    ran_before = bool(daemons.marked(place))
    up.bring_up(place, progress)
    yield RunningLab(place)
    if not ran_before:
        up.take_down(place, progress)
