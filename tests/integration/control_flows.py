"""Two flows for the tests of server and worker, and the command line that knows them. Run as a program."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.engine.port import FlowSpec, Run

NAP_SECONDS = 0.05


def nap(run: Run, program: Any, arguments: Mapping[str, str]) -> str:
    """Note that it began, nap until the file `go` is there, note the end."""
    folder = Path(arguments["folder"])
    run.step("begin", _note, folder, "begin")
    run.step("nap", _until, run, folder / "go", arguments.get("deep") == "yes")
    run.step("end", _note, folder, "end")
    return "rested"


def ask(run: Run, program: Any, arguments: Mapping[str, str]) -> Any:
    """Wait for an approval, and return it."""
    return run.wait("approval", 60)


def _note(folder: Path, word: str) -> None:
    with (folder / "notes").open("a", encoding="utf-8") as notes:
        notes.write(f"{word}\n")


def _until(run: Run, go: Path, deep: bool) -> None:
    began = time.monotonic()
    while not go.exists():
        time.sleep(NAP_SECONDS)
        if not deep:  # a deep sleeper hears nothing
            run.progress("nap", time.monotonic() - began, 60)


def _slots(program: Any, arguments: Mapping[str, str]) -> tuple[str, ...]:
    return ("tenant:natural-resources",)


NAP = FlowSpec("nap", ("folder", "deep?"), lambda given: given["folder"], _slots, nap)
ASK = FlowSpec("ask", ("folder",), lambda given: given["folder"], _slots, ask)

if __name__ == "__main__":
    from orchestrator import app, cli

    app.FLOWS.update({"nap": "control_flows:NAP", "ask": "control_flows:ASK"})
    sys.path.insert(0, str(Path(__file__).parent))
    cli.main()
