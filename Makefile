# Counterfoil. `make run` and `make test` are all that a fresh machine needs;
# the rest is for those who work on the code.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test check fmt lint schemas sqlx bench browser-files tools tools-test clean-demo

DATA_DIR ?= .counterfoil
HTTP ?= 127.0.0.1:8080

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: tools browser-files ## builds, and starts everything with the demo ledger
	COUNTERFOIL_ASSETS_REQUIRED=1 cargo build --locked --release -p counterfoil
	exec target/release/counterfoil --data-dir $(DATA_DIR) up --demo --http $(HTTP)

test: tools tools-test browser-files ## starts servers of its own and runs every test
	deploy/local/test.sh

check: tools browser-files ## what must hold before a commit, without the tests
	cargo fmt --all --check
	COUNTERFOIL_ASSETS_REQUIRED=1 cargo clippy --locked --workspace --all-targets -- -D warnings
	deploy/local/prepare-sqlx.sh --check

fmt: ## formats the code
	cargo fmt --all

schemas: browser-files ## writes schemas/ from the code
	cargo run -q -p contracts --example schemas
	UPDATE_SCHEMAS=1 cargo test -q -p gateway openapi

sqlx: tools ## writes each service's .sqlx from its queries
	deploy/local/prepare-sqlx.sh

bench: tools browser-files ## measures the pipeline beside the machine's limits
	cargo build --locked --release -p counterfoil
	target/release/counterfoil bench pipeline --json

clean-demo: ## forgets the demo's data (stop it first)
	rm -rf $(DATA_DIR)

tools: # programs that building and running need
	deploy/local/install-tools.sh postgres nats node

tools-test: # programs that the tests need beside those
	deploy/local/install-tools.sh nextest chromium

browser-files: # the pinned files of the web page, with their integrity
	@if [ ! -d services/gateway/web/node_modules ]; then \
	    cd services/gateway/web && npm ci --ignore-scripts --no-audit --no-fund; fi
