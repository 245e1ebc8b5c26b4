"""Tenants applied: `python -m tests.bench.tenants [--tenants 5] [--peers 2]`. On the lab's real production cloud.

Measured in one run: `tricenter tenant apply` of so many bureaus from nothing, and again with nothing to do; the
`openstack` command, which makes a bureau of the same objects with a call for each; Ansible's openstack.cloud modules.
The peers make fewer bureaus, for they take long; what is compared is the wall time of one bureau. Their programs are
installed into a folder of their own, pinned, the first time. All bureaus are deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from orchestrator.lab import up
from orchestrator.lab.layout import Lab, open_lab
from orchestrator.lab.progress import Progress
from orchestrator.process import run
from tests.integration.tenant_sites import TenantSite, bureau, purge

COMMAND_GOAL, ANSIBLE_GOAL = 10.0, 3.0
PINNED = ("python-openstackclient==8.3.0", "openstacksdk==4.7.1", "ansible==11.13.0")
PEERS = Path(__file__).parent / "peers"
DEADLINE_SECONDS = 3600
TRICENTER = str(Path(sys.executable).with_name("tricenter"))


def cidr(number: int) -> str:
    """Return a network that no other bureau of the bench has."""
    return f"10.{200 + number // 250}.{number % 250}.0/24"


def made_site(folder: Path, lab: Lab, count: int) -> TenantSite:
    """Return a site of so many bureaus, which differ in their names and addresses."""
    site = TenantSite(folder, lab.folder, lab.clouds_file)
    for number in range(count):
        name = f"b-{secrets.token_hex(4)}"
        site.tenants[name] = bureau(name)
        site.tenants[name]["networks"]["office"]["cidr"] = cidr(number)
    site.write()
    return site


def timed(words: list[str], env: Mapping[str, str]) -> float:
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as told:  # Ansible tells on its output what failed
        ended = subprocess.run(words, env={**os.environ, **env}, stdout=told, timeout=DEADLINE_SECONDS, check=False)
        if ended.returncode:
            told.seek(0)
            raise SystemExit(f"{Path(words[0]).name} ended with {ended.returncode}:\n{told.read()[-4000:]}")
    return time.perf_counter() - began


def installed(lab: Lab) -> Path:
    """Return the folder of the peers' programs, installed if they are not there."""
    folder = lab.folder / "bench-peers"
    ready = folder / ".ready"
    if not ready.is_file() or ready.read_text() != " ".join(PINNED):
        run([sys.executable, "-m", "venv", str(folder)], deadline_seconds=120)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *PINNED]
        run(pip, deadline_seconds=DEADLINE_SECONDS)
        ready.write_text(" ".join(PINNED))
    return folder / "bin"


@contextmanager
def deleted_after(lab: Lab, site: TenantSite, names: list[str]) -> Iterator[None]:
    try:
        yield
    finally:
        admin = site.admin("production")
        for each in names:
            purge(admin, each)


def ours(site: TenantSite, env: Mapping[str, str]) -> tuple[float, float]:
    """Return the seconds of an apply of all from nothing, and of another with nothing to do."""
    words = [TRICENTER, *site.arguments, "apply", "--yes", "--centre", "production"]
    return timed(words, env), timed(words, env)


def by_command(names: list[str], programs: Path, env: Mapping[str, str]) -> float:
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    return sum(
        timed(["bash", str(PEERS / "tenant.sh"), name, cidr(100 + number)], {**env, **path})
        for number, name in enumerate(names)
    )


def by_ansible(names: list[str], programs: Path, env: Mapping[str, str], folder: Path) -> float:
    bureaus = [
        {"name": name, "cidr": cidr(200 + number), "password": secrets.token_urlsafe(18)}
        for number, name in enumerate(names)
    ]
    values = folder / "bureaus.json"
    values.write_text(json.dumps({"tenants": bureaus, "auth_url": env["AUTH_URL"]}))
    values.chmod(0o600)
    local = {
        "ANSIBLE_PYTHON_INTERPRETER": str(programs / "python"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_HOME": str(folder / "ansible"),
        "LC_ALL": "C.UTF-8",
    }
    play = [str(programs / "ansible-playbook"), str(PEERS / "tenants.yaml"), "-e", f"@{values}"]
    return timed(play, {**env, **local})


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--tenants", type=int, default=5)
    words.add_argument("--peers", type=int, default=2, help="how many bureaus each peer makes")
    words.add_argument("--rounds", type=int, default=1)
    asked = words.parse_args()
    console, lab = Console(), open_lab()
    up.bring_up(lab, Progress())
    programs = installed(lab)
    clouds = json.loads(lab.clouds_file.read_text())["clouds"]
    env = {
        "OS_CLIENT_CONFIG_FILE": str(lab.clouds_file),
        "OS_CLOUD": "production",
        "AUTH_URL": clouds["production"]["auth"]["auth_url"],
    }
    taken: dict[str, list[float]] = {"tricenter": [], "openstack": [], "ansible": [], "nothing": []}
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            site = made_site(folder, lab, asked.tenants)
            one, other = ([f"b-{secrets.token_hex(4)}" for _ in range(asked.peers)] for _ in range(2))
            with deleted_after(lab, site, [*site.tenants, *one, *other]):
                made, nothing = ours(site, env)
                taken["tricenter"].append(made / asked.tenants)
                taken["nothing"].append(nothing)
                taken["openstack"].append(by_command(one, programs, env) / asked.peers)
                taken["ansible"].append(by_ansible(other, programs, env, folder) / asked.peers)
    show(console, asked.tenants, {kind: min(several) for kind, several in taken.items()})


def show(console: Console, tenants: int, best: Mapping[str, float]) -> None:
    table = Table("", "s per bureau", "ours is faster", "goal")
    table.add_row(f"tricenter tenant apply, {tenants} bureaus", f"{best['tricenter']:.2f}", "", "")
    for peer, goal in (("openstack", COMMAND_GOAL), ("ansible", ANSIBLE_GOAL)):
        table.add_row(peer, f"{best[peer]:.2f}", f"{best[peer] / best['tricenter']:.1f}x", f">= {goal:g}x")
    console.print(table)
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    console.print(f"{load}; again with nothing to do: {best['nothing']:.1f} s")
    for peer, goal in (("openstack", COMMAND_GOAL), ("ansible", ANSIBLE_GOAL)):
        told = "met" if best[peer] >= goal * best["tricenter"] else "MISSED"
        console.print(f"{peer}: {best[peer] / best['tricenter']:.1f}x, goal {goal:g}x: {told}")


if __name__ == "__main__":
    main()
