"""Recovers a system into a bubble, telling each thing that it has made: killed somewhere on the way by a test.

`python -m tests.integration.recovery_driver SITE OVERLAY TENANT/SYSTEM DRILL DISK`
"""

from __future__ import annotations

import sys
from pathlib import Path

from drills.servers import build_servers, prepare_networks, start_server
from orchestrator.app import App
from orchestrator.cloud.volume_import import import_volume
from policies.plan import Plan
from tests.integration.recovery_tenant import CENTRE


def main(site: str, overlay: str, system: str, drill: str, disk: str) -> None:
    app = App(Path(site), Path(overlay))
    ref = app.system(system)
    plan = Plan.model_validate({"plan": "some-plan", "systems": {system: {}}})
    cloud = app.tenant_cloud(CENTRE, ref.tenant.tenant)
    tell("begun")
    volumes = {}
    for source in ref.system.sources:
        name = f"drill-{drill}-{source}"
        volumes[source] = import_volume(
            cloud, drill, name, Path(disk), on_bytes=lambda done, _, name=name: tell(f"uploaded {name} {done}")
        )
        tell(f"volume {source}")
    stand = prepare_networks(app, ref, plan, centre=CENTRE, drill=drill, run_id=drill, isolated=True)
    tell("networks")
    built = build_servers(app, ref, stand, volumes)
    tell("built")
    for server in ("db", "web"):
        start_server(app, ref, stand, built, server)
        tell(f"started {server}")


def tell(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
