/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tap device with virtio-net headers: large TCP segments pass uncut */
#include "kernel.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sys/ioctl.h>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

int main(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	unsigned f = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	int fd = open("/dev/net/tun", O_RDWR), uso, len;

	if (fd < 0)
		no("/dev/net/tun: %s", strerror(errno));
	if (ioctl(fd, TUNSETIFF, &ifr))
		no("IFF_VNET_HDR: %s", strerror(errno));
	if (ioctl(fd, TUNSETOFFLOAD, f))
		no("TUNSETOFFLOAD of TCP: %s", strerror(errno));
	must(!ioctl(fd, TUNGETVNETHDRSZ, &len));
	uso = !ioctl(fd, TUNSETOFFLOAD, f | TUN_F_USO4 | TUN_F_USO6);
	yes("header of %d bytes, TCP %s", len,
	    uso ? "and UDP (USO)" : "only, no USO");
}
