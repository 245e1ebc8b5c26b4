"""Nova's libvirt driver with guests that boot, on one machine without Open vSwitch, NFS mounts or sudo.

* A port comes bound as a tap (see anybind), which goes into the Linux bridge of its network. A bridge has no address
  and no uplink: two networks with the same addresses do not know of each other, and the machine is in neither.
* Volumes are the plain files of Cinder's driver (see volumes): nothing is mounted.
* QEMU carries the lab's mark in its environment, which finds it when everything else was lost.
"""

import copy
import fcntl
import os
from contextlib import contextmanager
from pathlib import Path

import nova.conf
from lxml import etree
from nova.virt import netutils
from nova.virt.libvirt import driver, vif
from nova.virt.libvirt.volume import nfs
from oslo_concurrency import processutils

from tricenter_lab import readiness

CONF = nova.conf.CONF
PREFIX = os.environ.get("TRICENTER_LAB_LINKS", "")
LOCK = os.environ.get("TRICENTER_LAB_LINKS_LOCK", "")
GUEST_MARK = os.environ.get("TRICENTER_LAB_GUEST", "")
NETWORK_CARDS = Path("/sys/class/net")
BRIDGE = ("type", "bridge", "forward_delay", "0", "stp_state", "0", "mcast_snooping", "0")
QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"


def _ip(*words):
    processutils.execute("ip", *words)


def _short(identity):
    return identity.replace("-", "")[:8]


@contextmanager
def _links():
    """Hold the lab's bridges: what puts something into one, and what removes empty ones, must not meet."""
    with Path(LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class BridgeVif(vif.LibvirtGenericVIFDriver):
    def get_vif_devname(self, vif):
        return f"{PREFIX}t{_short(vif['id'])}"

    def plug_tap(self, instance, vif):
        super().plug_tap(instance, vif)
        bridge, tap = f"{PREFIX}b{_short(vif['network']['id'])}", self.get_vif_devname(vif)
        with _links():
            if not (NETWORK_CARDS / bridge).exists():
                _ip("link", "add", bridge, *BRIDGE)
            for device, more in ((bridge, ()), (tap, ("master", bridge))):
                # No IPv6 address of the machine on the tenant's network. In one request it would come up first.
                _ip("link", "set", device, "addrgenmode", "none")
                _ip("link", "set", device, *more, "up")

    def unplug_tap(self, instance, vif):
        super().unplug_tap(instance, vif)
        with _links():
            for bridge in NETWORK_CARDS.glob(f"{PREFIX}b*"):
                if not any((bridge / "brif").iterdir()):
                    _ip("link", "del", bridge.name)


class FileVolumes(nfs.LibvirtNFSVolumeDriver):
    def connect_volume(self, connection_info, instance):
        connection_info["data"]["device_path"] = self._get_device_path(connection_info)

    def disconnect_volume(self, connection_info, instance, force=False):
        pass


def _with_addresses(describe):
    """Let the configuration drive name the address where it would say DHCP: nobody in the lab serves that."""

    def described(vif, subnet, *args):
        static = copy.deepcopy(subnet)
        for key in ("dhcp_server", "enable_dhcp"):
            static["meta"].pop(key, None)
        return describe(vif, static, *args)

    return described


netutils._get_nets = _with_addresses(netutils._get_nets)
driver.VOLUME_DRIVERS["nfs"] = f"{__name__}.FileVolumes"


class GuestDriver(driver.LibvirtDriver):
    def __init__(self, virtapi, read_only=False):
        super().__init__(virtapi, read_only)
        self.vif_driver = BridgeVif(self._host)
        # The machine's own name may change between two starts of the lab, and Nova would refuse to start.
        self._host.get_hostname = lambda: CONF.host

    def update_provider_tree(self, *args, **kwargs):
        super().update_provider_tree(*args, **kwargs)
        readiness.announce()

    def _get_guest_xml(self, *args, **kwargs):
        domain = etree.fromstring(super()._get_guest_xml(*args, **kwargs))
        command = etree.SubElement(domain, f"{{{QEMU}}}commandline", nsmap={"qemu": QEMU})
        name, _, value = GUEST_MARK.partition("=")
        etree.SubElement(command, f"{{{QEMU}}}env", name=name, value=value)
        return etree.tostring(domain, pretty_print=True, encoding="unicode")
