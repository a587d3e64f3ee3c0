#!/usr/bin/env bash
# Every test, against servers that are started for them and gone afterwards.
set -euo pipefail
cd "$(dirname "$0")/../.."
export SQLX_OFFLINE=true
# Everything at once, programs among it: choosing single crates would build the
# dependencies again with other features.
cargo build --locked --workspace --all-targets
# One Postgres and one NATS for the whole run: each test has a database and a
# subject prefix of its own.
target/debug/test-stack run \
    cargo nextest run --locked --workspace --all-targets --profile "${NEXTEST_PROFILE:-default}"
cargo test -q --locked --workspace --doc
if [ -d tests/browser ]; then
    (cd tests/browser && npm ci --ignore-scripts --no-audit --no-fund && node --test --test-concurrency=1)
fi
