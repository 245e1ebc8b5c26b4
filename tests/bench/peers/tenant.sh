#!/usr/bin/env bash
# One bureau by the `openstack` command, as a careful script makes it: TENANT CIDR. The cloud is that of OS_CLOUD.
set -euo pipefail
tenant=$1 cidr=$2 password=$(head -c 18 /dev/urandom | base64)
of="--project $tenant --project-domain $tenant"
id() { "$@" -f value -c id; }

openstack domain create "$tenant" --description "bench" >/dev/null
project=$(id openstack project create "$tenant" --domain "$tenant" --description "bench")
openstack group create "$tenant-members" --domain "$tenant" >/dev/null
openstack role add $of --group "$tenant-members" --group-domain "$tenant" reader
openstack user create zhang --domain "$tenant" --project "$project" --email zhang@test.internal --password "$password" >/dev/null
openstack role add $of --user zhang --user-domain "$tenant" member
openstack group add user --group-domain "$tenant" --user-domain "$tenant" "$tenant-members" zhang
openstack user create tricenter --domain "$tenant" --project "$project" --password "$password" >/dev/null
openstack role add $of --user tricenter --user-domain "$tenant" member
openstack quota set "$project" --instances 3 --cores 20 --networks 2 --floating-ips 0 --gigabytes -1
router=$(id openstack router create public $of)
network=$(id openstack network create office $of)
subnet=$(id openstack subnet create office $of --network "$network" --subnet-range "$cidr" --dns-nameserver 10.77.0.53)
openstack router add subnet "$router" "$subnet"
baseline=$(id openstack security group create baseline $of)
openstack security group rule create "$baseline" --ingress --remote-group "$baseline" >/dev/null
openstack security group rule create "$baseline" --ingress --protocol icmp >/dev/null
openstack security group rule create "$baseline" --ingress --protocol tcp --dst-port 22 --remote-ip "$cidr" >/dev/null
web=$(id openstack security group create web $of)
openstack security group rule create "$web" --ingress --protocol tcp --dst-port 443 >/dev/null
closed=$(id openstack security group create closed $of)
openstack security group rule delete $(openstack security group rule list "$closed" --egress -f value -c ID)
openstack security group rule create "$closed" --egress --protocol tcp --dst-port 443 >/dev/null
OS_USERNAME=tricenter OS_USER_DOMAIN_NAME=$tenant OS_PASSWORD=$password OS_PROJECT_NAME=$tenant OS_PROJECT_DOMAIN_NAME=$tenant \
  OS_AUTH_URL=$AUTH_URL OS_IDENTITY_API_VERSION=3 OS_CLOUD='' \
  openstack application credential create tricenter --role member >/dev/null
