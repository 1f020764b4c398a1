# SPDX-License-Identifier: GPL-2.0-or-later
"""A command at a terminal: keys, job control, the end of it all."""

import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from daemon import NO_PORTS
from procs import as_user


class Terminal:
    """A pseudo-terminal with pasta as leader of its session."""

    def __init__(self, argv):
        self.fd, slave = pty.openpty()
        self.proc = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, preexec_fn=self._control)
        os.close(slave)
        self.text = ""

    @staticmethod
    def _control():
        import fcntl
        import termios
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def key(self, text):
        """Press keys."""
        os.write(self.fd, text.encode())

    def expect(self, word, timeout=20):
        """Read until word appears, forget everything up to it."""
        end = time.monotonic() + timeout
        while word not in self.text:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError("no %r in %r" % (word, self.text))
            try:
                self.text += os.read(self.fd, 4096).decode(errors="replace")
            except OSError as e:
                raise AssertionError("end before %r in %r"
                                     % (word, self.text)) from e
        self.text = self.text[self.text.index(word) + len(word):]

    def close(self):
        """End pasta and with it the command: killed, it would leave that."""
        if self.proc.poll() is None:
            self.proc.terminate()
        self.proc.wait(10)
        os.close(self.fd)


@pytest.fixture
def terminal(net, bindir):
    """Factory: pasta with a command at a terminal."""
    made = []

    def make(*args, shell=None):
        # setpriv and pasta replace each other: the leader stays one process
        argv = as_user([os.path.join(bindir, "pasta"), *NO_PORTS, *args],
                       "user")
        if shell:
            argv = ["env", "SHELL=" + shell, *argv]
        made.append(Terminal(net.host.wrap(argv)))
        return made[-1]

    yield make
    for t in made:
        t.close()


@pytest.mark.parametrize("key, sig", [("\x03", signal.SIGINT),
                                      ("\x1c", signal.SIGQUIT)])
@pytest.mark.parametrize("opts", [(), ("--no-pidns",)])
def test_key_ends_command(terminal, key, sig, opts):
    """Interrupt and quit end a command that does not care, though it is
    process 1 of its namespace."""
    t = terminal(*opts, "--", "sh", "-c", "echo running; exec sleep 60")
    t.expect("running")
    t.key(key)
    assert t.proc.wait(10) == 128 + sig


def test_key_for_command(terminal):
    """Interrupt is the command's business if it cares."""
    t = terminal("--", "sh", "-c",
                 "trap 'echo caught' INT; echo running; "
                 "while :; do read x && exit $x; done")
    t.expect("running")
    t.key("\x03")
    t.expect("caught")
    assert t.proc.poll() is None
    t.key("9\n")
    assert t.proc.wait(10) == 9


# One process: keys must not hit a shell that is about to start another
JOB = """import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.signal(signal.SIGCONT, lambda *_: print("resumed", flush=True))
print("running", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_shell(terminal, shell, tmp):
    """An interactive shell: prompt, interrupted job, job control, exit."""
    job = os.path.join(tmp, "job")
    with open(job, "w", encoding="ascii") as f:
        f.write(JOB)
    t = terminal(shell=shell)
    t.key("PS1='p''rompt: '\n")
    t.expect("prompt: ")
    t.key("tty -s && echo is $((40 + 2))\n")
    t.expect("is 42")
    t.key("%s %s\n" % (sys.executable, job))
    t.expect("running")
    t.key("\x03")
    t.expect("prompt: ")
    t.key("%s %s\n" % (sys.executable, job))
    t.expect("running")
    t.key("\x1a")
    t.expect("prompt: ")
    t.key("jobs\n")
    t.expect("topped")
    t.expect("prompt: ")
    t.key("fg\n")
    t.expect("resumed")
    t.key("\x03")
    t.expect("prompt: ")
    t.key("exit 3\n")
    assert t.proc.wait(10) == 3


def test_hangup(terminal):
    """The terminal goes away: command and pasta with it."""
    t = terminal("--", "sh", "-c", "echo running; exec sleep 60")
    t.expect("running")
    fd = t.fd
    t.fd = os.open("/dev/null", os.O_RDONLY)
    os.close(fd)
    t.proc.wait(10)
