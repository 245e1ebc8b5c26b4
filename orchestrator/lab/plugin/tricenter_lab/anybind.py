"""An ml2 mechanism driver without agents: it binds every port that names a host.

The port goes ACTIVE at once. On a host of fake guests there is no data plane behind it; on a host whose guests boot
Nova makes a tap, and the lab's compute driver puts it into the bridge of the network.
"""

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api

from tricenter_lab import is_guest_host


class AnyBindDriver(api.MechanismDriver):
    def initialize(self):
        pass

    @property
    def connectivity(self):
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context):
        if is_guest_host(context.host):
            kind, details = portbindings.VIF_TYPE_TAP, {portbindings.CAP_PORT_FILTER: False}
        else:
            kind = portbindings.VIF_TYPE_OVS
            details = {portbindings.CAP_PORT_FILTER: True, portbindings.OVS_HYBRID_PLUG: False}
        segment = context.segments_to_bind[0]
        context.set_binding(segment[api.ID], kind, details, status=constants.PORT_STATUS_ACTIVE)
