# SPDX-License-Identifier: MIT
# The front door. Meson does the building; this file knows its folders:
#   build/       release, link-time optimised: what `make run` serves with
#   build-test/  AddressSanitizer and UndefinedBehaviorSanitizer: what is tested
#   build-fuzz/  clang and libFuzzer

.DEFAULT_GOAL := help
.PHONY: run test test-cluster build bench loadtest capacity loadtest-idle fuzz format lint clean help
.NOTPARALLEL:

RELEASE  := --buildtype=release -Db_lto=true $(if $(WERROR),-Dwerror=true)
SANITIZE := --buildtype=debugoptimized -Db_sanitize=address,undefined -Dwerror=true
FUZZING  := $(SANITIZE) -Db_lundef=false -Dc_args=-fsanitize=fuzzer-no-link
SECONDS  ?= 30
USERS    ?= 500
WORKERS  ?= 4

# $(call configure,FOLDER,OPTIONS): once; its talk is shown only when it fails.
configure = test -f $(1)/build.ninja || { mkdir -p $(1) && meson setup $(1) $(2) >$(1)/setup.log 2>&1 || \
            { cat $(1)/setup.log; rm -rf $(1); exit 1; }; }

run: ## build, fill a new database with demo data, serve on http://localhost:8000
	@scripts/bootstrap run
	@$(MAKE) --no-print-directory build
	@build/sanad migrate
	@build/sanad demo --if-empty
	@exec build/sanad serve

test: ## build with sanitizers, run every test; ends with "N passed, N failed"
	@scripts/bootstrap test
	@$(call configure,build-test,$(SANITIZE))
	@exec /usr/bin/python3 scripts/test build-test

test-cluster: ## the tests on a Galera cluster of three nodes (a minute; not in `make test`)
	@scripts/bootstrap cluster
	@$(call configure,build-test,$(SANITIZE))
	@exec /usr/bin/python3 scripts/test build-test tests/cluster

build: ## the release binary: build/sanad
	@scripts/bootstrap run
	@$(call configure,build,$(RELEASE))
	@ninja -C build --quiet

bench: ## measure against nginx, a bare epoll loop and the Python stack (QUICK=1: short, nothing written)
	@scripts/bootstrap bench
	@$(call configure,build,$(RELEASE))
	@ninja -C build --quiet all bench/epoll_loop tests/lab/lab
	@exec /usr/bin/python3 bench/run.py $(if $(QUICK),--quick)

# $(call load,TEST,OPTIONS)
load = scripts/bootstrap loadtest && { $(call configure,build,$(RELEASE)); } && ninja -C build --quiet all loadtest/paced && \
       exec /usr/bin/python3 loadtest/run.py $(1) $(2)

loadtest: SECONDS = 60
loadtest: ## the specification's load test with Locust on MariaDB (USERS=500 SPAWN_RATE=50 SECONDS=60 WORKERS=4; 2 minutes)
	@$(call load,load,--users $(USERS) $(if $(SPAWN_RATE),--spawn-rate $(SPAWN_RATE)) --seconds $(SECONDS) --workers $(WORKERS))

capacity: ## how many paced users one node holds, on MariaDB and SQLite, cache on and off (8 minutes)
	@$(call load,capacity)

loadtest-idle: ## 500 busy users with and without 10,000 idle connections beside them (3 minutes)
	@$(call load,idle)

fuzz: ## run each fuzz target for SECONDS (30)
	@scripts/bootstrap test
	@CC=clang; export CC; $(call configure,build-fuzz,$(FUZZING))
	@exec scripts/fuzz build-fuzz $(SECONDS)

format: ## clang-format on all .c files (headers are laid out by hand, as documentation)
	@git ls-files -co --exclude-standard -- '*.c' | xargs -r clang-format -i

lint: ## layers, format, banned calls, cppcheck
	@exec scripts/lint

clean: ## remove what was built (data/ stays)
	rm -rf build build-test build-fuzz

help: ## this list
	@sed -n 's/^\([a-z-]*\): .*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
