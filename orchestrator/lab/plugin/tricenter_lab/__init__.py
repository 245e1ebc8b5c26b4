"""Drivers that let OpenStack run on one machine without network agents or storage hardware. Loaded by the services."""


def is_guest_host(host):
    """Return whether the compute host of this name runs guests that really boot."""
    return "-guests-" in (host or "")
