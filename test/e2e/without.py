# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a program where a system call fails, by a seccomp filter.

    without.py FEATURE PROGRAM [ARGUMENT]...

ipv6        a kernel without IPv6 (ipv6.disable=1): socket() of that family
            fails with EAFNOSUPPORT
netlink     a sandbox without AF_NETLINK: EAFNOSUPPORT
pivot_root  a container manager that does not permit it: EPERM
userns      one that permits no user namespace: EPERM
mountns     none of the other namespaces we isolate ourselves by: EPERM
"""

import ctypes
import errno
import os
import platform
import shutil
import socket
import stat
import struct
import sys

NR_SOCKET = {"x86_64": 41, "aarch64": 198, "riscv64": 198}
NR_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41}
NR_UNSHARE = {"x86_64": 272, "aarch64": 97, "riscv64": 97}
NEWUSER, NEWNS, NEWUTS, NEWIPC = 0x10000000, 0x20000, 0x4000000, 0x8000000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
RET_ALLOW, RET_ERRNO = 0x7fff0000, 0x00050000

# Call, value of the first argument (None: any), error
FEATURES = {
    "ipv6": (NR_SOCKET, socket.AF_INET6, errno.EAFNOSUPPORT),
    "netlink": (NR_SOCKET, socket.AF_NETLINK, errno.EAFNOSUPPORT),
    "pivot_root": (NR_PIVOT_ROOT, None, errno.EPERM),
    "userns": (NR_UNSHARE, NEWUSER, errno.EPERM),
    "mountns": (NR_UNSHARE, NEWNS | NEWIPC | NEWUTS, errno.EPERM),
}


class Program(ctypes.Structure):
    """struct sock_fprog"""
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install(feature):
    """Filter a call of this process and all that it becomes."""
    numbers, arg, error = FEATURES[feature]
    check = [] if arg is None else [
        (LOAD, 0, 0, 16),                               # args[0], low half
        (JUMP_EQUAL, 0, 1, arg)]
    insns = [(LOAD, 0, 0, 0),                           # seccomp_data.nr
             (JUMP_EQUAL, 0, len(check) + 1, numbers[platform.machine()]),
             *check,
             (RETURN, 0, 0, RET_ERRNO | error),
             (RETURN, 0, 0, RET_ALLOW)]
    code = b"".join(struct.pack("=HBBI", *insn) for insn in insns)
    prog = Program(len(insns), code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
       libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(prog)):
        raise OSError(ctypes.get_errno(), "cannot install a filter")


def programs(dest, bindir, feature):
    """Scripts by the names of the programs that start those of bindir without
    a feature. Return: dest, their directory, open to every user."""
    script = os.path.join(dest, "without.py")
    shutil.copyfile(os.path.realpath(__file__), script)
    os.chmod(script, 0o644)
    os.chmod(dest, stat.S_IMODE(os.stat(dest).st_mode) | 0o055)
    for name in ("passt", "pasta"):
        path = os.path.join(dest, name)
        with open(path, "w", encoding="ascii") as f:
            f.write('#!/bin/sh\nexec %s %s %s %s/%s "$@"\n' %
                    (sys.executable, script, feature, bindir, name))
        os.chmod(path, 0o755)
    return dest


if __name__ == "__main__":
    install(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
