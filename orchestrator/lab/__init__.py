"""Three centres on one machine, with real parts, under one folder: for development, demonstration and the tests.

layout        the folder and the ports           up            the order in which everything is made and started
packages      apt and pip                        snapshot      the second start is a fast one
daemons       processes: start, find, stop       registration  a site folder tied to the lab
infrastructure, postgres, vaults, openstack_*    the servers   seed_*   content for a site's sources
plugin        drivers that run inside the OpenStack services
"""
