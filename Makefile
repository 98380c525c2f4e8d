# qwen2api - one static binary. `make run` builds and starts it; `make help` lists the rest.
VERSION := 0.1.0
SHELL   := /bin/sh
COMMA   := ,
B       := build
DEPS    := $(B)/deps
ARCH    := $(shell uname -m)
# The C library of this machine, and that which the static binary is for; where the latter is built: tools/release.sh sets these and
# MUSL_AT, MUSL_TOOLS, MUSL_FLAGS for other machines.
MUSL_HERE := $(patsubst armv7l-%,arm-%eabihf,$(ARCH)-linux-musl)
MUSL    := $(MUSL_HERE)
M       := $(B)/musl
G       := $(B)/gen
BIN     := $(B)/qwen2api
CC_HOST ?= gcc
CLANG   ?= clang

# Our code: the release compiles one unit, checks compile every file alone.
MODULES := $(sort $(wildcard modules/*/*.c))
HEADERS := $(sort $(wildcard modules/*/*.h))
ALONE   := $(filter-out modules/http/server.c,$(MODULES))
GEN     := $(G)/roots.inc $(G)/assets.inc $(G)/notices.inc
INC     := -Imodules -I$(G) -isystem $(DEPS)/bearssl/inc -isystem $(DEPS)/zlib -isystem $(DEPS)/lmdb/libraries/liblmdb -isystem $(DEPS)/hiredis
# The time of a build is told from outside, or by a source archive, so that the same sources give the same bytes.
SOURCE_DATE_EPOCH ?= $(shell cat deps/epoch 2>/dev/null)
DEFS    := -D_GNU_SOURCE -DQ2A_VERSION='"$(VERSION)"' $(if $(SOURCE_DATE_EPOCH),-DQ2A_BUILD_EPOCH=$(SOURCE_DATE_EPOCH))
WARN    := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
STD     := -std=gnu11
DEP     := -MMD -MP
REPRO   := -ffile-prefix-map=$(CURDIR)=. -g0

# civetweb is included by modules/http/server.c and has flags of its own.
SERVER_DEFS := -DNDEBUG -DSOCKET_TIMEOUT_QUANTUM=200 -DNO_SSL -DNO_CGI -DNO_FILES -DNO_FILESYSTEMS -DNO_CACHING -DUSE_IPV6 -DUSE_STACK_SIZE=131072 \
  -DMG_EXTERNAL_FUNCTION_mg_cry_internal_impl -DMG_EXTERNAL_FUNCTION_log_access -isystem $(DEPS)/civetweb/src -isystem $(DEPS)/civetweb/include

# Third-party code, in one archive per kind of build.
BEARSSL_C := $(patsubst $(DEPS)/%,%,$(sort $(wildcard $(DEPS)/bearssl/src/*.c $(DEPS)/bearssl/src/*/*.c)))
ZLIB_C    := $(addprefix zlib/,adler32.c crc32.c deflate.c inflate.c inffast.c inftrees.c trees.c zutil.c compress.c uncompr.c)
LMDB_C    := $(addprefix lmdb/libraries/liblmdb/,mdb.c midl.c)
# Of hiredis only what reads the wire format.
REDIS_C   := $(addprefix hiredis/,read.c sds.c alloc.c)
THIRD_C   := $(BEARSSL_C) $(ZLIB_C) $(LMDB_C) $(REDIS_C)
THIRD_F   := -w -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -I$(DEPS)/bearssl/inc -I$(DEPS)/bearssl/src \
  -I$(DEPS)/zlib -I$(DEPS)/lmdb/libraries/liblmdb -DHAVE_UNISTD_H -DMDB_USE_ROBUST=0

MUSL_AT    := /usr
MUSL_TOOLS :=
MUSL_SPECS := $(M)/pie.specs
CC_MUSL    := $(MUSL_TOOLS)gcc $(MUSL_FLAGS) -specs=$(MUSL_SPECS)
HARDEN     := -fPIE -fstack-protector-strong -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
  -falign-functions=4 -falign-jumps=1 -falign-loops=1 -falign-labels=1
LINK_MUSL  := -static -pie -Wl,--gc-sections -Wl,-z,noexecstack -Wl,-z,relro -Wl,-z,now -Wl,-z,text -Wl,--no-dynamic-linker -Wl,--build-id=none -s

.PHONY: all ui run demo check test torture bench fuzz lint tsan clean help deps setup-run setup-test setup-bench setup-release clang-check release container dev
.DELETE_ON_ERROR:
.SECONDARY:

all: deps ; @$(MAKE) --no-print-directory $(B)/qwen2api
help:
	@echo "make run | demo | check | test | torture | bench | fuzz | lint | tsan | container | release | clean"

setup-run setup-test setup-bench setup-release: setup-%: ; @tools/setup.sh $*
run: setup-run all ; $(B)/qwen2api
demo: setup-run all ; @$(MAKE) --no-print-directory $(B)/fakeqwen && tests/demo.sh

deps: $(DEPS)/.ready
$(DEPS)/.ready: tools/deps.lock tools/deps.sh
	@tools/deps.sh && touch $@

# civetweb includes these by name; modules/http/server.c defines what they are to hold.
INL := $(G)/external_mg_cry_internal_impl.inl $(G)/external_log_access.inl
$(INL): ; @mkdir -p $(@D) && touch $@

# ---- the static binary ----
$(MUSL_SPECS): Makefile
	@mkdir -p $(@D)
	@sed -e 's#\(/[^ ]*/\)Scrt1.o#\1rcrt1.o#' -e 's#^-dynamic-linker [^ ]* -nostdlib.*#-nostdlib -static -pie --no-dynamic-linker#' \
	  -e 's#/usr/\([a-z]*\)/$(MUSL_HERE)#$(MUSL_AT)/\1/$(MUSL)#g' /usr/lib/$(MUSL_HERE)/musl-gcc.specs > $@

$(M)/%.o: $(DEPS)/%.c $(MUSL_SPECS)
	@mkdir -p $(@D) && $(CC_MUSL) $(STD) -Os -DNDEBUG $(HARDEN) $(REPRO) $(THIRD_F) $(DEP) -c $< -o $@
$(M)/libthird.a: $(addprefix $(M)/,$(THIRD_C:.c=.o)) tools/deps.lock
	@rm -f $@ && $(MUSL_TOOLS)ar rcsD $@ $(filter %.o,$^)
$(M)/server.o: modules/http/server.c $(INL) $(MUSL_SPECS)
	@mkdir -p $(@D) && $(CC_MUSL) $(STD) -Os -w $(HARDEN) $(REPRO) $(DEFS) $(SERVER_DEFS) $(INC) $(DEP) -c $< -o $@
$(M)/unit.o: qwen2api.c $(GEN) $(MUSL_SPECS)
	@mkdir -p $(@D) && $(CC_MUSL) $(STD) -O2 -DNDEBUG $(WARN) $(HARDEN) $(REPRO) $(DEFS) $(INC) $(DEP) -c $< -o $@
$(BIN): $(M)/unit.o $(M)/server.o $(M)/libthird.a
	@$(CC_MUSL) $(LINK_MUSL) -o $@ $^ -lpthread && ls -l $@ | awk '{ print "$@: " $$5 " bytes" }'

# ---- generated code: the tools run on the host ----
$(B)/host/%.o: $(DEPS)/%.c
	@mkdir -p $(@D) && $(CC_HOST) $(STD) -O2 -g $(THIRD_F) $(DEP) -c $< -o $@
$(B)/host/libthird.a: $(addprefix $(B)/host/,$(THIRD_C:.c=.o)) tools/deps.lock
	@rm -f $@ && ar rcsD $@ $(filter %.o,$^)
$(B)/tools/%: tools/%.c $(B)/host/libthird.a
	@mkdir -p $(@D) && $(CC_HOST) $(STD) -O2 $(WARN) -D_GNU_SOURCE $(INC) $< $(B)/host/libthird.a -o $@
# A source archive brings the trust anchors of its release.
CA_BUNDLE ?= $(or $(wildcard deps/anchors.pem),/etc/ssl/certs/ca-certificates.crt)
$(G)/roots.inc: $(B)/tools/mkroots $(CA_BUNDLE)
	@mkdir -p $(@D) && $< $(CA_BUNDLE) > $@
# The pages: built with Node into build/ui; a source archive brings them in ui/, and then no Node is needed.
UI        := $(if $(wildcard ui/index.html),ui,$(B)/ui)
UI_SOURCE := $(shell find assets -type f -not -path '*/node_modules/*' 2>/dev/null)
ui: $(UI)/index.html
$(B)/ui/index.html: $(UI_SOURCE)
	@mkdir -p $(B)/uisrc && rm -rf $(B)/uisrc/src $(B)/uisrc/public && cp -R assets/. $(B)/uisrc/
	@cd $(B)/uisrc && { cmp -s package-lock.json .installed || npm ci --no-audit --no-fund --loglevel=error; } && cp package-lock.json .installed \
	  && UI_OUT=../ui UI_PARTS=../ui.parts node node_modules/vite/bin/vite.js build --logLevel warn && touch ../ui/index.html
$(G)/assets.inc: $(B)/tools/mkassets $(UI)/index.html
	@mkdir -p $(@D) && $< $(UI) > $@
$(G)/notices.inc: $(B)/tools/mknotices LICENSE tools/notices.txt assets/notices.txt
	@mkdir -p $(@D) && $< LICENSE tools/notices.txt $(DEPS)/civetweb/LICENSE.md $(DEPS)/bearssl/LICENSE.txt \
	  $(DEPS)/lmdb/libraries/liblmdb/LICENSE $(DEPS)/zlib/LICENSE $(DEPS)/hiredis/COPYING assets/notices.txt > $@
$(B)/fakeqwen: tools/fakeqwen.c $(wildcard tools/fake/*.c) $(B)/host/libthird.a
	@$(CC_HOST) $(STD) -O2 $(WARN) -D_GNU_SOURCE $(INC) $< $(B)/host/libthird.a -o $@

# ---- checks: every file alone, ASan + UBSan, warnings are errors ----
SAN := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
$(B)/check/%.o: %.c | $(GEN)
	@mkdir -p $(@D) && $(CC_HOST) $(STD) $(SAN) $(WARN) -Werror $(DEFS) $(INC) $(DEP) -c $< -o $@
$(B)/check/modules/http/server.o: modules/http/server.c $(INL)
	@mkdir -p $(@D) && $(CC_HOST) $(STD) $(SAN) -w $(DEFS) $(SERVER_DEFS) $(INC) $(DEP) -c $< -o $@
$(B)/check/libq2a.a: $(addprefix $(B)/check/,$(MODULES:.c=.o))
	@rm -f $@ && ar rcsD $@ $^
UNIT := $(sort $(wildcard tests/unit/test_*.c))
$(B)/check/test_%: tests/unit/test_%.c tests/t.h $(wildcard tests/*.h) $(B)/check/libq2a.a $(B)/host/libthird.a
	@$(CC_HOST) $(STD) $(SAN) $(WARN) -Werror -Itests $(DEFS) $(INC) $< $(B)/check/libq2a.a $(B)/host/libthird.a -lpthread $(WRAP) -o $@
# Sees, fails and recalls what LMDB asks of the disk.
$(B)/check/test_store_power $(B)/unit/test_store_power: WRAP := $(foreach f,pwrite writev fdatasync fsync rename,-Wl$(COMMA)--wrap=$(f))
$(foreach t,test_upload test_fetch test_faults,$(B)/check/$(t) $(B)/unit/$(t)): | $(B)/fakeqwen
# The same tests against the one unit, as it is released but for main().
$(B)/unit/unit.o: qwen2api.c $(GEN)
	@mkdir -p $(@D) && $(CC_HOST) $(STD) -O2 -g $(WARN) -Werror -DQ2A_NO_MAIN $(DEFS) $(INC) $(DEP) -c $< -o $@
$(B)/unit/server.o: modules/http/server.c $(INL)
	@mkdir -p $(@D) && $(CC_HOST) $(STD) -O2 -g -w $(DEFS) $(SERVER_DEFS) $(INC) $(DEP) -c $< -o $@
$(B)/unit/test_%: tests/unit/test_%.c tests/t.h $(wildcard tests/*.h) $(B)/unit/unit.o $(B)/unit/server.o $(B)/host/libthird.a
	@$(CC_HOST) $(STD) -O1 -g $(WARN) -Itests $(DEFS) $(INC) $< $(B)/unit/unit.o $(B)/unit/server.o $(B)/host/libthird.a -lpthread $(WRAP) -o $@

CHECK_BIN := $(patsubst tests/unit/%.c,$(B)/check/%,$(UNIT))
UNIT_BIN  := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT))
check: setup-test deps
	@$(MAKE) --no-print-directory $(B)/tools/lint $(CHECK_BIN)
	@tests/run.sh $(B)/results.check tests/lint.sh $(CHECK_BIN)
lint: deps ; @$(MAKE) --no-print-directory $(B)/tools/lint && $(B)/tools/lint .

clang-check: deps $(GEN)
	@for f in $(ALONE) qwen2api.c; do $(CLANG) $(STD) -fsyntax-only $(WARN) -Wno-unknown-warning-option -Werror $(DEFS) $(INC) $$f || exit 1; done

E2E := $(sort $(wildcard tests/e2e/*.sh tests/e2e/*.mjs)) 
BROWSER := $(filter-out tests/browser/browser.mjs tests/browser/paint.mjs,$(sort $(wildcard tests/browser/*.mjs)))
test: setup-test all
	@$(MAKE) --no-print-directory $(B)/fakeqwen $(B)/load $(B)/seed $(B)/tools/lint $(CHECK_BIN) $(UNIT_BIN) clang-check
	@rm -f $(B)/results.*
	@tests/run.sh $(B)/results.test tests/lint.sh $(CHECK_BIN) $(UNIT_BIN) $(sort $(wildcard tests/*.test.sh)) tests/fake/selftest.sh tests/fake/speed.sh \
	  $(filter-out tests/e2e/node.sh tests/e2e/lib.mjs,$(E2E)) $(BROWSER) tests/bench/streams.sh tests/spec.sh
torture: setup-test setup-release all
	@tools/release.sh $(VERSION)
	@$(MAKE) --no-print-directory $(B)/fakeqwen $(B)/load $(CHECK_BIN) $(TSAN_TESTS) $(B)/tsan/qwen2api $(B)/check/qwen2api
	@Q2A_TORTURE=1 SUITE_SECONDS=2400 tests/run.sh $(B)/results.torture $(CHECK_BIN) $(TSAN_TESTS) $(sort $(wildcard tests/torture/*.sh)) \
	  $(filter-out tests/programs/program.mjs,$(sort $(wildcard tests/programs/*.mjs))) tests/release/release.mjs

# Puts official keys into a store: for tests, until a route does.
$(B)/seed: tests/e2e/seed.c $(B)/unit/unit.o $(B)/unit/server.o $(B)/host/libthird.a
	@$(CC_HOST) $(STD) -O1 -g $(WARN) $(DEFS) $(INC) $< $(B)/unit/unit.o $(B)/unit/server.o $(B)/host/libthird.a -lpthread -o $@

$(B)/load: tests/bench/load.c tests/bench/answer.c tests/bench/answer.h
	@$(CC_HOST) $(STD) -O2 $(WARN) -D_GNU_SOURCE tests/bench/load.c tests/bench/answer.c -o $@
$(B)/fill: tests/bench/fill.c $(B)/unit/unit.o $(B)/unit/server.o $(B)/host/libthird.a
	@$(CC_HOST) $(STD) -O1 -g $(WARN) $(DEFS) $(INC) $< $(B)/unit/unit.o $(B)/unit/server.o $(B)/host/libthird.a -lpthread -o $@
bench: setup-bench all
	@$(MAKE) --no-print-directory $(B)/fakeqwen $(B)/load $(B)/fill && tests/bench/run.sh

# ---- thread sanitizer: desk, pump, jobs, and what many threads share ----
TSAN := -O1 -g -fsanitize=thread
TSAN_TESTS := $(addprefix $(B)/tsan/test_,pump jobs pool log server routes keys stats tasks upload_cache)
$(B)/tsan/%.o: %.c | $(GEN)
	@mkdir -p $(@D) && $(CLANG) $(STD) $(TSAN) $(DEFS) $(INC) $(DEP) -c $< -o $@
$(B)/tsan/modules/http/server.o: modules/http/server.c $(INL)
	@mkdir -p $(@D) && $(CLANG) $(STD) $(TSAN) -w $(DEFS) $(SERVER_DEFS) $(INC) $(DEP) -c $< -o $@
$(B)/tsan/libq2a.a: $(addprefix $(B)/tsan/,$(MODULES:.c=.o))
	@rm -f $@ && ar rcsD $@ $^
$(B)/tsan/test_%: tests/unit/test_%.c tests/t.h $(wildcard tests/*.h) $(B)/tsan/libq2a.a $(B)/host/libthird.a
	@$(CLANG) $(STD) $(TSAN) -Itests $(DEFS) $(INC) $< $(B)/tsan/libq2a.a $(B)/host/libthird.a -lpthread -o $@
# The whole program under a sanitizer, for the end-to-end tests.
$(B)/tsan/qwen2api: qwen2api.c $(MODULES) $(HEADERS) $(GEN) $(B)/tsan/modules/http/server.o $(B)/host/libthird.a
	@$(CLANG) $(STD) $(TSAN) $(DEFS) $(INC) $< $(B)/tsan/modules/http/server.o $(B)/host/libthird.a -lpthread -o $@
$(B)/check/qwen2api: qwen2api.c $(MODULES) $(HEADERS) $(GEN) $(B)/check/modules/http/server.o $(B)/host/libthird.a
	@$(CC_HOST) $(STD) $(SAN) $(DEFS) $(INC) $< $(B)/check/modules/http/server.o $(B)/host/libthird.a -lpthread -o $@
tsan: setup-test all
	@$(MAKE) --no-print-directory $(TSAN_TESTS) $(B)/tsan/qwen2api $(B)/fakeqwen && tests/run.sh $(B)/results.tsan $(TSAN_TESTS) tests/torture/tsan.sh

# ---- fuzzing ----
FUZZ_SECONDS ?= 10
fuzz: setup-test deps $(GEN)
	@mkdir -p $(B)/fuzz && for f in tests/fuzz/fuzz_*.c; do n=$$(basename $$f .c); \
	  $(CLANG) $(STD) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined $(DEFS) $(INC) $$f \
	    $(filter modules/base/% modules/proto/%,$(MODULES)) $(B)/host/libthird.a -o $(B)/fuzz/$$n || exit 1; \
	  mkdir -p $(B)/fuzz/corpus/$$n; echo "$$n"; \
	  $(B)/fuzz/$$n -max_total_time=$(FUZZ_SECONDS) -print_final_stats=0 -verbosity=0 -artifact_prefix=$(B)/fuzz/ $(B)/fuzz/corpus/$$n $$(ls -d tests/fuzz/corpus/$$n 2>/dev/null) || exit 1; done
	@echo "fuzzing found nothing"

# What a container is built from: build/container is a whole build context, and a Hugging Face Space.
container: all
	@rm -rf $(B)/container && mkdir -p $(B)/container && cp -R tools/container/app tools/container/Dockerfile tools/container/docker-compose*.yml $(BIN) $(B)/container/
	@cp tools/container/spaces.md $(B)/container/README.md
	@echo "$(B)/container is ready. There: docker compose up -d --build, or docker build -t qwen2api ."
release: setup-release deps
	@tools/release.sh $(VERSION) && $(MAKE) --no-print-directory all $(B)/fakeqwen && SUITE_SECONDS=2400 tests/run.sh $(B)/results.release tests/release/release.mjs
dev: deps ; @$(MAKE) --no-print-directory $(B)/check/libq2a.a
clean: ; rm -rf $(B)

# What each object was made of, as the compilers told it (-MMD).
-include $(shell find $(B) -name '*.d' -type f -not -path '$(DEPS)/*' -not -path '*/node_modules/*' 2>/dev/null)
