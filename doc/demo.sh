#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo: See pasta and passt at work, in a network that is nobody else's
#
#	doc/demo.sh [pasta|passt]...
#
# As an ordinary user; nothing of the machine is touched, and no packet leaves
# it. In namespaces of its own this makes a host and, behind a cable, the world
# with a web server. Every command of interest is shown before it is run:
#
#	world, 198.51.100.1 --- 192.0.2.1 ===== 192.0.2.10, host --- guest
#	     2001:db8:2::1   2001:db8:1::1      2001:db8:1::10
#
# The guest of pasta is a command in a namespace, that of passt a virtual machine
# with a kernel of Debian's and busybox. Needed: iproute2, busybox with httpd and
# wget (busybox-static); for passt: QEMU 7.2 and what test/guest/build needs.
#
# PASST_BIN_DIR: where passt and pasta are, default: the top of this tree.
# GUEST_IMAGES: where vmlinuz and initramfs are, default: built.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
bin=${PASST_BIN_DIR:-$top}

if [[ ${1-} != --inside ]]; then
	(($#)) || set -- pasta passt
	exec unshare --user --map-root-user --net --mount -- \
		"$0" --inside "$@"
fi
shift

tmp=$(mktemp -d)
pids=()
finish() {
	((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || :
	wait
	rm -rf "$tmp"
}
trap finish EXIT

say() { printf '\n# %s\n' "$*"; }

# End what was started last
end() {
	kill "${pids[-1]}" 2>/dev/null || :
	wait "${pids[-1]}" 2>/dev/null || :
	unset 'pids[-1]'
}

# show COMMAND... - print what is typed, then do it
show() {
	printf '$ %s\n' "$*"
	"$@"
}

# Programs of our own are shown by their names alone
pasta() { "$bin/pasta" "$@"; }
web() { busybox wget -q -O - "$@"; }
world() { nsenter --net="/proc/$world/ns/net" -- "$@"; }

# until_true COMMAND... - try for half a minute
until_true() {
	local i

	for ((i = 0; i < 300; i++)); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	echo "$0: in vain: $*" >&2
	return 1
}
other_netns() {
	[[ $(readlink "/proc/$1/ns/net") != "$(readlink /proc/self/ns/net)" ]]
}

make_network() {
	unshare --net sleep 600 &
	world=$!
	pids+=("$world")
	until_true other_netns "$world"

	ip link add eth0 type veth peer name eth0 netns "$world"
	ip -batch - <<-END
		link set lo up
		link set eth0 up
		address add 192.0.2.10/24 dev eth0
		address add 2001:db8:1::10/64 dev eth0 nodad
	END
	world ip -batch - <<-END
		link set lo up
		link set eth0 up
		address add 192.0.2.1/24 dev eth0
		address add 2001:db8:1::1/64 dev eth0 nodad
		address add 198.51.100.1 dev lo
		address add 2001:db8:2::1 dev lo nodad
	END
	ip route add default via 192.0.2.1
	ip route add default via 2001:db8:1::1

	mkdir "$tmp/world" "$tmp/guest"
	echo "This is the world." >"$tmp/world/index.html"
	echo "This is the guest." >"$tmp/guest/index.html"
	# Not a function, whose shell would be ended instead
	nsenter --net="/proc/$world/ns/net" -- \
		busybox httpd -f -p 80 -h "$tmp/world" &
	pids+=("$!")
	until_true web http://198.51.100.1/
}

demo_pasta() {
	say "A command in a network namespace: it has the host's addresses"
	show pasta --config-net -- ip -brief address
	say "and reaches the world, by either version of IP"
	show pasta --config-net -- busybox wget -q -O - http://198.51.100.1/
	show pasta --config-net -- busybox wget -q -O - 'http://[2001:db8:2::1]/'

	say "A server in a namespace, at port 8080 of the host"
	echo "\$ pasta --config-net -t 8080:80 -- busybox httpd -f -p 80 &"
	"$bin/pasta" --config-net -t 8080:80 -- \
		busybox httpd -f -p 80 -h "$tmp/guest" &
	pids+=("$!")
	until_true world busybox wget -q -O - http://192.0.2.10:8080/
	say "The world asks the host for it"
	show world busybox wget -q -O - http://192.0.2.10:8080/
	end
}

# guest COMMAND - have the virtual machine run it; its status
guest() {
	local line

	printf 'guest$ %s\n' "$*"
	printf '%s\n' "$*" >&"${QEMU[1]}"
	while read -r -t 60 line <&"${QEMU[0]}"; do
		line=${line%$'\r'}
		[[ $line =~ ^'<<'([0-9]+)'>>'$ ]] && return "${BASH_REMATCH[1]}"
		printf '%s\n' "$line"
	done
	echo "$0: the guest says nothing" >&2
	return 1
}

demo_passt() {
	local images=${GUEST_IMAGES:-$tmp/images} line

	[[ -e $images/initramfs ]] || "$top/test/guest/build" "$images"

	say "passt waits for a virtual machine; its port 80 is 8080 of the host"
	echo "\$ passt --socket vm.socket -t 8080:80"
	"$bin/passt" --foreground --quiet --socket "$tmp/vm.socket" \
		-t 8080:80 &
	pids+=("$!")
	until_true test -S "$tmp/vm.socket"

	say "QEMU connects to it"
	cat <<-'END'
		$ qemu-system-x86_64 ... -device virtio-net-pci,netdev=n \
		    -netdev stream,id=n,server=off,addr.type=unix,addr.path=vm.socket
	END
	coproc QEMU {
		exec qemu-system-x86_64 -nodefaults -no-user-config -no-reboot \
			-display none -accel tcg,thread=multi \
			-m 160 -kernel "$images/vmlinuz" \
			-initrd "$images/initramfs" -append "console=ttyS0 \
			quiet panic=-1 mitigations=off nokaslr tsc=unstable \
			random.trust_cpu=on" -serial "file:$tmp/console" \
			-chardev stdio,id=c,signal=off -serial chardev:c \
			-device virtio-net-pci,netdev=n,romfile= -netdev \
			"stream,id=n,server=off,addr.type=unix,addr.path=$tmp/vm.socket" \
			2>"$tmp/qemu.log"
	}
	# shellcheck disable=SC2153
	pids+=("$QEMU_PID")
	while read -r -t 120 line <&"${QEMU[0]}"; do
		[[ $line != *'<<ready>>'* ]] || break
	done
	[[ $line == *'<<ready>>'* ]] || { cat "$tmp/qemu.log" >&2; return 1; }

	say "The guest gets the host's address by DHCP, and by advertisement"
	guest 'ip link set eth0 up'
	guest 'udhcpc -q -n -i eth0 -s /etc/lease'
	guest 'ip -4 address show dev eth0 | grep inet'
	say "and reaches the world"
	guest 'wget -q -O - http://198.51.100.1/'
	say "The world asks the host for a page, and gets it from the guest"
	guest 'echo "This is the machine." >/www/index.html; httpd -h /www'
	until_true world busybox wget -q -O - http://192.0.2.10:8080/
	show world busybox wget -q -O - http://192.0.2.10:8080/
	end
	end
}

make_network
for part; do
	case $part in
	pasta|passt)	"demo_$part" ;;
	*)		echo "usage: $0 [pasta|passt]..." >&2; exit 1 ;;
	esac
done
say "That was all."
