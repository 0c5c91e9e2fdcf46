# Everything here needs Go, make and Python 3, and make test Node 20 besides.
#
#   make demo      a real Envoy, Sluice and an example backend; raw beside masked
#   make test      everything: format, vet, staticcheck, unit, race, end to end
#   make test-providers   the AI providers against LiteLLM's proxy, too: 900 MB
#   make build     bin/sluice
#   make bench     Sluice against a no-op processor, as ratios
#   make bench-compare BASE=COMMIT   the working tree against another commit
#   make bench-memory, bench-events   its memory; the first event of a stream
#   make bench-peer   Presidio's analyzer behind a processor, too: 450 MB
#   make eval      detection scored on the labelled texts in DATA
#   make fuzz      each fuzz target for TIME (make fuzz TIME=60s)

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
TIME        ?= 20s
DATA        ?= ../shared/data

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)

# Envoy is the one on PATH, else the pinned one that `make envoy` gets.
ENVOY_OURS := $(CURDIR)/.tools/bin/envoy
SLUICE_ENVOY ?= $(or $(shell command -v envoy 2>/dev/null),$(ENVOY_OURS))
export SLUICE_ENVOY

# Likewise the server of the tests of the shared store.
REDIS_OURS := $(CURDIR)/.tools/bin/redis-server
SLUICE_REDIS ?= $(or $(shell command -v redis-server 2>/dev/null),$(REDIS_OURS))
export SLUICE_REDIS

# Servers that others wrote, which the tests of providers and secrets run
# against. A test whose variable is set and whose server is missing fails.
OPENBAO := $(CURDIR)/.tools/bin/bao
AIMOCK  := $(CURDIR)/.tools/aimock/node_modules/.bin/llmock
LITELLM := $(CURDIR)/.tools/litellm/bin/litellm

.DEFAULT_GOAL := build
.PHONY: build demo test test-providers lint fmt vet staticcheck unit race envoy redis bench bench-compare bench-memory bench-events bench-peer bench-models eval fuzz generate clean

build:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/sluice ./cmd/sluice

# With ONCE=1 it sends its requests and exits, with an error where an answer is
# not as expected.
demo: build envoy
	$(GO) build -o bin/demo ./examples/envoy/demo
	@bin/demo -envoy '$(SLUICE_ENVOY)' -sluice bin/sluice -dir examples/envoy $(if $(ONCE),-once)

envoy:
ifeq ($(SLUICE_ENVOY),$(ENVOY_OURS))
	@sh scripts/envoy.sh
else
	@'$(SLUICE_ENVOY)' --version >/dev/null || { echo 'SLUICE_ENVOY=$(SLUICE_ENVOY) does not run' >&2; exit 1; }
endif

redis:
ifeq ($(SLUICE_REDIS),$(REDIS_OURS))
	@sh scripts/redis.sh
else
	@'$(SLUICE_REDIS)' --version >/dev/null || { echo 'SLUICE_REDIS=$(SLUICE_REDIS) does not run' >&2; exit 1; }
endif

test: lint envoy redis unit race

lint: fmt vet staticcheck

fmt:
	@files="$$(gofmt -l .)"; test -z "$$files" || { echo "these files are not as gofmt writes them:"; echo "$$files"; exit 1; } >&2

vet:
	$(GO) vet ./...

staticcheck:
	$(GO) run $(STATICCHECK) ./...

# All tests, with the fuzz targets' seeds, the real Envoy, a real Redis, and
# real servers of models and secrets.
unit: envoy redis
	@sh scripts/openbao.sh
	@sh scripts/aimock.sh
	PATH="$$PATH:$(CURDIR)/.tools/node/bin" SLUICE_OPENBAO=$(OPENBAO) SLUICE_AIMOCK=$(AIMOCK) $(GO) test -timeout 5m ./...

# The AI providers against every server that others wrote. LiteLLM's proxy is
# large and takes its time to install, so make test does without it.
test-providers: envoy
	@sh scripts/openbao.sh
	@sh scripts/aimock.sh
	@sh scripts/litellm.sh
	PATH="$$PATH:$(CURDIR)/.tools/node/bin" SLUICE_OPENBAO=$(OPENBAO) SLUICE_AIMOCK=$(AIMOCK) SLUICE_LITELLM=$(LITELLM) $(GO) test -count=1 -timeout 10m -run 'Aimock|LiteLLM|Vault' ./internal/ai ./internal/secret ./internal/e2e

# Once more under the race detector, without the tests that measure
# allocations or time, and the ones behind Envoy.
race:
	$(GO) test -race -short -timeout 5m $$($(GO) list ./... | grep -v -e /internal/e2e -e /examples/ -e /internal/bench)

# Also: make bench BENCH='-only headers-only,sse-500 -for 1s -rounds 3', and
# -json. The flags are those of internal/bench, for all of these.
bench: build envoy
	$(GO) run ./internal/bench -sluice bin/sluice -envoy '$(SLUICE_ENVOY)' $(BENCH)

# Both commits and the no-op are loaded in turns, in one run: what disturbs the
# machine is in all of them.
bench-compare: envoy
	@GO='$(GO)' sh scripts/bench-compare.sh '$(BASE)' -envoy '$(SLUICE_ENVOY)' $(BENCH)

# A processor that has Presidio's analyzer do the work, over HTTP.
bench-peer: build
	@sh scripts/presidio.sh
	$(GO) run ./internal/bench -sluice bin/sluice -peer .tools/presidio $(BENCH)

bench-memory: build
	$(GO) run ./internal/bench -sluice bin/sluice -memory $(BENCH)

bench-events: build envoy
	$(GO) run ./internal/bench -sluice bin/sluice -envoy '$(SLUICE_ENVOY)' -events $(BENCH)

# What a slow provider, a dead one and a cached answer cost an exchange.
bench-models: envoy
	$(GO) test -count=1 -v -run 'TestASlowProvider|TestADeadProvider|TestACacheHit' ./internal/e2e ./internal/ai

# Also: make eval DATA=DIR SETS="bodies_dev wnut17_dev"
eval:
	$(GO) run ./internal/eval -data '$(DATA)' $(SETS)

fuzz:
	@sh scripts/fuzz.sh '$(TIME)'

# The pages and files that are made from the code.
generate:
	$(GO) generate ./...

clean:
	rm -rf bin dist
