"""restic, by its command line: the one place that knows its arguments, its messages and its failures.

The floor is restic 0.14 (Debian 12). Its exit codes do not tell causes apart, a producer that fails into `--stdin`
still makes a snapshot, SIGTERM leaves a lock behind, and a dead server is retried for minutes. Each of these is
answered here, and newer versions, which tell more, are understood as well.
"""

from orchestrator.vault.restic.failures import Damaged, Incomplete, NoRepository
from orchestrator.vault.restic.messages import Node, Progress, Snapshot, Stored
from orchestrator.vault.restic.repository import Repository
from orchestrator.vault.restic.stream import Stream
from orchestrator.vault.restic.written import OnProgress, telling_written

__all__ = [
    "Damaged",
    "Incomplete",
    "NoRepository",
    "Node",
    "OnProgress",
    "Progress",
    "Repository",
    "Snapshot",
    "Stored",
    "Stream",
    "telling_written",
]
