#!/usr/bin/env bash
# Installs what is missing by the machine's package manager, or says exactly
# what to install where it may not.
set -euo pipefail

missing=()
have_postgres() {
    local dir
    for dir in /usr/lib/postgresql/*/bin $(command -v initdb >/dev/null && dirname "$(readlink -f "$(command -v initdb)")"); do
        [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && return 0
    done
    return 1
}
for tool in "$@"; do
    case $tool in
        postgres) have_postgres && command -v psql >/dev/null || missing+=(postgresql) ;;
        nats) command -v nats-server >/dev/null || [ -x /usr/sbin/nats-server ] || missing+=(nats-server) ;;
        node) command -v npm >/dev/null || missing+=(npm) ;;
        chromium) command -v chromium >/dev/null || missing+=(chromium) ;;
        nextest) cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest ;;
        *) echo "unknown tool $tool" >&2; exit 2 ;;
    esac
done
[ ${#missing[@]} -eq 0 ] && exit 0

install="apt-get install -y --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
    echo "please install, by your system's own means: ${missing[*]}" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    as_root=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo)
else
    echo "please run as root:  apt-get update && $install" >&2
    exit 1
fi
echo "installing ${missing[*]}"
"${as_root[@]}" apt-get update -q
# The cluster that Debian's package would start is not needed: we start our own.
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $install
