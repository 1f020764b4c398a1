/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom to change to: --runas, or nobody if started as root
 *
 * Names are looked up in /etc/passwd and /etc/group, without the C library's
 * name service: that loads libraries, and a static program cannot.
 */

#include "conf/opt.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "lib/lineread.h"

#define ID_NOBODY 65534 /* overflow user and group of Linux */
#define LOGIN_MAX 256   /* LOGIN_NAME_MAX of Linux */

/* passwd(5): name:password:UID:GID:..., group(5): name:password:GID:... */
#define PASSWD_FILE   "/etc/passwd"
#define GROUP_FILE    "/etc/group"
#define FIELDS_BEFORE 2

/**
 * look_up() - Numbers behind a name in a file like /etc/passwd
 * @path:	File
 * @name:	First field of the line
 * @id:		Filled with the numbers in the fields behind the password
 * @n:		How many
 *
 * Return: false if there is no such line, or it has no such numbers
 */
static bool look_up(const char *path, const char *name, unsigned long *id,
		    unsigned n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = strlen(name);
	struct lineread lr;
	bool found = false;
	char *line;

	if (fd < 0)
		return false;
	lineread_init(&lr, fd);
	while (!found && lineread_next(&lr, &line) >= 0) {
		char *field = line, *end;
		unsigned i;

		if (strncmp(line, name, len) || line[len] != ':')
			continue;
		for (i = 0; field && i < FIELDS_BEFORE + n; i++) {
			end = strchr(field, ':');
			if (end)
				*end = 0;
			if (i >= FIELDS_BEFORE &&
			    !conf_number(field, UINT32_MAX - 1,
					 &id[i - FIELDS_BEFORE]))
				break;
			field = end ? end + 1 : NULL;
		}
		found = i == FIELDS_BEFORE + n;
	}
	close(fd);
	return found;
}

/* UID or login name. Return: false if there is no such user, or root by name */
static bool user_of(const char *s, uid_t *uid, gid_t *gid)
{
	unsigned long n, id[2];

	if (conf_number(s, UINT32_MAX - 1, &n)) {
		*uid = (uid_t)n;
		*gid = (gid_t)n;
		return true;
	}
	if (!look_up(PASSWD_FILE, s, id, 2) || !id[0])
		return false;
	*uid = (uid_t)id[0];
	*gid = (gid_t)id[1];
	return true;
}

/* GID or name of a group */
static bool group_of(const char *s, gid_t *gid)
{
	unsigned long n;

	if (!conf_number(s, UINT32_MAX - 1, &n) &&
	    !look_up(GROUP_FILE, s, &n, 1))
		return false;
	*gid = (gid_t)n;
	return true;
}

/* UID, UID:GID, LOGIN, LOGIN:GROUP */
static void runas_given(struct conf *c)
{
	const char *val = c->given.runas, *colon = strchr(val, ':');
	size_t len = colon ? (size_t)(colon - val) : strlen(val);
	char user[LOGIN_MAX] = "";

	if (len < sizeof(user))
		memcpy(user, val, len);
	if (!user_of(user, &c->isolation.uid, &c->isolation.gid) ||
	    (colon && !group_of(colon + 1, &c->isolation.gid)))
		die("Invalid --runas option: '%s', expected UID, UID:GID, or "
		    "names of a user other than root and of a group",
		    val);
}

void conf_runas(struct conf *c)
{
	unsigned long id[2];

	if (c->given.runas) {
		runas_given(c);
		return;
	}
	if (geteuid() || !isolation_initial_userns())
		return;

	warn("Started as root, will change to nobody");
	if (!look_up(PASSWD_FILE, "nobody", id, 2) || !id[0])
		id[0] = id[1] = ID_NOBODY;
	c->isolation.uid = (uid_t)id[0];
	c->isolation.gid = (gid_t)id[1];
}
