"""`tricenter` whose metrics follow the catalogue at once: for tests that cannot wait for the pace that spares a city.

python -m tests.integration.quick_serve WORDS…
"""

from __future__ import annotations

from exporters import collector
from orchestrator.cli import main

collector.BOARD_EVERY = collector.COUNTS_EVERY = 0.2
collector.SHARE = 0.5

if __name__ == "__main__":
    main()
