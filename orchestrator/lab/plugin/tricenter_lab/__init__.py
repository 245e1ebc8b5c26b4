"""Drivers that let OpenStack run without a hypervisor, network agents or storage hardware. Loaded by the services."""
