/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Usage and start-up summary */

#include "conf/opt.h"

#include <stdio.h>
#include <string.h>

#define HELP_COLUMN 26 /* where help texts begin */

/* How the program is called */
static void print_synopsis(const struct conf *c, int fd)
{
	dprintf(fd, "Usage: %s [OPTION]...%s\n", c->name,
		c->mode == MODE_PASTA ? " [COMMAND [ARG]...]" : "");
	if (c->mode == MODE_PASTA)
		dprintf(fd,
			"       %s [OPTION]... PID\n"
			"       %s [OPTION]... --netns PATH|NAME\n"
			"\n"
			"Without PID or --netns, run COMMAND, or a shell, in "
			"new user and network\n"
			"namespaces, and connect them.\n",
			c->name, c->name);
}

/* One row: names on the left, text on the right */
static void print_option(const struct conf_opt *o, int fd)
{
	const char *line = o->help;
	char left[80];
	int n;

	n = snprintf(left, sizeof(left), "  %c%c%c --%s%s%s",
		     o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
		     o->letter ? ',' : ' ', o->name, o->arg ? " " : "",
		     o->arg ? o->arg : "");
	if (n >= HELP_COLUMN - 1) {
		dprintf(fd, "%s\n", left);
		*left = '\0';
	}
	while (*line) {
		int len = (int)strcspn(line, "\n");

		dprintf(fd, "%-*s%.*s\n", HELP_COLUMN, left, len, line);
		*left = '\0';
		line += len;
		line += *line == '\n';
	}
}

/* All options of exactly these modes */
static void print_options(unsigned modes, const char *title, int fd)
{
	const struct conf_opt *o;

	dprintf(fd, "\n%s:\n", title);
	for (o = conf_opts; o->name; o++) {
		if (o->help && (o->modes & IN_BOTH) == modes)
			print_option(o, fd);
	}
}

void conf_usage(const struct conf *c, int fd)
{
	print_synopsis(c, fd);
	print_options(IN_BOTH, "Options", fd);
	if (c->mode == MODE_PASTA)
		print_options(IN_PASTA, "Options of pasta", fd);
	else
		print_options(IN_PASST, "Options of passt", fd);
}
