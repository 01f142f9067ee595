#!/bin/busybox sh
# The guest's first process: it sees the host's files read-only, with a layer of memory on top,
# starts the agent there, and switches the machine off when the agent ends.
#
# lab_agent, from the kernel's command line: the folder that holds the package `agent`.
# Without it there is nothing to do, and the machine goes off at once (a probe of KVM asks for that).
#
# This shell stays outside the new root.  So does the kernel when it asks for a module, and it finds
# /sbin/modprobe and the modules of the archive here, whatever the host has.
PATH=/bin

off() {
    [ -z "$1" ] || echo "lab: $1"
    poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
[ -n "$lab_agent" ] || off "no agent"

modprobe -a virtio_pci virtio_console 9pnet_virtio 9p overlay || off "a module does not load"

# The export is read-only, so nothing can change below the cache's feet but by the host itself.
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 host /host \
    || off "the host's root cannot be mounted"
mount -t tmpfs -o mode=755 scratch /scratch
mkdir /scratch/upper /scratch/work
mount -t overlay -o lowerdir=/host,upperdir=/scratch/upper,workdir=/scratch/work overlay /root \
    || off "the layer over the host's root cannot be mounted"

mount -t proc proc /root/proc
mount -t sysfs sys /root/sys
mount -t devtmpfs dev /root/dev
mount -t tmpfs -o mode=755 run /root/run
mount -t cgroup2 cgroup /root/sys/fs/cgroup
mount -t bpf bpf /root/sys/fs/bpf
mount -t debugfs debug /root/sys/kernel/debug
mount -t tracefs trace /root/sys/kernel/tracing
# 9p goes by the rights of the host's user: a home with mode 0700 cannot be read, not even by root here.
mkdir -p -m 700 /root/run/home /root/run/scratch
ip link set lo up

# udev would make these links.
mkdir /dev/virtio-ports
until [ -e /dev/virtio-ports/lab ]; do
    for port in /sys/class/virtio-ports/*; do
        [ "$(cat "$port/name")" != lab ] || ln -s "../${port##*/}" /dev/virtio-ports/lab
    done
    usleep 10000
done 2>/dev/null

# Modules and headers where programs in the new root look for them, BCC above all.
modules=/lib/modules/$(uname -r)
mkdir -p "/root$modules"
mount -o bind "$modules" "/root$modules"
if [ ! -e /root/sbin/modprobe ]; then
    touch /root/sbin/modprobe
    mount -o bind /bin/busybox /root/sbin/modprobe
fi

chroot /root /usr/bin/env -i \
    HOME=/run/home TMPDIR=/run/scratch LANG=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH="$lab_agent" PYTHONDONTWRITEBYTECODE=1 \
    /usr/bin/python3 -s -m agent --port /dev/virtio-ports/lab </dev/null
off
