"""A flow that waits for a child, for the tests of cut-off workers, and the command line that knows it. A program."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.engine.port import FlowSpec, Run
from orchestrator.process import Child

LONG_SECONDS = 300


def long(run: Run, program: Any, arguments: Mapping[str, str]) -> str:
    """Wait for a child that lives long; when the file `short` is there, for nothing."""
    run.step("begin", Path(arguments["folder"]).exists)
    run.step("wait", _wait, Path(arguments["folder"]))
    return "waited"


def _wait(folder: Path) -> None:
    if not (folder / "short").exists():
        with Child(["sleep", str(LONG_SECONDS)]) as child:
            (folder / "child").write_text(str(child.pid), encoding="ascii")
            child.wait(LONG_SECONDS)


def _slots(program: Any, arguments: Mapping[str, str]) -> tuple[str, ...]:
    return ("tenant:natural-resources",)


LONG = FlowSpec("long", ("folder",), lambda given: given["folder"], _slots, long)

if __name__ == "__main__":
    from orchestrator import app, cli

    app.FLOWS["long"] = "long_flow:LONG"
    sys.path.insert(0, str(Path(__file__).parent))
    cli.main()
