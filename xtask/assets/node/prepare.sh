#!/bin/sh
# What a node that is a virtual machine needs of its kernel, whatever its first process is.
say() { echo "@@node $(cut -d' ' -f1 /proc/uptime) $*" > /dev/console; }
say "$(cat /proc/1/comm) $(uname -r)"
while read -r module; do insmod "/lib/modules/$module.ko" || say "no module $module"; done < /lib/modules/list
ip link set lo up
ip addr add 192.168.77.2/24 dev eth0
ip link set eth0 up
ip route add default via 192.168.77.1
echo 1 > /proc/sys/net/ipv4/ip_forward
for setting in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do echo "${setting#*=}" > "/proc/sys/${setting%=*}"; done
