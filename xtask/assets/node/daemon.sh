#!/bin/sh
# Becomes a daemon of a node that is a virtual machine: daemon.sh NAME
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
name=${1:?}
cd /
exec > "/var/log/$name.log" 2>&1
echo "@@node $(cut -d' ' -f1 /proc/uptime) $name" > /dev/console
case $name in
  containerd) exec containerd --config /etc/node/containerd.toml ;;
  kubelet) exec kubelet --config=/etc/node/kubelet.yaml --kubeconfig=/etc/node/pki/kubelet.kubeconfig --hostname-override=node-1 --node-ip=192.168.77.2 ;;
  kube-proxy) exec kube-proxy --kubeconfig=/etc/node/pki/proxy.kubeconfig --hostname-override=node-1 --proxy-mode=nftables --cluster-cidr=10.244.0.0/16 ;;
esac
