"""Cinder's NFS driver on plain local folders: real raw and qcow2 files, nothing mounted.

Volumes that the fake compute driver has "attached" are written by nobody, so their snapshots are made as for a
detached volume.
"""

from pathlib import Path

from cinder.volume.drivers import nfs


class FileDriver(nfs.NfsDriver):
    def _ensure_share_mounted(self, nfs_share):
        Path(self._get_mount_point_for_share(nfs_share)).mkdir(parents=True, exist_ok=True)

    def _is_volume_attached(self, volume):
        return False
