"""Cinder's NFS driver on plain local folders: real raw and qcow2 files, nothing mounted.

Volumes that the fake compute driver has "attached" are written by nobody, so their snapshots are made as for a
detached volume. A volume on a host whose guests boot is in use by QEMU: Nova takes its snapshots.
"""

from pathlib import Path

from cinder.volume.drivers import nfs

from tricenter_lab import is_guest_host


class FileDriver(nfs.NfsDriver):
    def _ensure_share_mounted(self, nfs_share):
        Path(self._get_mount_point_for_share(nfs_share)).mkdir(parents=True, exist_ok=True)

    def _is_volume_attached(self, volume):
        return any(is_guest_host(each.attached_host) for each in volume.volume_attachment)
