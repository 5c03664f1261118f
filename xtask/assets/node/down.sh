#!/bin/sh
# Ends every process in the cgroups of a cluster, removes those cgroups and its files: down.sh NAME STATE
#
# Namespaces, mounts, interfaces and leases of addresses are in namespaces that end with the last process.
name=${1:?} state=${2:?}
round=0
while :; do
  left=
  for mount in $(awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/self/mounts); do
    top=$mount/$name
    [ -d "$top" ] || continue
    [ -w "$top/cgroup.kill" ] && echo 1 > "$top/cgroup.kill"
    # A frozen process dies when it thaws.
    [ -w "$top/freezer.state" ] && find "$top" -name freezer.state -exec sh -c 'for f; do echo THAWED > "$f"; done' sh {} + 2>/dev/null
    find "$top" -name cgroup.procs -exec cat {} + 2>/dev/null | xargs -r kill -9 2>/dev/null
    find "$top" -depth -type d -exec rmdir {} + 2>/dev/null
    [ -d "$top" ] && left=$top
  done
  [ -z "$left" ] && break
  round=$((round + 1))
  if [ $round -gt 150 ]; then
    echo "$left is still in use" >&2
    exit 1
  fi
  sleep 0.1
done
rm -rf "$state"
