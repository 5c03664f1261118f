#!/bin/sh
# Imports images into a new store of containerd, which a machine then finds on its disk: prebake.sh BIN STORE IMAGE...
set -eu
bin=${1:?} store=${2:?}
shift 2
mount -t tmpfs run /run
cat > /run/containerd.toml <<END
version = 3
root = "$store"
state = "/run/state"
disabled_plugins = ["io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "/run/s"
[ttrpc]
address = "/run/t"
END
PATH=$bin:$PATH
containerd --config /run/containerd.toml > /run/log 2>&1 &
round=0
until ctr -a /run/s version > /dev/null 2>&1; do
  round=$((round + 1))
  [ $round -lt 200 ] || { cat /run/log >&2; exit 1; }
  sleep 0.05
done
for image; do ctr -a /run/s -n k8s.io images import --digests=false "$image" > /dev/null; done
for image in $(ctr -a /run/s -n k8s.io images ls -q); do
  ctr -a /run/s -n k8s.io images label "$image" io.cri-containerd.image=managed > /dev/null
  case $image in */pause:*) ctr -a /run/s -n k8s.io images label "$image" io.cri-containerd.pinned=pinned > /dev/null ;; esac
done
kill $!
wait $! || true
