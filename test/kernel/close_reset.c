/* SPDX-License-Identifier: GPL-2.0-or-later */
/* close(2) of TCP: FIN if all was read, RST if something was not */
#include "kernel.h"

int main(void)
{
	int a[2], b[2];
	char x;

	tcp_pair(a);
	close(a[0]);
	if (recv(a[1], &x, 1, 0))
		no("no end of data after close()");
	tcp_pair(b);
	must(write(b[1], "x", 1) == 1);
	close(b[0]);
	if (recv(b[1], &x, 1, 0) >= 0 || errno != ECONNRESET)
		no("no reset though a byte was not read");
	yes("end of data if all was read, reset if a byte was not");
}
