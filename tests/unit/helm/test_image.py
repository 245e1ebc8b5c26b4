"""The image: everything in it is pinned, it has what the program calls, and it is what the chart starts."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.unit.helm.matrix import ROOT
from tests.unit.helm.test_values import LEAVES

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
#: Debian's packages that the code names are sometimes others of this release.
SAME = {
    "postgresql-client": "postgresql-client-15",
    "postgresql": "postgresql-15",
    "mariadb-server": "mariadb-server-core",
}


def of_setup(name: str) -> Any:
    """Return an argument of the call of setup()."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (call,) = [
        each for each in ast.walk(tree) if isinstance(each, ast.Call) and getattr(each.func, "id", "") == "setup"
    ]
    (value,) = [each.value for each in call.keywords if each.arg == name]
    return ast.literal_eval(value)


def required() -> list[str]:
    return [*of_setup("install_requires"), *of_setup("extras_require")["postgres"]]


def locked() -> dict[str, Version]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", LOCK, re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in found}


@pytest.mark.parametrize("line", required())
def test_lock_has_what_the_program_requires(line: str) -> None:
    requirement = Requirement(line)
    assert locked()[canonicalize_name(requirement.name)] in requirement.specifier


def test_every_locked_package_has_its_hashes() -> None:
    blocks = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(locked()) > 40
    assert all("--hash=sha256:" in each for each in blocks)
    assert "--require-hashes" in DOCKERFILE


def test_base_is_pinned_by_its_digest() -> None:
    (base,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"\S+:bookworm-\d{8}-slim@sha256:[0-9a-f]{64}", base)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}"}


def programs() -> set[str]:
    """Return the Debian packages that the code tells people to install."""
    rooms = [*(ROOT / "orchestrator").rglob("*.py"), *(ROOT / "drills").rglob("*.py")]
    text = "\n".join(each.read_text(encoding="utf-8") for each in rooms if "lab" not in each.parts)
    named = re.findall(r'package="([a-z0-9-]+)"|apt-get install ([a-z-]+)"', text)
    return {SAME.get(name, name) for each in named for name in each if name}


def test_image_has_every_program_that_is_called() -> None:
    final = DOCKERFILE.rpartition("FROM ")[2]
    installed = set(re.findall(r"[a-z0-9.+-]+", final[final.index("apt-get install") : final.index("rm -rf")]))
    assert {"restic", "pgbackrest", "mariadb-client"} <= programs()
    assert programs() <= installed
    assert {"qemu-utils", "fonts-noto-cjk", "tini", "ca-certificates"} <= installed


def test_image_starts_the_program_as_the_user_that_the_chart_names() -> None:
    user, group = LEAVES["runAsUser"]["default"], LEAVES["runAsGroup"]["default"]
    assert f"\nUSER {user}:{group}\n" in DOCKERFILE
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)
    assert json.loads(entry) == ["/usr/bin/tini", "--", "tricenter"]


def test_every_package_of_ours_is_copied_and_let_through() -> None:
    folders = {each.name for each in ROOT.iterdir() if (each / "__init__.py").exists() and each.name != "tests"}
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert folders == {"policies", "orchestrator", "drills", "exporters"}
    for name in [*folders, "setup.py", "pyproject.toml", "README.md", "requirements.lock"]:
        assert re.search(rf"^COPY .*\b{re.escape(name)}\b", DOCKERFILE, re.MULTILINE), name
        assert f"!{name}" in ignore
    assert "*" in ignore
