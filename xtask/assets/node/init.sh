#!/bin/sh
# The first process of a node that is a virtual machine with cgroup v2 only and no init system.
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
say() { echo "@@node $(cut -d' ' -f1 /proc/uptime) $*" > /dev/console; }
say "init $(uname -r)"
hostname node-1
while read -r module; do insmod "/lib/modules/$module.ko" || say "no module $module"; done < /lib/modules/list
ip link set lo up
ip addr add 192.168.77.2/24 dev eth0
ip link set eth0 up
ip route add default via 192.168.77.1
echo 1 > /proc/sys/net/ipv4/ip_forward
for setting in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do echo "${setting#*=}" > "/proc/sys/${setting%=*}"; done
cd /
containerd --config /etc/node/containerd.toml > /var/log/containerd.log 2>&1 &
until ctr version > /dev/null 2>&1; do usleep 200000; done
say containerd
kubelet --config=/etc/node/kubelet.yaml --kubeconfig=/etc/node/pki/kubelet.kubeconfig --hostname-override=node-1 --node-ip=192.168.77.2 > /var/log/kubelet.log 2>&1 &
say kubelet
kube-proxy --kubeconfig=/etc/node/pki/proxy.kubeconfig --hostname-override=node-1 --proxy-mode=nftables --cluster-cidr=10.244.0.0/16 > /var/log/kube-proxy.log 2>&1 &
# What ends is buried here; what daemons say goes to the console when they are asked by a mark on it.
while :; do
  sleep 15
  for log in containerd kubelet kube-proxy; do tail -n 2 /var/log/$log.log | sed "s/^/@@$log /" > /dev/console; done
done
