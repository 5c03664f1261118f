#!/bin/sh
# Shows now and then on the console what the daemons of a virtual machine say.
while :; do
  sleep 15
  for name in containerd kubelet kube-proxy; do tail -n 2 "/var/log/$name.log" | sed "s/^/@@$name /" > /dev/console; done
done
