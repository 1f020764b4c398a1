/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capabilities of the calling thread, straight from the kernel's interface */
#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/caps.h"

uint64_t caps_get(void)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &hdr, data))
		return 0;
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

int caps_limit(uint64_t keep)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	uint64_t set = caps_get() & keep;
	unsigned i;

	for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++, set >>= 32) {
		data[i].permitted = (uint32_t)set;
		data[i].effective = (uint32_t)set;
	}
	/* An empty inheritable set empties the ambient one */
	return syscall(SYS_capset, &hdr, data) ? -errno : 0;
}

void caps_limit_bounding(uint64_t keep)
{
	int cap;

	/* Ends at the first number this kernel does not know */
	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (!(keep & CAPS_BIT(cap)))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	}
}
