# SPDX-License-Identifier: GPL-2.0-or-later
"""What is handed out: version, sources, packages; and the README's promise."""

import glob
import os
import re
import shutil
import subprocess
import tarfile

import pytest

from daemon import TOP
from fresh import Fresh
from procs import Procs

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("package")]


def run(*argv, cwd=TOP, timeout=140, **env):
    """Run to the end, which has to be a good one. Return: its output."""
    clean = {k: v for k, v in os.environ.items()
             if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "VERSION")}
    res = subprocess.run(list(map(str, argv)), cwd=cwd, text=True, timeout=timeout,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         check=False, env={**clean, **env})
    assert res.returncode == 0, "%s\n%s" % (argv, res.stdout)
    return res.stdout.strip()


def one(pattern):
    """The one file of that name."""
    found = glob.glob(pattern)
    assert len(found) == 1, "%s: %s" % (pattern, found)
    return found[0]


def sources_of(directory):
    """The tarball with the sources; its name may end as it will, in a hash."""
    found = [name for name in glob.glob("%s/passt-*.tar.gz" % directory)
             if "-static-" not in os.path.basename(name)]
    assert len(found) == 1, found
    return found[0]


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """Directory with sources and packages of the tree as it is."""
    dest = tmp_path_factory.mktemp("dist")
    run("make", "-s", "pkgs", "DISTDIR=%s" % dest, timeout=600)
    yield str(dest)
    shutil.rmtree(dest)


@pytest.fixture(scope="module")
def source(dist):
    """The sources, unpacked from their tarball."""
    with tarfile.open(sources_of(dist)) as tar:
        tar.extractall(dist + "/src")
    return one(dist + "/src/passt-*")


@pytest.fixture
def fresh(net):
    """A fresh Debian in the closed network."""
    procs = Procs()
    try:
        tree = Fresh(procs, net.host)
        yield tree
        tree.close()
    finally:
        procs.end()


def test_version(tmp_path):
    """Of a repository without tags, with tags, changed; of an export."""
    repo = tmp_path / "repo"
    (repo / "contrib").mkdir(parents=True)
    shutil.copy(os.path.join(TOP, ".version"), repo)
    shutil.copy(os.path.join(TOP, ".gitattributes"), repo)
    shutil.copy(os.path.join(TOP, "contrib/version"), repo / "contrib")

    def git(*argv):
        return run("git", "-c", "user.name=n", "-c", "user.email=e", *argv,
                   cwd=repo, GIT_COMMITTER_DATE="2026-02-03T04:05:06Z",
                   GIT_AUTHOR_DATE="2026-02-03T04:05:06Z", TZ="UTC")

    def version(where=repo):
        return run(where / "contrib/version", cwd=where, TZ="UTC")

    def exported(name):
        run("sh", "-c", "git archive --prefix=%s/ HEAD | tar -xC .." % name,
            cwd=repo)
        return version(tmp_path / name)

    assert version() == "0~unknown"
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    short = git("rev-parse", "HEAD")[:12]
    assert version() == exported("a") == "0~git20260203." + short
    git("tag", "-a", "-m", "t", "v1.2")
    assert version() == exported("b") == "1.2"
    git("commit", "-q", "--allow-empty", "-m", "two")
    short = git("rev-parse", "HEAD")[:12]
    assert version() == exported("c") == "1.2+1.g" + short
    (repo / "contrib/version").chmod(0o700)
    with open(repo / ".gitattributes", "a", encoding="ascii") as f:
        f.write("\n")
    assert version() == "1.2+1.g%s+dirty" % short


def test_dist_same_bytes(dist, source, tmp_path):
    """Two tarballs of a tree are equal, also that of what is unpacked."""
    first = sources_of(dist)
    version = run("contrib/version")
    assert os.path.basename(first) == "passt-%s.tar.gz" % version
    assert run("contrib/version", cwd=source) == version
    names = [first]
    for i, where in enumerate((TOP, source)):
        run("make", "-s", "dist", "DISTDIR=%s/%d" % (tmp_path, i), cwd=where)
        names.append(one("%s/%d/*.tar.gz" % (tmp_path, i)))
    for name in names[1:]:
        run("cmp", first, name)
    files = [os.path.relpath(os.path.join(d, f), source)
             for d, _, fs in os.walk(source) for f in fs]
    assert sorted(files) == sorted(run("git", "ls-files").splitlines())


def test_packages_same_bytes(dist, tmp_path):
    """Built again, all of them are the same."""
    sources = sources_of(dist)
    run("contrib/pkgs", sources, tmp_path, timeout=140)
    built = os.listdir(tmp_path)
    assert len(built) >= 3
    for name in built:
        run("cmp", tmp_path / name, os.path.join(dist, name))


def test_lintian(dist):
    """No error, no warning."""
    out = run("lintian", "--allow-root", "--fail-on", "error,warning",
              "--suppress-tags", "bogus-mail-host", one(dist + "/passt_*.deb"))
    assert not re.search(r"^[EW]:", out, re.MULTILINE), out


def hello(net, fresh):
    """Data to a server of the world, by bash alone, through pasta there."""
    port = net.port()
    server = net.far.sock(2)
    server.bind(("198.51.100.1", port))
    server.listen(1)
    fresh.run("pasta", "--config-net", "--", "bash", "-c",
              "echo hello >/dev/tcp/198.51.100.1/%d" % port, user=1000)
    assert server.accept()[0].recv(100) == b"hello\n"
    server.close()


def test_deb(dist, net, fresh):
    """Installed into a fresh Debian, it works; removed, nothing is left."""
    before = fresh.files()
    shutil.copy(one(dist + "/passt_*.deb"), fresh.root("/tmp/passt.deb"))
    fresh.run("dpkg", "--install", "/tmp/passt.deb")
    added = fresh.files() - before
    for name in ("bin/pasta", "bin/qrap", "share/man/man1/pasta.1.gz",
                 "share/bash-completion/completions/pasta",
                 "share/zsh/vendor-completions/_passt",
                 "lib/systemd/user/passt@.service",
                 "libexec/passt/slirp4netns", "share/doc/passt/README.md"):
        assert "/usr/" + name in added
    for kind in ("apparmor", "selinux"):
        for name in glob.glob("%s/contrib/%s/*" % (TOP, kind)):
            assert "/usr/share/passt/%s/%s" % (
                kind, os.path.basename(name)) in added
    version = run("contrib/version")
    assert fresh.run("pasta", "--version").stdout.startswith(
        "pasta " + version + "\n")

    # The interface of the host, its address in the table of routes
    out = fresh.run("pasta", "--config-net", "--", "cat",
                    "/proc/net/fib_trie", "/proc/net/if_inet6",
                    user=1000).stdout
    assert "|-- 192.0.2.10" in out
    assert "20010db8000100000000000000000010" in out
    hello(net, fresh)

    fresh.run("dpkg", "--purge", "passt")
    assert fresh.files() == before


def test_rpm(dist, tmp_path):
    """The same files as elsewhere, nothing needed but the C library; nothing
    is left when removed, and rpmlint has nothing against it."""
    rpm = one(dist + "/passt-*.rpm")
    out = run("rpmlint", "--strict", "--config",
              os.path.join(TOP, "contrib/rpm/rpmlint.toml"), rpm)
    assert " 0 errors, 0 warnings" in out
    needs = {line.split("(")[0].split(".so")[0] for line in
             run("rpm", "-qp", "--requires", rpm).splitlines()}
    assert needs <= {"libc", "rpmlib", "/bin/sh", "/bin/bash",
                     "/usr/bin/bash", "rtld", "ld-linux-x86-64"}, needs

    def files():
        return [f for d, _, fs in os.walk(tmp_path) for f in
                (os.path.join(d, name) for name in fs) if "/rpm/" not in f]
    there = ("rpm", "--root", tmp_path, "--dbpath", "/rpm", "--nodeps")
    run(*there, "--nosignature", "-i", rpm)
    for page in ("passt", "pasta", "qrap"):
        assert len(run("mandoc", "-T", "ascii", os.path.realpath(
            tmp_path / "usr/share/man/man1" / (page + ".1.gz")))) > 1000
    assert "/usr/bin/passt" in \
        (tmp_path / "usr/lib/systemd/user/passt@.service").read_text()
    assert run("contrib/version") in \
        run(tmp_path / "usr/bin/pasta", "--version")
    run(*there, "-e", "passt")
    assert not files()


def test_static(dist, tmp_path, net, fresh):
    """Runs where there is no library, nor anything else; in a Debian, for a
    user and with data; what was unpacked is all there is to remove."""
    tarball = one(dist + "/passt-*-static-*.tar.gz")
    with tarfile.open(tarball) as tar:
        names = tar.getnames()
        tar.extractall(tmp_path)
    for name in ("passt", "pasta"):
        out = run("chroot", tmp_path, "/usr/local/bin/" + name, "--version")
        assert out.startswith(name + " " + run("contrib/version") + "\n")

    before = fresh.files()
    shutil.copy(tarball, fresh.root("/tmp/static.tar.gz"))
    fresh.run("tar", "-xzf", "/tmp/static.tar.gz", "-C", "/")
    fresh.run("rm", "/tmp/static.tar.gz")
    hello(net, fresh)
    added = fresh.files() - before
    assert added <= {"/" + name for name in names}
    fresh.run("rm", "-r", *sorted(added), check=False)
    assert fresh.files() == before


def test_readme(source, fresh):
    """README's line to build and run, as it is there, on a fresh Debian; the
    one that tests is what continuous integration runs."""
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as f:
        text = f.read().partition("## Build and run")[2].partition("\n## ")[0]
    build, check = re.findall(r"^    (.*)$", text, re.MULTILINE)
    words = check.split()
    assert words[0] == "sudo"
    with open(os.path.join(TOP, ".ci/run"), encoding="utf-8") as f:
        last = f.read().strip().splitlines()[-1].split()
    assert [w for w in last
            if w not in ("exec", "--no-print-directory")] == words[1:]

    home = fresh.root("/home/user/passt")
    shutil.copytree(source, home)
    fresh.run("chown", "-R", "user:", "/home/user/passt")
    res = fresh.run("sudo", "-u", "user", "-i", "bash", "-c",
                    "cd ~/passt && " + build, stdin=None, timeout=140,
                    input="cat /proc/net/route /proc/net/if_inet6\nexit 7\n",
                    check=False)
    assert res.returncode == 7, res.stdout + res.stderr
    # Default route by 192.0.2.1, and the host's address
    assert re.search(r"^eth0\s+00000000\s+010200C0\s", res.stdout,
                     re.MULTILINE), res.stdout
    assert "20010db8000100000000000000000010" in res.stdout


def test_release_check(tmp_path):
    """It takes a tagged commit whose CHANGELOG.md says so, and nothing else."""
    repo = tmp_path / "repo"
    run("git", "clone", "-q", "--no-tags", "--depth=1", "file://" + TOP, repo)
    for name in ("release-check", "version"):
        shutil.copy(os.path.join(TOP, "contrib", name), repo / "contrib")

    def git(*argv):
        return run("git", "-c", "user.name=n", "-c", "user.email=e", *argv,
                   cwd=repo)

    def check():
        res = subprocess.run(["contrib/release-check", "--words"], cwd=repo,
                             text=True, stderr=subprocess.PIPE, check=False)
        return res.stderr.strip() if res.returncode else "fine"

    def changelog(heading):
        path = repo / "CHANGELOG.md"
        path.write_text("# Changes\n\n## %s\n\n## 1.1\n" % heading)
        assert "not committed" in check()
        git("add", "-A")
        git("commit", "-q", "-m", heading)
        assert "no tag" in check()
        git("tag", "-f", "-a", "-m", "t", "v1.2")

    changelog("Unreleased")
    assert "CHANGELOG.md begins with 'Unreleased'" in check()
    changelog("1.2 (2026-11-22)")
    assert check() == "fine"
