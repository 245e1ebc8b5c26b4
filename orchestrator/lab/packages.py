"""What the lab needs installed: Debian packages, and OpenStack from PyPI in a virtual environment of the lab's own."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from orchestrator import process
from orchestrator.errors import InvalidInput
from orchestrator.lab import daemons
from orchestrator.lab.layout import Lab
from orchestrator.secrets import write_private

DEBIAN = ("mariadb-server", "rabbitmq-server", "qemu-utils", "postgresql", "restic", "bind9")
#: For the hosts whose guests boot: the hypervisor, what builds their disks, and what ties them to networks.
DEBIAN_GUESTS = (
    "qemu-system-x86", "libvirt-daemon", "libvirt-daemon-driver-qemu", "python3-libvirt", "genisoimage",
    "busybox-static", "iproute2", "e2fsprogs", "libdevmapper1.02.1",
)  # fmt: skip
#: Fetched and unpacked for the guest image; none of them is installed on this machine.
UNPACKED = ("linux-image-cloud-amd64", "grub-common", "grub-pc-bin")
APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300", "-q", "-y")
APT_SECONDS = 900.0
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = "#!/bin/sh\n# written by tricenter lab up while it installs packages\nexit 101\n"
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
    missing = [package for package in (*DEBIAN, *DEBIAN_GUESTS) if not _installed(package)]
    if not missing:
        return
    daemons.await_end(lab, "apt", seconds=APT_SECONDS)  # dpkg goes on when the apt above it was killed
    with _no_services():
        for argv in (
            ["dpkg", "--force-confdef", "--configure", "-a"],  # what an interrupted run left half-made
            [*APT, "update"],
            [*APT, "install", "--no-install-recommends", *missing],
        ):
            daemons.run(lab, "apt", argv, seconds=APT_SECONDS, env={"DEBIAN_FRONTEND": "noninteractive"})


def download_debian(lab: Lab) -> None:
    """Fetch the packages that the guest image is made of, unless they are here. May be repeated."""
    if downloaded(lab):
        return
    folder = lab.folder / "packages"
    draft = folder.with_name("packages.draft")
    for each in (folder, draft):
        shutil.rmtree(each, ignore_errors=True)
    draft.mkdir()
    if not _known(UNPACKED[0]):
        daemons.run(lab, "apt", [*APT, "update"], seconds=APT_SECONDS)
    names = [_newest_kernel(), *UNPACKED[1:]]
    # As root: apt's own user cannot write here, and would only say so.
    argv = [*APT, "-o", "APT::Sandbox::User=root", "download", *names]
    daemons.run(lab, "apt-download", argv, seconds=APT_SECONDS, cwd=draft)
    draft.rename(folder)


def downloaded(lab: Lab) -> list[Path]:
    """Return the packages that `download_debian` has fetched."""
    return sorted((lab.folder / "packages").glob("*.deb"))


def _known(package: str) -> bool:
    return bool(process.run(["apt-cache", "madison", package], deadline_seconds=60, check=False).stdout)


def _newest_kernel() -> str:
    """Return the package that the name without a version stands for now."""
    shown = process.run(["apt-cache", "depends", UNPACKED[0]], deadline_seconds=60).stdout
    return next(line.split()[-1] for line in shown.splitlines() if "Depends:" in line)


def _installed(package: str) -> bool:
    argv = ["dpkg-query", "--show", "--showformat", "${Status}", package]
    return process.run(argv, deadline_seconds=30, check=False).stdout == "install ok installed"


@contextmanager
def _no_services() -> Iterator[None]:
    """Keep the packages' scripts from starting services; a policy that the machine has already is left alone."""
    ours = not POLICY.exists() or POLICY.read_text(encoding="utf-8") == POLICY_TEXT
    if ours:
        POLICY.write_text(POLICY_TEXT, encoding="utf-8")
        POLICY.chmod(0o755)
    try:
        yield
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
        python = str(lab.venv / "bin" / "python")
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-deps"]
        options = ["--no-compile", "--progress-bar", "off", "-r", str(lock_file())]
        daemons.run(lab, "pip", [*pip, *options], seconds=1200, env=_pip_environment())
        # pip compiles on one processor, and the packages' own tests too, which are a third of it all
        compile_all = [python, "-m", "compileall", "-q", "-j", "0", "-x", "/tests/", str(_packages_folder(lab))]
        daemons.run(lab, "pip", compile_all, seconds=600)
        write_private(base, _locked())
    _install_drivers(lab)
    write_private(mark, wanted())


def _pip_environment() -> dict[str, str]:
    """Return the settings of pip and of a proxy that this machine has, which a child does not inherit otherwise."""
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "REQUESTS_CA_BUNDLE")
    return {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name in names}


def _packages_folder(lab: Lab) -> Path:
    return next((lab.venv / "lib").glob("python3*")) / "site-packages"


def _install_drivers(lab: Lab) -> None:
    """Lay our package and its entry points into the environment by hand: there is nothing to build."""
    site = _packages_folder(lab)
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
    for name, driver in (("tricenter_lab", "compute.FakeDriver"), ("tricenter_lab_guests", "guests.GuestDriver")):
        module, _, class_name = driver.partition(".")
        (site / "nova" / "virt" / f"{name}.py").write_text(
            f"from tricenter_lab.{module} import {class_name}  # noqa: F401\n", encoding="utf-8"
        )


def link_libvirt(lab: Lab) -> None:
    """Let the lab's Python see Debian's binding of libvirt, which is built for the same Python. May be repeated."""
    for source in sorted(Path("/usr/lib/python3/dist-packages").glob("libvirt*")):
        if source.suffix in (".py", ".so"):
            target = _packages_folder(lab) / source.name
            if not target.is_symlink():
                target.symlink_to(source)


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
