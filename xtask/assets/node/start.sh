#!/bin/busybox sh
# The first process of the first file system: it only finds the disk.
/bin/busybox insmod /virtio_blk.ko
/bin/busybox mount -t devtmpfs dev /dev
while ! [ -b /dev/vda ]; do /bin/busybox usleep 50000; done
/bin/busybox mount -t ext4 -o noatime /dev/vda /new && exec /bin/busybox switch_root /new /sbin/init
