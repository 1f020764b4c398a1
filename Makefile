# SPDX-License-Identifier: GPL-2.0-or-later
# Builds passt, pasta (the same binary) and qrap; runs the tests

ifndef VERSION
VERSION	:= $(shell contrib/version)
endif

CC	?= cc
CFLAGS	?= -O2 -g
# Where to, by the names of the GNU coding standards; DESTDIR before all of them
prefix	?= /usr/local
exec_prefix ?= $(prefix)
bindir	?= $(exec_prefix)/bin
libexecdir ?= $(exec_prefix)/libexec
datarootdir ?= $(prefix)/share
datadir	?= $(datarootdir)
mandir	?= $(datarootdir)/man
docdir	?= $(datarootdir)/doc/passt
unitdir	?= $(prefix)/lib/systemd/user
bashcompdir ?= $(datarootdir)/bash-completion/completions
zshcompdir ?= $(datarootdir)/zsh/site-functions
INSTALL	?= install
INSTALL_PROGRAM ?= $(INSTALL) -m 755
INSTALL_SCRIPT ?= $(INSTALL) -m 755
INSTALL_DATA ?= $(INSTALL) -m 644

# SANITIZE=1 adds address and undefined behaviour checks. Objects of every
# compiler and flavour live apart, so that none has to be cleaned for another.
flavour	:= $(notdir $(firstword $(CC)))
ifeq ($(SANITIZE),1)
flavour	:= $(flavour)-sanitize
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	    -fno-omit-frame-pointer
endif
# FUZZ=1, with clang: the same, and instrumented for its fuzzer
ifeq ($(FUZZ),1)
flavour	:= $(flavour)-fuzz
SANFLAGS := -fsanitize=address,undefined,fuzzer-no-link \
	    -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
# FAILPOINTS=1: system calls that fail at random, see test/failpoint
ifeq ($(FAILPOINTS),1)
flavour	:= $(flavour)-failpoints
FAILCALLS := epoll_pwait socket bind connect accept4 setsockopt getsockopt \
	     sendmsg sendmmsg recvmsg recvmmsg recv splice pipe2 epoll_ctl write
override LDFLAGS += $(FAILCALLS:%=-Wl,--wrap=%)
endif
# COVERAGE=1, with gcc: counts of executed lines, see test/cover. Not optimized,
# for lines that are merged cannot be told apart
ifeq ($(COVERAGE),1)
flavour	:= $(flavour)-cover
COVFLAGS := --coverage -fprofile-update=atomic -fdata-sections -O0
COVER	:= test/cover/cover.c
override LDFLAGS += --coverage -Wl,-T,test/cover/counts.ld \
		    -Wl,--wrap=__gcov_exit
endif
ifeq ($(STATIC),1)
flavour	:= $(flavour)-static
LDFLAGS	+= -static
endif
# SECCOMP: what becomes of a system call that is not allowed. trap: a message,
# then the end; kill: the end; off: there is no filter, as sanitizers want it.
SECCOMP ?= $(if $(SANFLAGS),off,trap)
ifeq ($(SECCOMP),kill)
flavour	:= $(flavour)-kill
FILTER	:= -DSECCOMP_KILL
else ifeq ($(SECCOMP),off)
FILTER	:= -DSECCOMP_OFF
ifeq ($(SANFLAGS),)
flavour	:= $(flavour)-unfiltered
endif
else ifneq ($(SECCOMP),trap)
$(error SECCOMP=$(SECCOMP): trap, kill or off)
endif
O	:= build/$(flavour)

override CPPFLAGS += -I. -I$(O) -D_GNU_SOURCE $(FILTER)
BASE	:= -std=c11 -Wall -Wextra -pedantic -Wshadow -Wstrict-prototypes \
	   -Wmissing-prototypes -Wformat=2 -fno-strict-aliasing -pthread \
	   -ffunction-sections -fno-asynchronous-unwind-tables $(SANFLAGS)
# All symbols are looked up at the start, and read-only from then on
override LDFLAGS += -Wl,--gc-sections,-z,now
# Tables of pointers are relocated from a bitmap instead of 24 bytes for each:
# where the linker can write it, and the C library read it (glibc 2.36)
RELR	 = $(shell echo '_Static_assert(__GLIBC_PREREQ(2, 36), "old"); int main;' | \
	     $(CC) -Wl,--fatal-warnings,-z,pack-relative-relocs -w \
	     -include features.h -x c -o $(O)/relr.probe - 2>/dev/null && \
	     echo -Wl,-z,pack-relative-relocs; rm -f $(O)/relr.probe)
# gcc would fill code up with 3 % of nothing, for jumps to land on round addresses,
# and go by a table to functions of the C library which are known at the start;
# clang has no such flags
PACKED	:= -fno-align-functions -fno-align-jumps -fno-align-loops -fno-plt
BASE	+= $(shell $(CC) -Werror $(PACKED) -x c -c -o /dev/null /dev/null \
	     2>/dev/null && echo $(PACKED))
ifneq ($(findstring musl-gcc,$(CC)),)
# musl-gcc leaves out the directories of the kernel's headers
KHDRS	:= $(O)/khdrs
override CPPFLAGS += -idirafter $(KHDRS)
endif

SRCS	:= $(filter-out qrap.c,$(wildcard *.c lib/*.c wire/*.c tap/*.c nl/*.c \
	     tcp/*.c udp/*.c fwd/*.c conf/*.c))
ifeq ($(FAILPOINTS),1)
SRCS	+= test/failpoint/failpoint.c
endif
SRCS	+= $(COVER)
OBJS	:= $(SRCS:%.c=$(O)/%.o)
LIB	:= $(O)/libpasst.a
LINTFLAGS := -std=c11 -D_GNU_SOURCE -I. -I$(O) -DVERSION=\"lint\"
BINS	:= passt pasta qrap
MANS	:= $(wildcard *.1)
DOCS	:= README.md SECURITY.md $(wildcard CHANGELOG.md doc/*.md)
# Copies for administrators, who decide whether they are loaded
PROFILES := $(wildcard contrib/apparmor/* contrib/selinux/*)
COMPS	:= $(O)/completion/passt $(O)/completion/_passt
UNIT	:= $(patsubst test/unit/%.c,$(O)/test/unit/%,\
	     $(wildcard test/unit/test_*.c))
COST	:= $(O)/test/cost/cost
FUZZERS	:= $(patsubst test/fuzz/%.c,$(O)/test/fuzz/%,\
	     $(wildcard test/fuzz/fuzz_*.c))
# What runs once or now and then, or does little but call the kernel, is made small
# rather than fast
SMALL	:= $(patsubst %.c,$(O)/%.o,$(wildcard conf*.c conf/*.c nl/*.c pasta*.c) \
	     arp.c daemon.c dhcp.c dhcpv6.c flow.c frag.c fwd.c guest.c icmp.c \
	     icmp_error.c isolation.c loop.c ndp.c netns.c passt.c pcap.c seccomp.c \
	     sock.c stats.c tcp.c fwd/listen.c fwd/nat.c fwd/procnet.c \
	     fwd/report.c fwd/scan.c fwd/wanted.c lib/bitmap.c lib/busy.c \
	     lib/caps.c lib/dnsname.c lib/errstr.c lib/fdio.c lib/lineread.c \
	     lib/log.c lib/moderate.c lib/notify.c tap/fragment.c tap/trace.c \
	     tcp/hold.c tcp/opt.c tcp/splice.c tcp/timer.c tcp/window.c \
	     udp/err.c udp/flow.c udp/open.c udp/recv.c)
FAKES	:= $(patsubst %.c,$(O)/%.o,$(wildcard test/fake/*.c))

.PHONY: all static failpoints failpoints-bin install install-strip uninstall \
	clean check check-fast check-long coverage coverage-bin unit lint format \
	fuzz fuzz-seeds fuzz-run
all: $(BINS)

# Whatever was built last, of any flavour, and however old it is
passt: $(O)/passt FORCE
	@cmp -s $< $@ || { echo cp -f $< $@; cp -f $< $@; }
pasta: passt
	ln -sf passt $@
qrap: $(O)/qrap FORCE
	@cmp -s $< $@ || { echo cp -f $< $@; cp -f $< $@; }
FORCE:

static:
	$(MAKE) STATIC=1

# Beside the ordinary build, which stays as it is
failpoints:
	$(MAKE) --no-print-directory FAILPOINTS=1 failpoints-bin
failpoints-bin: $(O)/pasta
coverage-bin: $(O)/pasta $(O)/qrap $(UNIT)

ifeq ($(filter -O2,$(CFLAGS)),-O2)
# -Oz: as clang has it, gcc from version 12 on
SMALLER	:= $(shell $(CC) -Oz -x c -c -o /dev/null /dev/null 2>/dev/null && \
	     echo -Oz || echo -Os)
$(SMALL): override CFLAGS += $(SMALLER)
endif
$(O)/passt: $(OBJS)
	$(CC) $(CFLAGS) $(BASE) $(LDFLAGS) $(RELR) -o $@ $^
$(O)/pasta: $(O)/passt
	ln -sf passt $@
$(O)/qrap: $(O)/qrap.o $(COVER:%.c=$(O)/%.o)
	$(CC) $(CFLAGS) $(BASE) $(LDFLAGS) -o $@ $^

$(O)/%.o: %.c | $(KHDRS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(BASE) $(COVFLAGS) -MMD -MP -c -o $@ $<

# Those that tell the version: again if it is another one, and only then
$(O)/conf/set.o $(O)/lib/log.o $(O)/qrap.o: $(O)/version
$(O)/conf/set.o $(O)/lib/log.o $(O)/qrap.o: \
	override CPPFLAGS += -DVERSION='"$(VERSION)"'
$(O)/version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@

# From comments of all sources
$(O)/seccomp_filter.h: seccomp.sh $(SRCS) | $(KHDRS)
	@mkdir -p $(@D)
	@echo "CC='$(CC)' ./seccomp.sh ... >$@"
	@CC='$(CC)' CPPFLAGS='$(if $(KHDRS),-idirafter $(KHDRS))' \
		./seccomp.sh $(SRCS) >$@.new && mv $@.new $@
$(O)/seccomp.o $(O)/test/unit/test_seccomp.o: $(O)/seccomp_filter.h

# Only what the C library has not: <linux/...>, <asm/...>, <asm-generic/...>
ifdef KHDRS
$(KHDRS):
	mkdir -p $@
	ln -sfn /usr/include/linux $@/linux
	ln -sfn /usr/include/asm-generic $@/asm-generic
	ln -sfn $$(dirname $$(echo '#include <asm/types.h>' | \
		gcc -E -x c - | sed -n 's/^# 1 "\(.*asm\/types.h\)".*/\1/p' | \
		head -n 1)) $@/asm
endif

# Made by asking the program itself; RUN, such as qemu-arm, if it is for another
# machine than this one
$(O)/completion/passt $(O)/completion/_passt: $(O)/passt \
		contrib/completion/generate
	@mkdir -p $(@D)
	ln -sf passt $(O)/pasta
	contrib/completion/generate $(if $(findstring _,$(@F)),zsh,bash) $(O) \
		>$@.new
	mv $@.new $@

# Every unit test links what it needs of the program's objects and the fakes
$(LIB): $(filter-out $(O)/passt.o,$(OBJS)) $(FAKES)
	rm -f $@
	$(AR) rcs $@ $^
$(UNIT) $(COST): %: %.o $(LIB)
	$(CC) $(CFLAGS) $(BASE) $(LDFLAGS) -o $@ $< $(LIB) -lcmocka

unit: $(UNIT)
	@for t in $(UNIT); do $$t || exit 1; done

# Each parser for FUZZ_SECONDS; inputs found stay in the build directory. What
# unit tests feed is what fuzzers begin with.
FUZZ_SECONDS ?= 10
SEEDS	:= build/fuzz-seeds
SEEDERS	:= $(patsubst %.c,%,$(notdir $(shell grep -lE \
	     'fuzz_seed|tap_mem_inject|unit/resp.h' test/unit/test_*.c)))
$(O)/test/fuzz/%: $(O)/test/fuzz/%.o $(LIB)
	$(CC) $(CFLAGS) $(BASE) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(LIB) \
		-lcmocka
fuzz: fuzz-seeds
	$(MAKE) --no-print-directory CC=clang FUZZ=1 fuzz-run
fuzz-seeds: $(SEEDERS:%=$(O)/test/unit/%)
	rm -rf $(SEEDS)
	mkdir -p $(SEEDS)
	@for t in $^; do FUZZ_CORPUS=$(SEEDS) $$t >$(SEEDS).log 2>&1 || \
		{ cat $(SEEDS).log; exit 1; }; done
fuzz-run: $(FUZZERS)
	@test/fuzz/run $(FUZZ_SECONDS) $(SEEDS) $(FUZZERS)

check-fast: all $(UNIT)
	UNIT_DIR=$(O)/test/unit test/run fast
# The same by programs that count lines, and a table of how many were executed
COVERED	:= build/gcc-cover
coverage:
	$(MAKE) --no-print-directory CC=gcc COVERAGE=1 coverage-bin
	COVER_DIR=$(COVERED) test/run fast
# All of it, with the tools that are missing installed before (as root): every
# parser fuzzed for a while, then tests, those with real programs once more with
# programs that are killed without a word for a system call not allowed, by two C
# libraries; and what coverage does
KILLERS	:= cc musl-gcc-static
check:
	test/install-tools
	$(MAKE) --no-print-directory all $(UNIT) $(COST)
	$(MAKE) --no-print-directory CC=cc SECCOMP=kill \
		build/cc-kill/pasta build/cc-kill/qrap
	$(MAKE) --no-print-directory CC=musl-gcc STATIC=1 SECCOMP=kill \
		build/musl-gcc-static-kill/pasta \
		build/musl-gcc-static-kill/qrap
	$(MAKE) --no-print-directory CC=gcc COVERAGE=1 coverage-bin
	$(MAKE) --no-print-directory fuzz
	UNIT_DIR=$(O)/test/unit COVER_DIR=$(COVERED) \
		KILL_DIRS="$(KILLERS:%=build/%-kill)" test/run all
# Load and faults, for as long and with as much as is worth waiting for: half an
# hour
check-long:
	test/install-tools
	$(MAKE) --no-print-directory all
	test/run long

# What a reader should not have to look for; versions as in Debian 12
lint: $(O)/seccomp_filter.h
	clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h')
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -I. -I$(O) \
		--enable=warning,performance,portability -D_GNU_SOURCE \
		-DVERSION='"lint"' $$(git ls-files '*.c' | grep -v ^test/)
	git ls-files '*.c' | grep -v ^test/ | xargs -P 2 -n 8 sh -c \
		'clang-tidy --quiet "$$@" -- $(LINTFLAGS) 2>/dev/null' tidy
	reuse lint --quiet
	for m in $(MANS); do mandoc -T lint -W warning $$m || exit 1; done

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

# The replacement of slirp4netns is for those who put it into their PATH under
# that name, so it is not in bindir
install: all $(COMPS)
	$(INSTALL) -d $(DESTDIR)$(bindir) $(DESTDIR)$(mandir)/man1 \
		$(DESTDIR)$(docdir) $(DESTDIR)$(bashcompdir) \
		$(DESTDIR)$(zshcompdir) $(DESTDIR)$(libexecdir)/passt \
		$(DESTDIR)$(unitdir)
	$(INSTALL_PROGRAM) passt qrap $(DESTDIR)$(bindir)/
	ln -sf passt $(DESTDIR)$(bindir)/pasta
	$(INSTALL_SCRIPT) contrib/slirp4netns $(DESTDIR)$(libexecdir)/passt/
	$(INSTALL_DATA) $(MANS) $(DESTDIR)$(mandir)/man1/
	ln -sf passt.1 $(DESTDIR)$(mandir)/man1/pasta.1
	$(INSTALL_DATA) $(DOCS) $(DESTDIR)$(docdir)/
	$(INSTALL_DATA) $(O)/completion/passt $(DESTDIR)$(bashcompdir)/
	ln -sf passt $(DESTDIR)$(bashcompdir)/pasta
	$(INSTALL_DATA) $(O)/completion/_passt $(DESTDIR)$(zshcompdir)/
	sed 's,/usr/bin/,$(bindir)/,' contrib/systemd/passt@.service \
		>$(DESTDIR)$(unitdir)/passt@.service
	chmod 644 $(DESTDIR)$(unitdir)/passt@.service
	for f in $(PROFILES:contrib/%=%); do \
		$(INSTALL) -D -m 644 contrib/$$f \
			$(DESTDIR)$(datadir)/passt/$$f || exit 1; \
	done

install-strip:
	$(MAKE) INSTALL_PROGRAM='$(INSTALL_PROGRAM) -s' install

uninstall:
	rm -f $(BINS:%=$(DESTDIR)$(bindir)/%) \
		$(MANS:%=$(DESTDIR)$(mandir)/man1/%) \
		$(DESTDIR)$(mandir)/man1/pasta.1 \
		$(DESTDIR)$(bashcompdir)/passt $(DESTDIR)$(bashcompdir)/pasta \
		$(DESTDIR)$(zshcompdir)/_passt $(DESTDIR)$(unitdir)/passt@.service
	rm -rf $(DESTDIR)$(docdir) $(DESTDIR)$(libexecdir)/passt \
		$(DESTDIR)$(datadir)/passt

clean:
	rm -rf build $(BINS)

include contrib/package.mk

# Objects of tests are no by-products to be thrown away
.PRECIOUS: $(O)/%.o

-include $(shell find build -name '*.d' 2>/dev/null)
