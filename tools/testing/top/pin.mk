# SPDX-License-Identifier: GPL-2.0-only
#
#   make -f tools/testing/top/pin.mk [OUTPUT=dir]

SRC := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
TOOL := $(abspath $(SRC)/../../vhx-top)
ST := $(abspath $(SRC)/../selftests)
OUTPUT ?= $(SRC)/out
override OUTPUT := $(abspath $(OUTPUT))

CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 -Wall -Wextra -pthread
override CPPFLAGS += -D_GNU_SOURCE -isystem $(ST) -I$(ST)/vhost -I$(TOOL)
# The client and the guest of the kselftests
CLIENT := $(addprefix $(OUTPUT)/,pin_client.o vhost_dev.o vhost_ring.o \
	vhost_packed.o net_lib.o iotlb_lib.o)

all: $(OUTPUT)/pin_client $(OUTPUT)/rule_test

vpath %.c $(SRC) $(ST)/vhost $(TOOL)
$(OUTPUT)/%.o: %.c $(wildcard $(ST)/vhost/*.h $(TOOL)/*.h)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(OUTPUT)/pin_client: $(CLIENT)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@

$(OUTPUT)/rule_test: $(addprefix $(OUTPUT)/,rule_test.o rule.o cpus.o)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@

clean:
	rm -rf $(OUTPUT)

.PHONY: all clean
