#!/usr/bin/env bash
# Fails when a generated file is not what the code generates.
set -euo pipefail
cd "$(dirname "$0")/../.."
before=$(git status --porcelain -- schemas; git diff -- schemas | sha256sum)
cargo run -q --locked -p contracts --example schemas
after=$(git status --porcelain -- schemas; git diff -- schemas | sha256sum)
if [ "$before" != "$after" ]; then
    git --no-pager diff --stat -- schemas
    echo "schemas/ was out of date: commit what 'make schemas' wrote" >&2
    exit 1
fi
