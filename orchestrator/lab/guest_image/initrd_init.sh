#!/bin/sh
# The first program of the guest: drivers, the root file system, then the init on it.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs dev /dev
for module in /modules/*.ko; do $B insmod "$module"; done
tries=0
while [ ! -b /dev/vda1 ] && [ $tries -lt 100 ]; do
    $B sleep 0.05
    tries=$((tries + 1))
done
if ! $B mount -t ext4 /dev/vda1 /new; then
    echo "GUEST-FAILED: no root file system on /dev/vda1"
    exec $B sh
fi
$B mount --move /dev /new/dev
$B umount /sys
$B umount /proc
exec $B switch_root /new /sbin/init
