#!/bin/busybox sh
# The first process of a test kernel: mounts what the agent reads, runs each command of /commands, ends the machine.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root RUST_BACKTRACE=1 TERM=dumb
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts none /dev/pts
mount -t tmpfs none /dev/shm
mount -t cgroup2 none /sys/fs/cgroup
mount -t bpf none /sys/fs/bpf
mount -t tracefs none /sys/kernel/tracing 2>/dev/null
mount -t debugfs none /sys/kernel/debug 2>/dev/null
for module in /modules/*.ko; do
    [ -e "$module" ] && insmod "$module"
done
ip link set lo up
hostname guest
ulimit -n 65536
echo "root:x:0:0::/root:/bin/sh
nobody:x:65534:65534::/:/bin/sh" >/etc/passwd
echo "127.0.0.1 localhost guest" >/etc/hosts
echo "@@kernel $(uname -r)"
for command in /commands/*; do
    echo "@@begin ${command##*/}"
    sh "$command" </dev/null 2>&1
    echo "@@end ${command##*/} $?"
done
sync
reboot -f
