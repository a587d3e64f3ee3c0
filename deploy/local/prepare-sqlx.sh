#!/usr/bin/env bash
# Writes each service's .sqlx: what the database says of every query, so that a
# build needs no database. Starts its own throw-away Postgres. With --check it
# only compares, and fails when something committed is out of date. Names of
# services limit it to those.
set -euo pipefail
cd "$(dirname "$0")/../.."
services="ingestion allocation disputes dunning worklist reporting gateway"
check=no; [ "${1:-}" = --check ] && { check=yes; shift; }
wanted=${*:-$services}

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -n "$bin" ] || bin=$(dirname "$(command -v initdb)")
work=$(mktemp -d /tmp/counterfoil-sqlx.XXXXXX)
run() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    chown postgres "$work"
    run() { su postgres -s /bin/bash -c "$(printf '%q ' "$@")"; }
fi
port=$((20000 + RANDOM % 20000))
cleanup() { run "$bin/pg_ctl" -D "$work/pg" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$work"; }
trap cleanup EXIT
run "$bin/initdb" -D "$work/pg" -A trust -U postgres >/dev/null
run "$bin/pg_ctl" -D "$work/pg" -w -l "$work/log" -o "-p $port -k $work -c fsync=off -c listen_addresses=127.0.0.1" start >/dev/null
url="postgres://postgres@127.0.0.1:$port/postgres"
sql() { psql -q -v ON_ERROR_STOP=1 "$url" "$@"; }

for s in $services; do
    sql -c "create role $s" -c "create role ${s}_owner" -c "create schema $s"
    sed "s/{schema}/$s/g" shared/messaging/migrations/messaging.sql | PGOPTIONS='-c client_min_messages=error' sql
    for file in services/"$s"/migrations/*.sql; do
        [ -e "$file" ] && sql -f "$file"
    done
done
# Always the whole workspace: a narrower choice would build the dependencies
# again with other features. Only what was touched is compiled anew, and only
# the service's own crate has queries.
compile() { DATABASE_URL=$url SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$1 cargo check --quiet --locked --workspace --all-targets; }
chmod 777 "$work"; mkdir -p "$work/rest"
compile "$work/rest"
stale=no
for s in $wanted; do
    grep -rqE 'query(_as|_scalar)?!' "services/$s" --include=*.rs || continue
    out="$work/out/$s" committed="services/$s/.sqlx"
    mkdir -p "$out"
    touch "services/$s/src/lib.rs"
    compile "$out"
    if [ $check = yes ]; then
        diff -rq "$committed" "$out" || stale=yes
    else
        rm -rf "$committed"; mv "$out" "$committed"
    fi
done
if [ $stale = yes ]; then echo "committed query data is out of date: run 'make sqlx'" >&2; exit 1; fi
