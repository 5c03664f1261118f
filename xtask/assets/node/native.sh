#!/bin/sh
# The inside of a native node: its own mounts, then containerd. Called in the network namespace of the cluster and in the cgroups of the
# node, in mount and cgroup namespaces that are new: native.sh BIN STATE
set -eu
bin=${1:?} state=${2:?}
mount -t tmpfs run /run
mkdir -p /run/telltale/bin /run/telltale/state /run/cni /run/lock
# Short and certain: what is mounted below may hide where these are.
mount --bind "$bin" /run/telltale/bin
mount --bind "$state" /run/telltale/state
bin=/run/telltale/bin state=/run/telltale/state
# Of this network namespace.
mount -t sysfs sys /sys
if [ -e "$state/hybrid" ]; then
  mount -t tmpfs cgroup /sys/fs/cgroup
  while read -r name options; do
    mkdir "/sys/fs/cgroup/$name"
    if [ "$options" = v2 ]; then
      mount -t cgroup2 cgroup "/sys/fs/cgroup/$name"
    else
      mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/$name"
    fi
  done < "$state/hybrid"
else
  mount -t cgroup2 cgroup /sys/fs/cgroup
fi
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null || true
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null || true
for folder in lib log; do mount -t tmpfs "$folder" "/var/$folder"; done
mkdir -p /var/lib/kubelet /var/lib/cni /var/lib/containerd /var/log/pods /var/log/containers
# An overlay cannot have its upper side on every file system; where the state is, an image has room.
mkdir -p "$state/containerd"
mount --bind "$state/containerd" /var/lib/containerd
mount --make-rshared /
export PATH="$bin:$PATH"
exec containerd --config "$state/containerd.toml"
