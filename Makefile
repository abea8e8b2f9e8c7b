# SPDX-License-Identifier: GPL-2.0-only
# `make help` says what there is.

KERNELRELEASE ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KERNELRELEASE)/build
DESTDIR ?=
VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)

MODPROBE_D := $(DESTDIR)/etc/modprobe.d
UAPI := $(DESTDIR)/usr/include/linux
PREFIX ?= /usr/local
MANDIR ?= $(PREFIX)/share/man
MAN4 := $(DESTDIR)$(MANDIR)/man4
UDEV_RULES := $(DESTDIR)/usr/lib/udev/rules.d
UPDATES := $(DESTDIR)/lib/modules/$(KERNELRELEASE)/updates
DKMS_SRC := $(DESTDIR)/usr/src/vhx-$(VERSION)
DKMS := $(shell command -v dkms 2>/dev/null)

# What `make sign` signs with: DKMS's own key unless said otherwise.
KEY ?= /var/lib/dkms/mok.key
CERT ?= /var/lib/dkms/mok.pub

all: modules

help:
	@echo 'make demo         run a guest through vhx_net in a VM, beside in-tree'
	@echo 'make check        tests each feature; check-fast: 3 minutes; check-all: hours'
	@echo 'make [modules]    build vhx_net.ko for KERNELRELEASE or KDIR'
	@echo 'make install      by DKMS when present, else below updates/'
	@echo 'make uninstall    in-tree vhost_net serves again'
	@echo 'make sign         sign vhx_net.ko with KEY and CERT'
	@echo 'make tools        libvhx, vhx-switch, vhx-top, vhx-pin, vhx-status into OUTPUT (/tmp/vhx-tools)'
	@echo 'make install-tools  programs, libraries, headers, man pages, units; uninstall-tools'
	@echo 'make demo-user    two guests through vhx-switch, without the module'
	@echo 'make bench        ring engine benchmark'
	@echo 'make bench-net    instructions a packet, ours beside in-tree, in a VM'
	@echo 'make bench-here   the same on this machine, modules loaded, by clock and counters'
	@echo 'make bench-lib    libvhx beside librte_vhost, on one core and across two'
	@echo 'make bench-switch vhx-switch beside OVS with DPDK, and beside taps and a bridge'
	@echo 'make coverage     lines of engine and libvhx that tests run, into OUTPUT (/tmp/vhx-coverage)'
	@echo 'make docs         Documentation/ as HTML, with plots and API, into OUTPUT (/tmp/vhx-docs)'
	@echo 'make deb          Debian packages into OUTPUT (/tmp/vhx-deb), in a clean root'
	@echo 'make clean        remove what a build in the tree made'

modules clean:
	@test -d $(KDIR) || { echo 'No kernel headers at $(KDIR): apt-get install linux-headers-$(KERNELRELEASE), or set KDIR'; exit 1; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) $@

demo:
	@tools/testing/vm/demo.sh

demo-user:
	@tools/testing/switch/demo.sh

# The library first, for its own flags; vhx-switch links what it finds in lib/.
tools install-tools: OUTPUT ?= /tmp/vhx-tools
tools:
	$(MAKE) -C tools/lib/vhx OUTPUT=$(abspath $(OUTPUT))/lib
	$(MAKE) -C tools/vhx-switch OUTPUT=$(abspath $(OUTPUT))
	$(MAKE) -C tools/vhx-top OUTPUT=$(abspath $(OUTPUT))

# PREFIX, LIBDIR, MANDIR and DESTDIR as usual; /usr/local unless said otherwise.
install-tools:
	$(MAKE) -C tools/lib/vhx OUTPUT=$(abspath $(OUTPUT))/lib install
	$(MAKE) -C tools/vhx-switch OUTPUT=$(abspath $(OUTPUT)) install
	$(MAKE) -C tools/vhx-top OUTPUT=$(abspath $(OUTPUT)) install
	$(MAKE) -C tools/completion install

uninstall-tools:
	$(MAKE) -C tools/lib/vhx uninstall
	$(MAKE) -C tools/vhx-switch uninstall
	$(MAKE) -C tools/vhx-top uninstall
	$(MAKE) -C tools/completion uninstall

check:
	@tools/testing/check

check-fast:
	@tools/testing/check fast

check-all:
	@tools/testing/check all

bench:
	$(MAKE) -C tools/testing/ring bench

bench-net:
	@tools/testing/bench/net.sh

bench-here:
	@tools/testing/bench/net.sh --here

bench-lib:
	@tools/testing/bench/lib.sh

bench-switch:
	@tools/testing/bench/switch.sh
	@tools/testing/bench/switch_vm.sh

docs: OUTPUT ?= /tmp/vhx-docs
docs:
	@scripts/build-docs $(OUTPUT)

coverage: OUTPUT ?= /tmp/vhx-coverage
coverage:
	@tools/testing/coverage $(OUTPUT)

deb: OUTPUT ?= /tmp/vhx-deb
deb:
	@scripts/build-deb $(abspath $(OUTPUT))

# Two rules for one node, and DKMS would know the module twice.
no-package:
	@! [ -e '$(DESTDIR)/usr/lib/modprobe.d/vhx-dkms.conf' ] || { \
		echo 'The package vhx-dkms is installed: apt-get purge vhx-dkms'; exit 1; }

# Before anything is changed, with make -j as well.
install-dkms install-updates: no-package

install: no-package $(if $(DKMS),install-dkms,install-updates)
	install -D -m 644 -t $(MODPROBE_D) etc/vhx.conf etc/vhx-slots.conf
	install -D -m 644 include/uapi/linux/vhx.h $(UAPI)/vhx.h
	install -D -m 644 Documentation/man/vhx_net.4 $(MAN4)/vhx_net.4
	install -D -m 644 etc/60-vhx.rules $(UDEV_RULES)/60-vhx.rules
	@if [ -z '$(DESTDIR)' ] && [ -d /sys/module/vhost_net ]; then \
		echo 'vhost_net is loaded: once no VM uses it, rmmod vhost_net vhost;'; \
		echo 'the next open of /dev/vhost-net loads vhx_net.'; \
	fi

# All versions that DKMS knows: `vhx/0.1.0` or `vhx, 0.1.0` by its own version.
DKMS_REMOVE = dkms status vhx | sed -n 's|^vhx[/,] *\([^,:]*\).*|vhx/\1|p' | \
	sort -u | while read -r module; do dkms remove "$$module" --all; done

# DKMS keeps its own copy; what was installed before is replaced.
install-dkms:
	[ -n '$(DESTDIR)' ] || { $(DKMS_REMOVE); }
	rm -rf $(DKMS_SRC) $(UPDATES)/vhx_net.ko
	mkdir -p $(DKMS_SRC)
	cp -r Kbuild Makefile dkms.conf COPYING LICENSES drivers include etc \
		$(DKMS_SRC)
	[ -n '$(DESTDIR)' ] || dkms add vhx/$(VERSION)
	@[ -n '$(DESTDIR)' ] || dkms install vhx/$(VERSION) -k $(KERNELRELEASE) || \
		{ [ $$? = 77 ] && echo 'This kernel is not supported: in-tree vhost_net goes on serving it.'; }

# Built here, unless MODULE= names one that was built elsewhere.
MODULE ?=
install-updates: $(if $(MODULE),,modules)
	install -D -m 644 $(or $(MODULE),vhx_net.ko) $(UPDATES)/vhx_net.ko
	[ -n '$(DESTDIR)' ] || depmod $(KERNELRELEASE)

uninstall: no-package
	rm -f $(MODPROBE_D)/vhx.conf $(MODPROBE_D)/vhx-slots.conf \
		$(UAPI)/vhx.h $(MAN4)/vhx_net.4 $(UDEV_RULES)/60-vhx.rules
	[ -n '$(DESTDIR)' ] || rm -f /run/vhx-refused
	[ -z '$(DKMS)' ] || [ -n '$(DESTDIR)' ] || { $(DKMS_REMOVE); }
	rm -rf $(DESTDIR)/usr/src/vhx-[0-9]* $(UPDATES)/vhx_net.ko
	[ -n '$(DESTDIR)' ] || depmod $(KERNELRELEASE)
	@if [ -n '$(DESTDIR)' ] || ! [ -d /sys/module/vhx_net ]; then :; \
	elif rmmod vhx_net; then rmmod vhost 2>/dev/null || :; \
	else \
		echo 'vhx_net is still loaded: its VMs keep it. Once they are'; \
		echo 'gone, rmmod vhx_net vhost; the next open loads vhost_net.'; \
	fi

sign: vhx_net.ko
	@test -r '$(KEY)' -a -r '$(CERT)' || { echo 'No key: set KEY and CERT, or have DKMS make its own'; exit 1; }
	$(KDIR)/scripts/sign-file sha256 $(KEY) $(CERT) vhx_net.ko

vhx_net.ko:
	$(MAKE) modules

.PHONY: all help modules clean demo demo-user tools install-tools uninstall-tools check check-fast check-all bench bench-net bench-here bench-lib bench-switch coverage docs install \
	no-package install-dkms install-updates uninstall sign deb
