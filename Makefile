# Everything a developer or CI runs. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
CRD := crds/zonespread.yaml
REASONS := docs/reasons.md
CHECKS := docs/lint.md
# What a release's bill of materials is made with, and for.
CYCLONEDX_VERSION := 0.5.9
CYCLONEDX := target/tools/cargo-cyclonedx-$(CYCLONEDX_VERSION)
TRIPLE ?= x86_64-unknown-linux-musl
# What is tried on older versions of Kubernetes: the CRDs and their rules, the rights, a
# recovery, its workloads, approval, holds, leaders that are lost, and situations people report.
COMPAT_STORIES := recovered_zone_gets_its_pods_back a_wrong_policy_is_refused a_status_with_all_tiers \
	it_asks_for_little after_an_outage_every_workload a_recovery_is_told exactly_the_approved_moves \
	a_zone_that_is_held_by_hand leaders_lost_in_the_hold newer_than_the_crds of_a_dump

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## The operator, optimised: target/release/zonespread
	$(CARGO) build --release

.PHONY: demo
demo: control-plane ## An outage and the recovery on a real control plane; KEEP=1 leaves it running
	@echo "Compiling the operator and the demo; from scratch that takes some minutes." >&2
	@$(CARGO) test --test demo --no-run
	@KEEP=$(KEEP) $(CARGO) test --quiet --test demo

.PHONY: test
test: control-plane older-scheduler karpenter argo-rollouts prometheus helm lua ## All tests: simulated worlds, plain ones, those on a real control plane
	$(CARGO) test --test simulate
	@# Stories on the control plane mostly wait: more of them than cores run at once.
	PROPTEST_RNG_SEED=1 RUST_TEST_THREADS=7 $(CARGO) test

.PHONY: properties
properties: ## The property tests with SEEDS=n other seeds than those of the tests; SEED=s is the first
	@$(CARGO) test --quiet --release --lib --no-run
	@for seed in $$(seq $(or $(SEED),2) $$(($(or $(SEED),2) + $(or $(SEEDS),100) - 1))); do \
		PROPTEST_RNG_SEED=$$seed $(CARGO) test --quiet --release --lib >target/properties.log 2>&1 \
			|| { cat target/properties.log; echo "SEED=$$seed breaks a property" >&2; exit 1; }; \
	done; echo "no property is broken by $(or $(SEEDS),100) seeds"

.PHONY: simulate
simulate: ## The laws in SEEDS=n simulated worlds, on all cores; SEED=s is the first
	SEEDS=$(or $(SEEDS),100000) $(CARGO) test --release --test simulate laws -- --nocapture

.PHONY: landings
landings: control-plane ## 3000 predictions against the real kube-scheduler; SEED=s LANDINGS=n NODES=n
	LANDINGS=$(or $(LANDINGS),3000) $(CARGO) test --test real replacements_land -- --nocapture
	@# As many as 500 more where pods are resized in place, others hold room for them, there is a
	@# pool, and default constraints of maxSkew 1 spread some.
	SHARE=100 SEED=$$(($(or $(SEED),1) + 100000)) LANDINGS=$(or $(LANDINGS),500) $(CARGO) test --test real replacements_land -- --nocapture

.PHONY: compat
compat: control-plane ## A recovery and 3000 predictions on the older versions of Kubernetes; LANDINGS=n SEED=s
	@for version in 1.33 1.35; do \
		tests/control-plane/build.sh $$version >/dev/null; \
		KUBERNETES=$$version $(CARGO) test --test real -- $(COMPAT_STORIES); \
		KUBERNETES=$$version LANDINGS=$(or $(LANDINGS),3000) $(CARGO) test --test real replacements_land -- --nocapture; \
	done

.PHONY: outlooks
outlooks: control-plane ## What an outage leaves Pending, said before and seen after, in OUTLOOKS=n real outages; SEED=s
	OUTLOOKS=$(or $(OUTLOOKS),300) $(CARGO) test --test real as_many_pods_wait -- --nocapture

.PHONY: fuzz
fuzz: ## Fuzz what reads strangers' words, with cargo-fuzz and nightly; TARGET=offline|policy|quantity SECONDS=s
	cd fuzz && $(CARGO) +nightly fuzz run $(or $(TARGET),offline) -- -max_total_time=$(or $(SECONDS),60)

.PHONY: lint
lint: ## Formatting and clippy, warnings are errors
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	@# They are no part of "all": `cargo test` does not run them by itself.
	$(CARGO) clippy --test demo --test simulate -- -D warnings

.PHONY: doc
doc: ## The documentation of the code, warnings are errors: target/doc/zonespread
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --document-private-items

.PHONY: verify
verify: lint doc ## lint, docs, arrows and links, generated files are up to date, licenses and advisories
	$(CARGO) test --quiet --lib conventions
	@$(CARGO) run --quiet -- crd | diff -u $(CRD) - || { echo "$(CRD) is out of date: run 'make manifests'" >&2; exit 1; }
	@$(CARGO) run --quiet -- explain --markdown | diff -u $(REASONS) - || { echo "$(REASONS) is out of date: run 'make manifests'" >&2; exit 1; }
	@$(CARGO) run --quiet -- explain --checks | diff -u $(CHECKS) - || { echo "$(CHECKS) is out of date: run 'make manifests'" >&2; exit 1; }
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check; \
	else echo "cargo-deny is not installed: licenses and advisories not checked" >&2; fi

.PHONY: manifests
manifests: ## Write the generated files: the CRDs, docs/reasons.md, docs/lint.md
	@mkdir -p $(dir $(CRD))
	$(CARGO) run --quiet -- crd > $(CRD).new
	mv $(CRD).new $(CRD)
	$(CARGO) run --quiet -- explain --markdown > $(REASONS).new
	mv $(REASONS).new $(REASONS)
	$(CARGO) run --quiet -- explain --checks > $(CHECKS).new
	mv $(CHECKS).new $(CHECKS)

.PHONY: control-plane
control-plane: ## Build the control plane for tests and demo, once, into ~/.cache/zonespread
	@tests/control-plane/build.sh >/dev/null

.PHONY: older-scheduler
older-scheduler: control-plane ## Build the older scheduler that `make test` predicts as well, once
	@tests/control-plane/build.sh 1.35 kube-scheduler >/dev/null

.PHONY: karpenter
karpenter: ## Build Karpenter with its kwok provider, which opens zones in `make test`, once
	@tests/control-plane/build.sh karpenter >/dev/null

.PHONY: argo-rollouts
argo-rollouts: ## Build Argo Rollouts, whose pods some stories move, once
	@tests/control-plane/build.sh argo-rollouts >/dev/null

.PHONY: prometheus
prometheus: ## Build Prometheus and promtool, which `make test` tries the alerts with, once
	@tests/control-plane/build.sh prometheus >/dev/null

.PHONY: helm
helm: ## Build Helm, which `make test` tries the chart with, once
	@tests/control-plane/build.sh helm >/dev/null

.PHONY: lua
lua: ## Build the Lua of Argo CD, which `make test` tries its health check with, once
	@tests/control-plane/build.sh lua >/dev/null

.PHONY: krew
krew: ## Archives of the platforms that were built and the krew manifest: target/krew; URL=where they will be
	@deploy/krew/release.sh $$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1) "$(URL)" target target/krew

.PHONY: sbom
sbom: $(CYCLONEDX)/bin/cargo-cyclonedx ## What the binary is made of, as CycloneDX: target/sbom; TRIPLE=platform
	@mkdir -p target/sbom
	@# The tool writes beside Cargo.toml, and names this folder, which is nobody's business.
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 0) PATH="$(CURDIR)/$(CYCLONEDX)/bin:$$PATH" \
		$(CARGO) cyclonedx -q --format json --spec-version 1.5 --describe binaries --no-build-deps --target $(TRIPLE)
	@sed 's|path+file://$(CURDIR)#|pkg:cargo/|g' zonespread_bin.cdx.json > target/sbom/zonespread-$(TRIPLE).cdx.json
	@rm zonespread_bin.cdx.json
	@echo target/sbom/zonespread-$(TRIPLE).cdx.json

$(CYCLONEDX)/bin/cargo-cyclonedx:
	$(CARGO) install cargo-cyclonedx --version $(CYCLONEDX_VERSION) --locked --root $(CYCLONEDX)

.PHONY: bench
bench: control-plane ## What it costs; ONLY=scale|process|live, WHAT=part, BASELINE=binary of another build, ROUNDS=n
	BASELINE=$(BASELINE) ROUNDS=$(ROUNDS) $(CARGO) bench $(if $(ONLY),--bench $(ONLY)) -- $(WHAT)

.PHONY: clean
clean: ## Remove what was built here; the control plane's cache stays
	$(CARGO) clean
