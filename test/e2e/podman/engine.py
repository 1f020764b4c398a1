# SPDX-License-Identifier: GPL-2.0-or-later
"""podman and buildah of an ordinary user, in the tree of newer programs.

The image has nothing but busybox. Nothing of podman is told how to reach
pasta: it is found in /usr/bin, as everywhere.
"""

import socket

from callers import ENV, Tree
from netns import Netns
from procs import USER_ID, cmdline, descendants, wait_for
from xfer import Task, recv_bulk, send_bulk

HOME = "/home/user"
USER_ENV = {**ENV, "HOME": HOME, "XDG_RUNTIME_DIR": "/run/user/%d" % USER_ID}
IMAGE = "localhost/box"
DNS4, DNS6 = "198.51.100.1", "2001:db8:2::1"    # of the host, on far
NAME, NAME4, NAME6 = "name.example", "203.0.113.5", "2001:db8:9::5"

# Control groups belong to the machine's init, and we leave them alone; crun
# wants to see version 2 even so. Layers on tmpfs, as the tree is one already.
SETUP = """
set -e
mount --make-rshared /
mount -t cgroup2 cgroup2 /sys/fs/cgroup
useradd --create-home --uid %(uid)d user
run=/run/user/%(uid)d
mkdir -p $run %(home)s/.local/share/containers /var/lib/containers
mount -t tmpfs tmpfs %(home)s/.local/share/containers
mount -t tmpfs tmpfs /var/lib/containers
chown -R user:user $run %(home)s
echo "nameserver %(dns)s" >/etc/resolv.conf
cat >/etc/containers/containers.conf <<-END
	[containers]
	cgroups = "disabled"
	default_sysctls = ["net.ipv4.ping_group_range=0 0"]
	[engine]
	cgroup_manager = "cgroupfs"
	events_logger = "file"
END
cat >/etc/containers/storage.conf <<-END
	[storage]
	driver = "overlay"
END
mkdir -p /img/bin /img/etc /img/tmp /img/proc /img/sys /img/dev /img/www
for applet in $(busybox --list); do ln -sf busybox /img/bin/$applet; done
rm /img/bin/busybox
cp "$(command -v busybox)" /img/bin/busybox
echo root:x:0:0:root:/:/bin/sh >/img/etc/passwd
echo hello >/img/www/index.html
tar -C /img -cf /tmp/box.tar .
chmod 644 /tmp/box.tar
"""


class Container:
    """A running container, seen from outside."""

    def __init__(self, engine, name):
        self.engine, self.name = engine, name
        self.pid = int(self.inspect("{{.State.Pid}}"))
        self.ns = Netns(engine.tree.root("/proc/%d/ns/net" % self.pid))

    def inspect(self, what):
        """podman inspect, a template of the fields wanted."""
        return self.engine("inspect", "--format", what, self.name).strip()

    def run(self, *argv, **kw):
        """podman exec. Return: what the program said."""
        return self.engine("exec", self.name, *argv, **kw)

    def remove(self):
        """podman rm, at once."""
        self.ns.close()
        self.engine("rm", "--force", "--time=0", self.name)


class Engine:
    """podman of one user: engine("run", ...) returns what it printed."""

    def __init__(self, procs, net, bindir):
        self.net, self.procs = net, procs
        self.resolver(net.far, DNS4, DNS6)
        self.tree = Tree(procs, net.host, bindir)
        self.tree.run("sh", "-c", SETUP % {
            "uid": USER_ID, "home": HOME, "dns": DNS4})
        self("import", "--quiet", "/tmp/box.tar", IMAGE)
        self._names = 0

    def resolver(self, where, *addresses):
        """A server that knows one name."""
        listen = ["--listen-address=" + address for address in addresses]
        self.procs.start(
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
             "--pid-file=", "--no-resolv", "--no-hosts", "--bind-interfaces",
             "--address=/%s/%s" % (NAME, NAME4),
             "--address=/%s/%s" % (NAME, NAME6), *listen], ns=where)
        wait_for(lambda: where.run("ss", "-Hlnt", "sport = 53").stdout,
                 "dnsmasq")

    def run(self, *argv, **kw):
        """A program of the tree, as the user; see Tree.run."""
        return self.tree.run(*argv, **{"user": USER_ID, "env": USER_ENV, **kw})

    def sh(self, commands, **kw):
        """Commands as in a document. Return: what they printed."""
        return self.run("sh", "-ec", commands, **kw).stdout

    def __call__(self, *args, **kw):
        return self.run("podman", *args, **kw).stdout

    def fails(self, *args):
        """podman that must fail with 126. Return: what it said."""
        res = self.run("podman", *args, check=False)
        assert res.returncode == 126, res.stdout + res.stderr
        return res.stderr

    def once(self, network, *command, opts=(), **kw):
        """A container for one command. Return: what it printed."""
        return self("run", "--rm", "--network", network, *opts, IMAGE,
                    *command, **kw)

    def start(self, network, *opts, command=("sleep", "600")):
        """A container that stays. Return: Container."""
        self._names += 1
        name = "box%d" % self._names
        self("run", "--detach", "--name", name, "--network", network, *opts,
             IMAGE, *command)
        return Container(self, name)

    def pastas(self):
        """PIDs (outside of the tree) of all pasta that run in the tree."""
        return [pid for pid in descendants(self.tree.init)
                if cmdline(pid)[:1] and
                cmdline(pid)[0].rpartition("/")[2] == "pasta"]


def sockaddr(dest, port):
    """Of an address, with %NUMBER of the interface behind it or without."""
    addr, _, scope = dest.partition("%")
    return (addr, port, 0, int(scope)) if scope else (addr, port)


def stream(server_ns, client_ns, fam, dest, port, inner, nbytes, bind=None):
    """A TCP connection to dest:port that arrives at inner: nbytes each way,
    one after the other. Return: address the server saw."""
    with server_ns.sock(fam.af) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((bind or fam.any, inner))
        listener.listen()
        with client_ns.sock(fam.af) as client:
            client.connect(sockaddr(dest, port))
            server, peer = listener.accept()
            server.settimeout(30)
            with server:
                for src, dst in ((client, server), (server, client)):
                    sent = Task(send_bulk, src, nbytes)
                    assert recv_bulk(dst, nbytes) == (sent.result(), nbytes)
                client.shutdown(socket.SHUT_WR)
                assert server.recv(1) == b""
    return peer[0].partition("%")[0]


def datagrams(server_ns, client_ns, fam, dest, port, inner, sizes, bind=None):
    """UDP to dest:port that arrives at inner: these sizes, then an empty
    datagram as the end, and an answer. Return: address the server saw."""
    with server_ns.sock(fam.af, socket.SOCK_DGRAM) as server, \
            client_ns.sock(fam.af, socket.SOCK_DGRAM) as client:
        server.bind((bind or fam.any, inner))
        client.connect(sockaddr(dest, port))
        for i, size in enumerate(sizes):
            client.send(bytes([i % 256]) * size)
        client.send(b"")
        for i, size in enumerate(sizes):
            data = server.recv(65536)
            assert data == bytes([i % 256]) * size, "datagram %d" % i
        data, peer = server.recvfrom(65536)
        assert data == b""
        server.sendto(b"answer", peer)
        server.sendto(b"", peer)
        assert client.recv(100) == b"answer"
        assert client.recv(100) == b""
    return peer[0].partition("%")[0]
