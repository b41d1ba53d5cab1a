# SPDX-License-Identifier: GPL-3.0-or-later
#
# The only makefile. Sources are found by wildcard, a folder may be empty.
#
#   $B/obj/        objects, mirroring the tree          $B/bin/        programs
#   $B/*.a         one archive per area, without main.o $B/unit/       unit test programs
#
# Variables: B=DIR (build tree), SAN=address,undefined (sanitizer build, in a tree of its own), CC, CFLAGS,
# PREFIX and DESTDIR (install), ONLY=REGEX (test, mutants, bench, fuzz), SECONDS=N (fuzz), V=1 (show commands).

comma      := ,
hash       := \#
ifdef SAN
B          ?= build-$(subst $(comma),-,$(SAN))
else
B          ?= build
endif
export B
Q          := $(if $V,,@)

DAEMONS    := coordinator agent exporter
AREAS      := $(DAEMONS) cli

PREFIX     ?= /usr/local
SECONDS    ?= 60
CFLAGS     ?= -O2 -g
PKG_CONFIG ?= pkg-config
WARN       := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
              -Wcast-qual -Wvla -Wformat=2 -Wundef -Wimplicit-fallthrough

# Goals that call a script which installs what is missing and only then comes back here to build.
SCRIPTED   := setup test test-long test-kernel test-kubernetes demo demo-up demo-down demo-kubernetes \
              clusters-up clusters-down images test-containers test-manifests lint mutants bench clean help
BUILDING   := $(filter-out $(SCRIPTED),$(or $(MAKECMDGOALS),all))

ifneq ($(BUILDING),)
# pkg-config's name : Debian's name
PKGS       := libmosquitto:libmosquitto-dev libmnl:libmnl-dev jansson:libjansson-dev openssl:libssl-dev \
              sqlite3:libsqlite3-dev libmicrohttpd:libmicrohttpd-dev libcurl:libcurl4-openssl-dev zlib:zlib1g-dev \
              libknot:libknot-dev liburcu-memb:liburcu-dev yaml-0.1:libyaml-dev
# What has no .pc file. Header : Debian's name
HEADERS    := MQTTAsync.h:libpaho-mqtt-dev uthash.h:uthash-dev

pc         := $(foreach p,$(PKGS),$(firstword $(subst :, ,$p)))
debian      = $(lastword $(subst :, ,$1))
has_pc      = $(shell $(PKG_CONFIG) --exists $1 2>/dev/null && echo y)
has_header  = $(shell echo '$(hash)include <$1>' | $(CC) $(CPPFLAGS) -fsyntax-only -xc - 2>/dev/null && echo y)
ifeq ($(shell $(PKG_CONFIG) --version 2>/dev/null),)
$(error pkg-config is missing: apt-get install pkgconf, or run tests/setup)
endif
MISSING    := $(strip $(foreach p,$(PKGS),$(if $(call has_pc,$(firstword $(subst :, ,$p))),,$(call debian,$p))) \
              $(foreach h,$(HEADERS),$(if $(call has_header,$(firstword $(subst :, ,$h))),,$(call debian,$h))))
ifneq ($(MISSING),)
$(error missing packages: apt-get install $(MISSING), or run tests/setup)
endif
PC_CFLAGS  := $(shell $(PKG_CONFIG) --cflags $(pc))
PC_LIBS    := $(shell $(PKG_CONFIG) --libs $(pc)) -lpaho-mqtt3as
endif

ALL_CPPFLAGS := -I. -D_GNU_SOURCE $(PC_CFLAGS) $(CPPFLAGS)
ALL_CFLAGS   := -std=gnu11 $(WARN) $(CFLAGS)
ALL_LDFLAGS  := -Wl,--as-needed $(LDFLAGS)
ALL_LDLIBS   := $(PC_LIBS) -pthread $(LDLIBS)
ifdef SAN
ALL_CFLAGS   += -O1 -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
ALL_LDFLAGS  += -fsanitize=$(SAN)
endif

# ---------------------------------------------------------------------------------------------------
# What there is

src         = $(sort $(wildcard $(addsuffix /*.c,$1)))
obj         = $(patsubst %.c,$B/obj/%.o,$1)
unit        = $(patsubst tests/unit/%.c,$B/unit/%,$(call src,tests/unit/$1))

COMMON     := $B/libwarren.a
FAKES      := $B/fakes.a
ARCHIVES   := $(COMMON) $(FAKES) $(AREAS:%=$B/%.a)

# A program exists as soon as its main.c does.
PROGRAMS   := $(foreach d,$(DAEMONS),$(if $(wildcard $d/main.c),$B/bin/warren-$d)) \
              $(if $(wildcard cli/main.c),$B/bin/warren)
UNIT       := $(foreach a,lib schemas $(AREAS),$(call unit,$a))
FUZZ       := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAY     := $(FUZZ:%=$B/bin/replay_%)
FUZZERS    := $(FUZZ:%=$B/bin/fuzz_%)
LAB        := $(patsubst tests/lab/%.c,$B/bin/lab_%,$(call src,tests/lab))
GOLDEN     := $(patsubst tests/golden/%.c,$B/bin/golden-%,$(call src,tests/golden))
BENCH_SRC  := $(call src,tests/bench $(AREAS:%=tests/bench/%))
BENCH      := $(foreach s,$(BENCH_SRC),$B/bin/bench_$(basename $(notdir $s)))
ALL_SRC    := $(call src,lib schemas $(AREAS))
TEST_SRC   := $(call src,$(patsubst %,tests/unit/%,lib schemas $(AREAS)) tests/fakes tests/fuzz tests/lab tests/golden) $(BENCH_SRC)

all: $(PROGRAMS) ## build the programs into build/bin

# ---------------------------------------------------------------------------------------------------
# What each thing is made of

$(COMMON): $(call obj,$(call src,lib schemas))
$(FAKES): $(call obj,$(call src,tests/fakes))
$(foreach a,$(AREAS),$(eval $B/$a.a: $(call obj,$(filter-out $a/main.c,$(call src,$a)))))

$(DAEMONS:%=$B/bin/warren-%): $B/bin/warren-%: $B/obj/%/main.o $B/%.a $(COMMON)
$B/bin/warren: $B/obj/cli/main.o $B/cli.a $(COMMON)

# A test that includes the header of a fake links the fake: it stands before the real module, and the archives
# after it are not asked for those symbols any more. Every other test has the real modules first.
FAKED      := $(patsubst tests/unit/%.c,$B/unit/%,$(if $(BUILDING),$(shell grep -ls '_fake\.h"' tests/unit/*/*.c)))
$(foreach a,lib schemas,$(eval $(call unit,$a): $(FAKES) $(COMMON)))
$(foreach a,$(AREAS),$(eval $(filter $(FAKED),$(call unit,$a)): $(FAKES) $B/$a.a $(COMMON)))
$(foreach a,$(AREAS),$(eval $(filter-out $(FAKED),$(call unit,$a)): $B/$a.a $(FAKES) $(COMMON)))
$(UNIT): $B/unit/%: $B/obj/tests/unit/%.o

# A fuzz target's includes say whose parser it is: the archive of that area is linked.
fuzz_area   = $(foreach a,$(AREAS),$(if $(shell grep -l '^$(hash)include "$a/' tests/fuzz/fuzz_$1.c),$B/$a.a))
ifneq ($(BUILDING),)
$(foreach f,$(FUZZ),$(eval $B/bin/replay_$f $B/bin/fuzz_$f: $(call fuzz_area,$f) $(COMMON)))
endif
$(REPLAY): $B/bin/replay_%: $B/obj/tests/fuzz/fuzz_%.o $B/obj/tests/fuzz/replay.o
$(FUZZERS): $B/bin/fuzz_%: $B/obj/tests/fuzz/fuzz_%.o

$(LAB): $B/bin/lab_%: $B/obj/tests/lab/%.o $(COMMON)
$(GOLDEN): $B/bin/golden-%: $B/obj/tests/golden/%.o $(COMMON)
$(foreach s,$(BENCH_SRC),$(eval $B/bin/bench_$(basename $(notdir $s)): $(call obj,$s) \
	$(patsubst tests/bench/%,$B/%.a,$(filter-out tests/bench,$(patsubst %/,%,$(dir $s)))) $(COMMON)))

# ---------------------------------------------------------------------------------------------------
# How it is made

$(PROGRAMS) $(UNIT) $(REPLAY) $(LAB) $(GOLDEN) $(BENCH):
	@mkdir -p $(@D); echo "  LD   $@"
	$Q$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(ALL_LDLIBS)

$(FUZZERS):
	@mkdir -p $(@D); echo "  LD   $@"
	$Q$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(filter %.a,$^) $(ALL_LDLIBS)

# Appended, not replaced: lib/ and schemas/ may have files of the same name.
$(ARCHIVES): %: %.list
	@mkdir -p $(@D); echo "  AR   $@"
	$Qrm -f $@; $(AR) qcs $@ $(filter %.o,$^)

$B/obj/%.o: %.c Makefile
	@mkdir -p $(@D); echo "  CC   $<"
	$Q$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The list of an archive's sources changes when a file comes or goes; without it an archive would
# keep the object of a file that was deleted.
$(ARCHIVES:%=%.list): FORCE
	@mkdir -p $(@D); echo '$(sources)' | cmp -s - $@ || echo '$(sources)' >$@
$(COMMON).list: sources = $(call src,lib schemas)
$(FAKES).list: sources = $(call src,tests/fakes)
$(foreach a,$(AREAS),$(eval $B/$a.a.list: sources = $$(call src,$a)))

# ---------------------------------------------------------------------------------------------------
# Goals

setup: ## install the packages that build and tests need (root)
	@tests/setup

test: ## all tests, or those that match ONLY=REGEX (root)
	@tests/run

test-long: ## what takes minutes: a settled kernel watched for 5, leftovers swept after 1 (root)
	@LONG=1 HOLDERS_SECONDS=300 ONLY='^(holders-any-order|pods-swept)$$' tests/run

test-kernel: ## the walk on the kernel's own WireGuard, in an emulated machine (QEMU)
	@tests/setup
	@tests/setup kernel || { echo "SKIP kernel-wireguard 0.0 QEMU cannot be installed"; \
		echo "0 passed, 0 failed, 1 skipped"; exit 0; }; \
	$(MAKE) --no-print-directory -j"$$(nproc)" all lab-programs && tests/kernel/run

demo: ## two sites from nothing: build, broker, gateways, names, the walk, clean up (root)
	@tests/setup
	@$(MAKE) --no-print-directory -j"$$(nproc)" all lab-programs
	@WARREN_BIN=$(abspath $B)/bin tests/lab/demo

demo-up: ## the demo's hosts, left running: tests/lab/at HOST COMMAND...
	@tests/setup
	@$(MAKE) --no-print-directory -j"$$(nproc)" all lab-programs
	@WARREN_BIN=$(abspath $B)/bin tests/lab/demo --up

demo-down: ## take them down
	@tests/lab/demo --down

# Ends with 3 where Kubernetes cannot be built; then why was said.
kubernetes = tests/setup; tests/setup kubernetes && tests/kubernetes/build >/dev/null && \
	$(MAKE) --no-print-directory -j"$$(nproc)" all lab-programs && WARREN_BIN=$(abspath $B)/bin

test-kubernetes: ## the walk and the faults on two real Kubernetes clusters (root, Go)
	@tests/kubernetes/run

demo-kubernetes: ## the walk, shown: two clusters of two nodes, agents, gateways, names
	@$(kubernetes) tests/kubernetes/walk

clusters-up: ## its two clusters and a hub, left running: tests/kubernetes/at dc1 get nodes
	@$(kubernetes) tests/kubernetes/clusters --up

clusters-down: ## take them down
	@tests/kubernetes/clusters --down

images: ## the container images, without a registry; prints the files (root)
	@tests/images

test-containers: ## compose/compose.yaml, really started (root)
	@tests/setup && tests/setup images && tests/containers/test-compose.sh

test-manifests: ## k8s/, rendered by kustomize and Helm, shown to an API server (root, Go)
	@tests/kubernetes/test-manifests.sh

lint: ## who may include whom, sizes, format
	@tests/lint

mutants: ## break one rule at a time: a test must turn red
	@tests/mutants/run

bench: ## one line per figure; ONLY='join|memory'
	@tests/bench/run

fuzz: ## libFuzzer on every parser, SECONDS=60 each
	@$(MAKE) --no-print-directory -j"$$(nproc)" B=$B-fuzz SAN=address,undefined CC=clang \
		CFLAGS='-g -fsanitize=fuzzer-no-link' fuzzers
	@tests/fuzz/run $B-fuzz $(SECONDS)

analyze: ## clang's static analyzer
	$Qprintf '%s\n' $(ALL_SRC) | xargs -P "$$(nproc)" -I{} clang --analyze -Xclang -analyzer-werror \
		-Xclang -analyzer-output=text $(ALL_CPPFLAGS) -std=gnu11 -o /dev/null {}

objects: $(call obj,$(ALL_SRC) $(TEST_SRC)) ## compile everything, tests too, link nothing
test-programs: all $(UNIT) $(LAB) $(GOLDEN)
lab-programs: $(LAB)
asan-programs: $(UNIT) $(REPLAY)
bench-programs: all $(BENCH) $(LAB)
fuzzers: $(FUZZERS)
print-%: ; @echo $($*)

MAN8       := $(wildcard docs/man/*.8)
MAN1       := $(wildcard docs/man/*.1)
share      := $(DESTDIR)$(PREFIX)/share

install: all ## into $DESTDIR$PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin $(share)/man/man8 $(share)/man/man1
	$(if $(filter %/warren,$(PROGRAMS)),install $(filter %/warren,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/bin)
	$(if $(filter-out %/warren,$(PROGRAMS)),install $(filter-out %/warren,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/sbin)
	$(if $(MAN8),install -m 644 $(MAN8) $(share)/man/man8)
	$(if $(MAN1),install -m 644 $(MAN1) $(share)/man/man1)
	$(if $(wildcard cli/completion.bash),install -D -m 644 cli/completion.bash \
		$(share)/bash-completion/completions/warren)

clean: ## remove every build tree
	rm -rf $B $B-fuzz build build-*

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: $(SCRIPTED) all fuzz analyze objects test-programs lab-programs asan-programs bench-programs \
	fuzzers install FORCE
.SECONDARY:
.DELETE_ON_ERROR:
-include $(patsubst %.o,%.d,$(call obj,$(ALL_SRC) $(TEST_SRC)))
