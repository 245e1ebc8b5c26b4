"""The table of all alerts in docs/monitoring.md.

python -m exporters.rules.table docs/monitoring.md
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from exporters.rules.write import alerts

BEGIN, END = "<!-- alerts: python -m exporters.rules.table docs/monitoring.md -->\n", "<!-- end of alerts -->"
HEAD = "| 告警 Alert | 级别 Severity | 含义 Meaning |\n|---|---|---|\n"


def table() -> str:
    """Return the rows: each alert with its runbook, and what it says of a system, a plan or a centre."""
    rows = (
        f"| [{each.name}](runbooks/{each.runbook}.md) | {each.severity} | {_plain(each.description)} |\n"
        for each in alerts()
    )
    return HEAD + "".join(rows)


def with_table(text: str) -> str:
    """Return the text of the document with the table between its marks."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def _plain(text: str) -> str:
    """Return a template's text with an ellipsis where Prometheus writes a value."""
    return re.sub(r"\{\{.*?\}\}", "…", text)


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(with_table(document.read_text(encoding="utf-8")), encoding="utf-8")
