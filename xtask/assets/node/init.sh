#!/bin/sh
# The first process of a virtual machine without an init system, with cgroup v2 only.
export PATH=/usr/local/bin:/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2> /dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for folder in /dev/shm /run /tmp; do mount -t tmpfs tmpfs $folder; done
mount -t cgroup2 -o nsdelegate cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t securityfs security /sys/kernel/security
mount --make-rshared /
hostname -F /etc/hostname
sh /etc/node/prepare.sh
sh /etc/node/daemon.sh containerd &
until ctr version > /dev/null 2>&1; do usleep 200000; done
sh /etc/node/daemon.sh kubelet &
sh /etc/node/daemon.sh kube-proxy &
# What ends is buried by the shell that becomes this.
exec sh /etc/node/console.sh
