/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * libvhx-cuse - be /dev/vhost-net, in user space.
 *
 * A driver of this kind is a character device that answers the ioctls of
 * <linux/vhost.h> as vhost-net of the kernel does, so that an unmodified QEMU
 * takes it:
 *
 *   qemu-system-x86_64 -object memory-backend-memfd,id=m,size=1G,share=on \
 *     -machine q35,memory-backend=m -m 1G \
 *     -netdev tap,id=n,ifname=tap0,script=no,downscript=no,vhost=on,vhostfd=7 \
 *     -device virtio-net-pci,netdev=n 7<>/dev/NAME
 *
 * What differs from vhost-user, all else being that of <vhx/vhx.h>:
 *
 * - A device is one open of the node: one queue pair. A guest with several comes
 *   as so many devices of one name.
 * - vhx_device_ifname() is the name of the tap given by VHOST_NET_SET_BACKEND.
 *   The tap itself is not used: while a queue of the device runs it has no
 *   carrier, so that the host's network stack sends nothing there, where it
 *   would stay in a queue that nobody reads. After a stop it has its carrier
 *   again, and QEMU may use it. macvtaps know no such thing: these fill up to
 *   their length, and drop the rest.
 * - Offloads are a matter between guest, QEMU and tap, of which vhost hears
 *   nothing. On a tap with IFF_VNET_HDR, as QEMU makes it, a guest may send frames
 *   with checksums and segments still to be made, whatever the driver's features
 *   are, and struct vhx_net_hdr says so; `vnet_hdr=off` at -netdev ends that. What
 *   the guest takes is asked of the tap when the device comes up: offloads of
 *   vhx_driver_set_features() that it has, if it is in the process's network
 *   namespace, else none. vhx_device_features() has both. What a guest
 *   changes while the device runs, as ethtool -K does there, is not seen.
 * - Guest memory must be shared. Regions that are private are left out; of a guest
 *   with nothing else VHOST_SET_MEM_TABLE fails and the log says what to do, and
 *   QEMU goes on without vhost.
 * - It must be of a memfd, or of a file of tmpfs or hugetlbfs that is mounted in the
 *   client's mount namespace or ours, unless VHX_LIMIT_MEMORY says otherwise: its
 *   device says so before it is opened, since to open another one may be to wait for
 *   a program of the client's.
 * - VHOST_F_LOG_ALL is not offered, since QEMU's log is private memory of its own:
 *   QEMU says that the guest cannot migrate.
 * - Behind a virtual IOMMU each mapping of the guest's is several requests through
 *   FUSE: it works, slowly.
 * - A device that the user refuses, or of which memory was cut off, cannot be hung
 *   up on: it is stopped, and VHOST_NET_SET_BACKEND fails.
 * - QEMU ends itself if a device does not answer any more: stop guests before
 *   vhx_driver_unregister(). While the session does not run, guests stand still.
 *
 * Rights: the process needs /dev/cuse, and of each client, by ptrace(2)'s rules,
 * its descriptors: root, or CAP_SYS_PTRACE in the client's user namespace.
 *
 * libfuse writes its own messages to stderr: see fuse_set_log_func().
 */
#ifndef VHX_CUSE_H
#define VHX_CUSE_H

#include <vhx/vhx.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * vhx_cuse_register - serve a character device
 * @session: the session
 * @name: of the node below /dev, without a slash
 * @driver: result
 *
 * The node comes up after vhx_driver_start(), when the session runs; it belongs
 * to root, mode 0600, unless udev has a rule.
 *
 * Return: 0, -EINVAL (no such name can be), -EEXIST (the node is there), -ENODEV
 * (no /dev/cuse: modprobe cuse), -EACCES (not allowed to open it),
 * -ENAMETOOLONG, -ENOMEM, or an errno of open(); the log says which
 */
int vhx_cuse_register(struct vhx_session *session, const char *name,
		      struct vhx_driver **driver);

#ifdef __cplusplus
}
#endif

#endif /* VHX_CUSE_H */
