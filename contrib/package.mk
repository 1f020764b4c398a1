# SPDX-License-Identifier: GPL-2.0-or-later
# What is handed out: sources, packages; part of the Makefile

DISTDIR	?= build/dist
TARBALL	:= $(DISTDIR)/passt-$(VERSION).tar.gz

.PHONY: dist pkgs release-check html
dist:
	contrib/dist $(VERSION) $(TARBALL)

# .deb, .rpm and a tarball of static programs; PACKAGER="NAME <ADDRESS>"
pkgs: dist
	contrib/pkgs $(TARBALL) $(DISTDIR)

release-check:
	contrib/release-check

# The manual for browsers, in one directory: pages refer to each other
HTML	:= $(MANS:%=build/html/%.html) build/html/manual.css
html: $(HTML)
build/html/%.html: %
	@mkdir -p $(@D)
	mandoc -T html -O man=%N.%S.html,style=manual.css $< >$@.new
	mv $@.new $@
build/html/manual.css: doc/manual.css
	@mkdir -p $(@D)
	cp $< $@
