# What people type. Each target installs what it needs first (.ci/deps).
.DEFAULT_GOAL := help
.PHONY: help run serve test check check-api bench fuzz sqlx screenshots deps

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

run: deps ## see it work: a demo on a stand-in WhatsApp network, nothing to configure
	@echo "== building the sandbox flavour; the first time this takes a few minutes"
	cargo run --locked --features sandbox -- demo

serve: deps ## the real thing: link phones with WhatsApp itself
	@echo "== building the default flavour, optimised; the first time this takes several minutes"
	cargo build --locked --release
	target/release/wagate serve

test: ## every test, with nothing running beforehand
	@.ci/deps test
	@echo "== building the tests; the first time this takes a few minutes"
	cargo nextest run --locked --features sandbox

check: ## format, lints, licences, documentation, committed queries
	@.ci/deps check
	@.ci/check

check-api: deps ## a sandbox gateway, judged by its OpenAPI document and by other people's clients
	@.ci/check-api

bench: deps ## requests a second and the cost of drawing a code
	@echo "== building optimised; the first time this takes several minutes"
	.ci/with-postgres cargo bench --locked --features sandbox

fuzz: ## hostile input, FUZZ_SECONDS (60) for each target; what it finds is kept in target/fuzz
	@.ci/deps fuzz
	@.ci/fuzz

screenshots: ## draw the pictures of the pages anew, into docs/screenshots
	@.ci/deps test
	cargo nextest run --locked --features sandbox --run-ignored only -E 'test(/^browser::screenshots::/)'

sqlx: deps ## ask PostgreSQL about the queries again and write .sqlx
	@.ci/sqlx prepare

deps:
	@.ci/deps
