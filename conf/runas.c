/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom to change to: --runas, or nobody if started as root */

#include "conf/opt.h"

#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define ID_NOBODY 65534 /* overflow user and group of Linux */
#define LOGIN_MAX 256   /* LOGIN_NAME_MAX of Linux */

/* UID or login name. Return: false if there is no such user, or root by name */
static bool user_of(const char *s, uid_t *uid, gid_t *gid)
{
	const struct passwd *pw;
	unsigned long n;

	if (conf_number(s, UINT32_MAX - 1, &n)) {
		*uid = (uid_t)n;
		*gid = (gid_t)n;
		return true;
	}
	pw = getpwnam(s);
	if (!pw || !pw->pw_uid)
		return false;
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return true;
}

/* GID or name of a group */
static bool group_of(const char *s, gid_t *gid)
{
	const struct group *gr;
	unsigned long n;

	if (conf_number(s, UINT32_MAX - 1, &n)) {
		*gid = (gid_t)n;
		return true;
	}
	gr = getgrnam(s);
	if (gr)
		*gid = gr->gr_gid;
	return gr;
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
	const struct passwd *pw;

	if (c->given.runas) {
		runas_given(c);
		return;
	}
	if (geteuid() || !isolation_initial_userns())
		return;

	warn("Started as root, will change to nobody");
	pw = getpwnam("nobody");
	c->isolation.uid = pw && pw->pw_uid ? pw->pw_uid : ID_NOBODY;
	c->isolation.gid = pw && pw->pw_uid ? pw->pw_gid : ID_NOBODY;
}
