"""Nova's own fake driver, made to survive a restart of nova-compute and to fill server snapshots with bytes."""

import io
import json
import os
from pathlib import Path

import nova.conf
from nova.image import glance
from nova.virt import fake

from tricenter_lab import readiness

CONF = nova.conf.CONF
CHANGING = (
    "spawn", "destroy", "power_on", "power_off", "reboot", "pause", "unpause", "suspend", "resume", "rescue",
    "unrescue", "finish_migration", "finish_revert_migration", "confirm_migration", "cleanup",
)  # fmt: skip


class FakeDriver(fake.FakeDriverWithoutFakeNodes):
    @property
    def _memory(self):
        return Path(CONF.state_path) / "instances.json"

    def init_host(self, host):
        super().init_host(host)
        if self._memory.exists():
            for uuid, (name, state) in json.loads(self._memory.read_text()).items():
                self.instances[uuid] = fake.FakeInstance(name, state, uuid)

    def update_provider_tree(self, *args, **kwargs):
        super().update_provider_tree(*args, **kwargs)
        readiness.announce()

    def _remember(self):
        draft = self._memory.with_suffix(f".{os.urandom(4).hex()}")
        draft.write_text(json.dumps({uuid: (i.name, i.state) for uuid, i in list(self.instances.items())}))
        draft.replace(self._memory)

    def snapshot(self, context, instance, image_id, update_task_state):
        super().snapshot(context, instance, image_id, update_task_state)
        content = io.BytesIO(b"snapshot of %s\n" % instance.uuid.encode())
        metadata = {"disk_format": "raw", "container_format": "bare", "status": "active", "properties": {}}
        glance.API().update(context, image_id, metadata, content, purge_props=False)


def _remembering(name):
    change = getattr(fake.FakeDriverWithoutFakeNodes, name)

    def method(self, *args, **kwargs):
        try:
            return change(self, *args, **kwargs)
        finally:
            self._remember()

    return method


for _name in CHANGING:
    setattr(FakeDriver, _name, _remembering(_name))
