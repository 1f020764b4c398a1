#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Write the system call filters, from comments beside the code that needs them
#
#	seccomp.sh SOURCE...		header with one filter a mode, to stdout
#	seccomp.sh --list SOURCE...	"MODE COUNT NAME..." a mode
#
# $CC is the compiler, perhaps for another machine: it knows the numbers.
#
# In a comment of a source, up to the end of the line:
#
#	#syscalls[:MODE[,MODE...]] CALL...	without MODE: all of them
#
# where CALL is, without blanks,
#
#	NAME			allowed
#	NAME(CHECK,CHECK...)	allowed if all checks hold; given several times,
#				if those of one of them do
#	NAME!ERRNO		not allowed, but fails with ERRNO instead of
#				ending the process, or with 0 returns that: for
#				what a C library may try and can do without
#
# and CHECK is about argument number N, from 0: it, or what a mask leaves of it,
# is one of the values. All are C constants, of headers included below.
#
#	N=VALUE[/VALUE...]
#	N&MASK=VALUE[/VALUE...]
#
# Looked at are the low 32 bits, all that the kernel uses of an int. Behind
# pointers nobody can look.
#
# Where NAME does not exist, on machines that are newer, or has a second form,
# on those of 32 bits, the table "other" below tells by what it is replaced or
# accompanied. A name with which no call is found is an error.
#
# A filter compares the architecture first: numbers mean nothing without it.
# Those of x32 are of another range and hence refused. Then it looks for the
# number by halves: some six comparisons. The kernel remembers which numbers are
# allowed without a look at the arguments (Linux 5.11), for those it runs
# nothing.
#
# shellcheck disable=SC2086,SC2004	# $CPPFLAGS are words, $expr is one
set -eu

modes="passt pasta"
list=
if [ "${1-}" = --list ]; then
	list=1
	shift
fi
[ $# -gt 0 ] || { echo "usage: $0 [--list] SOURCE..." >&2; exit 1; }

# NAME: further forms, with arguments at the same places. Machines of 32 bits get
# all they have, with different sizes of time and offset; others the first one.
# socketcall, where arguments cannot be looked at, is what C libraries of i386
# use.
other='
clock_gettime: clock_gettime64
fcntl: fcntl64
ftruncate: ftruncate64
lseek: _llseek
newfstatat: fstatat64 statx
mmap: mmap2
ppoll: ppoll_time64
recvmmsg: recvmmsg_time64
'
socketcall="accept4 bind connect getsockname getsockopt listen recvfrom \
recvmmsg recvmsg sendmmsg sendmsg sendto setsockopt shutdown socket"

cc=${CC:-cc}

# Architecture as the kernel's audit calls it
arch=$($cc ${CPPFLAGS-} -E -P -x c - <<-'END' | tr -d ' \n'
	#define A(x) AUDIT_ ## x
	#if defined(__x86_64__) && !defined(__ILP32__)
	A(ARCH_X86_64)
	#elif defined(__aarch64__) && !defined(__AARCH64EB__)
	A(ARCH_AARCH64)
	#elif defined(__i386__)
	A(ARCH_I386)
	#elif defined(__arm__) && defined(__ARM_EABI__)
	# ifdef __ARMEB__
	A(ARCH_ARMEB)
	# else
	A(ARCH_ARM)
	# endif
	#elif defined(__riscv) && __riscv_xlen == 64
	A(ARCH_RISCV64)
	#elif defined(__riscv)
	A(ARCH_RISCV32)
	#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
	A(ARCH_PPC64LE)
	#elif defined(__powerpc64__)
	A(ARCH_PPC64)
	#elif defined(__powerpc__)
	A(ARCH_PPC)
	#elif defined(__s390x__)
	A(ARCH_S390X)
	#elif defined(__loongarch_lp64)
	A(ARCH_LOONGARCH64)
	#elif defined(__mips__) && defined(__MIPSEL__) && _MIPS_SIM == _ABI64
	A(ARCH_MIPSEL64)
	#elif defined(__mips__) && _MIPS_SIM == _ABI64
	A(ARCH_MIPS64)
	#elif defined(__mips__) && defined(__MIPSEL__) && _MIPS_SIM == _ABIO32
	A(ARCH_MIPSEL)
	#elif defined(__mips__) && _MIPS_SIM == _ABIO32
	A(ARCH_MIPS)
	#endif
	END
)
[ "$arch" ] || { echo "$0: no filter for what $cc compiles for" >&2; exit 1; }

bits=$(echo __SIZEOF_POINTER__ | $cc ${CPPFLAGS-} -E -P -x c - | tr -d ' \n')

# "NAME EXPRESSION" of all calls: the expression may add to a base
numbers=$(echo '#include <asm/unistd.h>' | $cc ${CPPFLAGS-} -E -dM -x c - |
	sed -n 's/^#define __NR_\([a-z0-9_]*\) .*/\1 __NR_\1/p' |
	grep -Ev '^(syscalls|arch_specific_syscall) ' | sort)
[ "$numbers" ] || { echo "$0: $cc finds no system calls" >&2; exit 1; }
total=$(echo "$numbers" | wc -l)
numbers=$({ echo '#include <asm/unistd.h>'
	    echo "$numbers" | sed 's/^\(.*\) \(.*\)$/"\1" \2/'; } |
	$cc ${CPPFLAGS-} -E -P -x c - | sed -n 's/^"\(.*\)" \(.*\)$/\1 \2/p' |
	while read -r name expr; do
		case $expr in
		*__NR*)	;;
		*)	echo "$name $(($expr))" ;;
		esac
	done | sort -k 2n)
[ "$(echo "$numbers" | wc -l)" -eq "$total" ] ||
	{ echo "$0: cannot read the numbers of $cc" >&2; exit 1; }

calls=$(sed -n 's,^.*#syscalls\([: ].*\)$,\1,p' "$@" | sed 's, *\*/.*,,')

{
	echo "$other" | sed -n 's/^\(.*\): \(.*\)$/other \1 \2/p'
	echo "socketcall $socketcall"
	echo "$numbers" | sed 's/^/number /'
	echo "$calls" | sed 's/^/calls /'
} | awk -v modes="$modes" -v arch="$arch" -v bits="$bits" -v list="$list" '
function die(text)
{
	print "seccomp.sh: " text >"/dev/stderr"
	failed = 1
	exit 1
}

# All forms of a call this machine has, separated by blanks
function forms(name,	found, word, n, i)
{
	found = name in nr ? name : ""
	n = name in others ? split(others[name], word, " ") : 0
	for (i = 1; i <= n; i++) {
		if (word[i] in nr && (found == "" || bits == 4))
			found = found " " word[i]
	}
	if (name in by_socketcall && "socketcall" in nr)
		found = found " socketcall"
	return found
}

# Take one CALL for one mode
function take(mode, call,	name, rest, word, n, i)
{
	match(call, /^[a-z0-9_]+/)
	if (RSTART != 1)
		die("not the name of a system call: " call)
	name = substr(call, 1, RLENGTH)
	rest = substr(call, RLENGTH + 1)
	n = split(forms(name), word, " ")
	if (!n)
		die("no such system call: " name)
	for (i = 1; i <= n; i++)
		take_form(mode, word[i], word[i] == "socketcall" ? "" : rest)
}

# Values of two lists, each once
function merge(a, b,	value, n, i)
{
	n = split(b, value, "/")
	for (i = 1; i <= n; i++)
		if (index("/" a "/", "/" value[i] "/") == 0)
			a = a "/" value[i]
	return a
}

# One alternative more, or more values for the last check of one of them, if that
# is all they differ in
function add_alternative(rule, rest,	alt, n, i, what, len)
{
	match(rest, /=[^=]*$/)
	what = substr(rest, 1, RSTART)
	len = RSTART
	n = split(rule, alt, ";")
	rule = ""
	for (i = 1; i <= n; i++) {
		if (rest != "" && len && substr(alt[i], 1, len) == what &&
		    index(substr(alt[i], len + 1), "=") == 0) {
			alt[i] = what merge(substr(alt[i], len + 1),
					    substr(rest, len + 1))
			rest = ""
		}
		rule = rule (i > 1 ? ";" : "") alt[i]
	}
	return rest == "" ? rule : rule ";" rest
}

# A rule is "allow", "errno E", or "check" with alternatives "C,C...;C,C..."
function take_form(mode, name, rest,	key)
{
	key = mode SUBSEP name
	if (rest == "") {
		rule[key] = "allow"
	} else if (rest ~ /^!(0|E[A-Z0-9]+)$/) {
		if (!(key in rule))
			rule[key] = "errno " substr(rest, 2)
	} else if (rest ~ /^\([^()]+\)$/) {
		rest = substr(rest, 2, length(rest) - 2)
		if (!(key in rule) || rule[key] ~ /^errno/)
			rule[key] = "check " rest
		else if (rule[key] ~ /^check/)
			rule[key] = "check " add_alternative( \
				substr(rule[key], 7), rest)
	} else {
		die("cannot read: " name rest)
	}
}

$1 == "other" {
	others[$2] = $0
	sub(/^other [^ ]+ /, "", others[$2])
	next
}
$1 == "socketcall" {
	for (i = 2; i <= NF; i++)
		by_socketcall[$i] = 1
	next
}
$1 == "number" {
	nr[$2] = $3
	ordered[++ncalls] = $2
	next
}
$1 == "calls" && NF > 1 {
	which = modes
	first = 2
	if ($2 ~ /^:/) {
		which = substr($2, 2)
		gsub(/,/, " ", which)
		first = 3
	}
	n = split(which, mode, " ")
	for (m = 1; m <= n; m++) {
		if (index(" " modes " ", " " mode[m] " ") == 0)
			die("no such mode: " mode[m])
		for (i = first; i <= NF; i++)
			take(mode[m], $i)
	}
}

# An assembler: instructions with labels for jumps, resolved at the end
function put(code, k, yes, no)
{
	op[++npc] = code
	arg[npc] = k
	jt[npc] = yes
	jf[npc] = no
}
function label(name)
{
	at[name] = npc + 1
}
function distance(pc, name,	d)
{
	if (!(name in at))
		die("no label " name)
	d = at[name] - pc - 1
	if (d < 0 || (op[pc] != "BPF_JMP | BPF_JA" && d > 255))
		die("jump too far")
	return d
}
function write_program(	pc)
{
	for (pc = 1; pc <= npc; pc++) {
		if (jt[pc] == "")
			printf "\tBPF_STMT(%s, %s),\n", op[pc], arg[pc]
		else if (jf[pc] == "")
			printf "\tBPF_JUMP(%s, %d, 0, 0),\n", op[pc],
				distance(pc, jt[pc])
		else
			printf "\tBPF_JUMP(%s, %s, %d, %d),\n", op[pc],
				arg[pc], distance(pc, jt[pc]),
				distance(pc, jf[pc])
	}
}

# Those of a mode from @lo to @hi, in the order of their numbers
function put_tree(mode, lo, hi,	mid, name, here, key)
{
	here = mode "_" lo "_" hi
	if (lo == hi) {
		name = mine[lo]
		key = rule[mode, name]
		put("BPF_JMP | BPF_JEQ | BPF_K", nr[name] " /* " name " */",
		    key == "allow" ? mode "_allow" : here "_is", mode "_deny")
		if (key == "allow")
			return
		label(here "_is")
		if (key ~ /^errno/)
			put("BPF_RET | BPF_K", "SECCOMP_RET_ERRNO | " \
			    substr(key, 7))
		else
			put("BPF_JMP | BPF_JA", "", mode "_" name)
		return
	}
	mid = int((lo + hi + 1) / 2)
	put("BPF_JMP | BPF_JGE | BPF_K", nr[mine[mid]], here "_ge", here "_lt")
	label(here "_lt")
	put_tree(mode, lo, mid - 1)
	label(here "_ge")
	put_tree(mode, mid, hi)
}

# One CHECK; fails to a label
function put_check(check, here, fail,	lhs, n, mask, value, i)
{
	if (check !~ /^[0-5](&[A-Za-z0-9_]+)?=[A-Za-z0-9_\/|]+$/)
		die("cannot read check: " check)
	lhs = substr(check, 1, index(check, "=") - 1)
	n = split(substr(check, index(check, "=") + 1), value, "/")
	mask = length(lhs) > 1 ? substr(lhs, 3) : ""
	put("BPF_LD | BPF_W | BPF_ABS", "SECCOMP_ARG(" substr(lhs, 1, 1) ")")
	if (mask != "")
		put("BPF_ALU | BPF_AND | BPF_K", mask)
	for (i = 1; i <= n; i++) {
		put("BPF_JMP | BPF_JEQ | BPF_K", value[i], here "_ok",
		    i < n ? here "_" i : fail)
		label(here "_" i)
	}
	label(here "_ok")
}

# What is looked at in the arguments of a call
function put_checks(mode, name,	alt, nalt, check, n, here, fail, i, j)
{
	here = mode "_" name
	label(here)
	nalt = split(substr(rule[mode, name], 7), alt, ";")
	for (i = 1; i <= nalt; i++) {
		fail = here "_fail" i
		n = split(alt[i], check, ",")
		for (j = 1; j <= n; j++)
			put_check(check[j], here "_" i "_" j, fail)
		put("BPF_RET | BPF_K", "SECCOMP_RET_ALLOW")
		label(fail)
	}
	put("BPF_RET | BPF_K", "SECCOMP_DENY")
}

# Calls of a mode to mine[1..]. Return: how many are allowed
function choose(mode,	i, allowed)
{
	nmine = 0
	for (i = 1; i <= ncalls; i++) {
		if (!((mode, ordered[i]) in rule))
			continue
		mine[++nmine] = ordered[i]
		if (rule[mode, ordered[i]] !~ /^errno/)
			allowed++
	}
	if (!nmine)
		die("no system call for " mode)
	return allowed
}

function write_list(mode,	n, i)
{
	n = choose(mode)
	printf "%s %d", mode, n
	for (i = 1; i <= nmine; i++) {
		if (rule[mode, mine[i]] !~ /^errno/)
			printf " %s", mine[i]
	}
	printf "\n"
}

function write_mode(mode,	i)
{
	choose(mode)
	npc = 0
	put("BPF_LD | BPF_W | BPF_ABS", "offsetof(struct seccomp_data, arch)")
	put("BPF_JMP | BPF_JEQ | BPF_K", arch, mode "_arch", mode "_alien")
	label(mode "_alien")
	put("BPF_RET | BPF_K", "SECCOMP_RET_KILL_PROCESS")
	label(mode "_arch")
	put("BPF_LD | BPF_W | BPF_ABS", "offsetof(struct seccomp_data, nr)")
	put_tree(mode, 1, nmine)
	label(mode "_allow")
	put("BPF_RET | BPF_K", "SECCOMP_RET_ALLOW")
	label(mode "_deny")
	put("BPF_RET | BPF_K", "SECCOMP_DENY")
	for (i = 1; i <= nmine; i++) {
		if (rule[mode, mine[i]] ~ /^check/)
			put_checks(mode, mine[i])
	}
	printf "\nstatic const struct sock_filter seccomp_%s[] = {\n", mode
	write_program()
	print "};"
}

# Characters, as a string literal may only be so long (C11 5.2.4.1)
function write_text(text,	i)
{
	printf "\t"
	for (i = 1; i <= length(text); i++)
		printf "\047%s\047,", substr(text, i, 1)
	print "0,"
}

# The number of a call and a blank, unless it follows that of the one before
function number_text(i)
{
	if (i > 1 && nr[ordered[i]] == nr[ordered[i - 1]] + 1)
		return ""
	return nr[ordered[i]] " "
}

END {
	if (failed)
		exit 1
	nmodes = split(modes, all, " ")
	if (list) {
		for (m = 1; m <= nmodes; m++)
			write_list(all[m])
		exit
	}
	print "/* SPDX-License-Identifier: GPL-2.0-or-later */"
	print "/* System call filters, written by seccomp.sh: do not edit */"
	print "#include <errno.h>"
	print "#include <fcntl.h>"
	print "#include <linux/audit.h>"
	print "#include <linux/filter.h>"
	print "#include <linux/seccomp.h>"
	print "#include <linux/sockios.h>"
	print "#include <netinet/in.h>"
	print "#include <netinet/tcp.h>"
	print "#include <sched.h>"
	print "#include <signal.h>"
	print "#include <stddef.h>"
	print "#include <sys/ioctl.h>"
	print "#include <sys/socket.h>"
	print "#include <sys/wait.h>"
	print "#include <time.h>"
	print ""
	print "/* Low 32 bits of an argument */"
	print "#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__"
	print "#define SECCOMP_ARG(n) \\"
	print "\t(offsetof(struct seccomp_data, args) + 8 * (n))"
	print "#else"
	print "#define SECCOMP_ARG(n) \\"
	print "\t(offsetof(struct seccomp_data, args) + 8 * (n) + 4)"
	print "#endif"
	print ""
	print "/* All that this kind of machine has, for messages: name and NUL of"
	print " * each, before it number and blank if that is not the one after its"
	print " * predecessor; an empty one at the end"
	print " */"
	print "static const char seccomp_names[] = {"
	for (i = 1; i <= ncalls; i++)
		write_text(number_text(i) ordered[i])
	print "\t0\n};"
	for (m = 1; m <= nmodes; m++)
		write_mode(all[m])
}'
