# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a program as on a kernel without IPv6 (ipv6.disable=1): socket() of that
family fails with EAFNOSUPPORT, by a seccomp filter.

    no_ipv6.py PROGRAM [ARGUMENT]...
"""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys

NR_SOCKET = {"x86_64": 41, "aarch64": 198, "riscv64": 198}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
RET_ALLOW, RET_ERRNO = 0x7fff0000, 0x00050000


class Program(ctypes.Structure):
    """struct sock_fprog"""
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install():
    """Filter socket() of this process and all that it becomes."""
    code = b"".join(struct.pack("=HBBI", *insn) for insn in (
        (LOAD, 0, 0, 0),                                # seccomp_data.nr
        (JUMP_EQUAL, 0, 3, NR_SOCKET[platform.machine()]),
        (LOAD, 0, 0, 16),                               # args[0], low half
        (JUMP_EQUAL, 0, 1, socket.AF_INET6),
        (RETURN, 0, 0, RET_ERRNO | errno.EAFNOSUPPORT),
        (RETURN, 0, 0, RET_ALLOW)))
    prog = Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
       libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(prog)):
        raise OSError(ctypes.get_errno(), "cannot install a filter")


if __name__ == "__main__":
    install()
    os.execv(sys.argv[1], sys.argv[1:])
