#!/bin/sh
# Builds a Bitcoin Core node for the tests that need one, and prints its paths:
#
#     tests/bitcoin-node.sh
#     BITCOIN_NODE=/home/satoshi/.cache/rescan/bitcoin-node-0.4.1/build/bin/bitcoin-node
#     BITCOIN_CLI=/home/satoshi/.cache/rescan/bitcoin-node-0.4.1/build/bin/bitcoin-cli
#
# Everything else goes to standard error: `export $(tests/bitcoin-node.sh)` sets both.
#
# The source comes with cargo: the package libbitcoinkernel-sys contains Bitcoin Core's tree, without its wallet. Cargo
# checks it against the hash in the registry's index. The first run takes a quarter of an hour on two idle cores and 1 GB
# of disk. An interrupted run resumes; a run without work takes a moment.
#
# RESCAN_NODE_CACHE  the folder to build in; else $XDG_CACHE_HOME/rescan, or ~/.cache/rescan
# RESCAN_NODE_JOBS   compilers at a time; else as many as there are processors
set -eu

package=libbitcoinkernel-sys
# One version, the same node everywhere: Bitcoin Core 31.99.
version=0.4.1
debian_packages="cmake ninja-build g++ pkgconf libboost-dev capnproto libcapnp-dev"

say() { echo "bitcoin-node.sh: $*" >&2; }
fail() { say "error: $*"; exit 1; }

cache=${RESCAN_NODE_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/rescan}/bitcoin-node-$version
build=$cache/build

print_paths() {
    echo "BITCOIN_NODE=$build/bin/bitcoin-node"
    echo "BITCOIN_CLI=$build/bin/bitcoin-cli"
}

is_built() {
    [ -e "$cache/complete" ] && "$build/bin/bitcoin-node" --version >/dev/null 2>&1 && "$build/bin/bitcoin-cli" --version >/dev/null 2>&1
}

install_packages() {
    # On systems other than Debian and its derivatives, cmake names missing packages.
    command -v dpkg-query >/dev/null || return 0
    missing=
    for name in $debian_packages; do
        case $(dpkg-query --show --showformat='${db:Status-Status}' "$name" 2>/dev/null) in
            installed) ;;
            *) missing="$missing $name" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || fail "these packages are missing, and only root installs them: apt-get install$missing"
    say "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install --yes --no-install-recommends $missing; } >&2 ||
        fail "apt-get could not install$missing"
}

fetch_source() {
    source=$cache/source
    [ ! -e "$source/fetched" ] || return 0
    command -v cargo >/dev/null || fail "cargo is not on the PATH, and the source comes with it"
    say "fetching $package $version"
    # A separate package: the workspace must not depend on a node.
    rm -rf "$cache/fetch" "$source"
    mkdir -p "$cache/fetch/src"
    : >"$cache/fetch/src/lib.rs"
    cat >"$cache/fetch/Cargo.toml" <<END
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"

[dependencies]
$package = "=$version"

[workspace]
END
    (cd "$cache/fetch" && cargo vendor --quiet --versioned-dirs "$source" >/dev/null) ||
        fail "cargo could not fetch $package $version: is crates.io reachable?"
    [ -e "$source/$package-$version/bitcoin/CMakeLists.txt" ] || fail "$package $version does not carry Bitcoin Core's source"
    rm -rf "$cache/fetch"
    : >"$source/fetched"
}

build_node() {
    say "building in $build"
    # The asmap of the source tree is left out of the package. bitcoin-node is the daemon with IPC.
    cmake -S "$cache/source/$package-$version/bitcoin" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DENABLE_IPC=ON -DBUILD_DAEMON=ON -DBUILD_CLI=ON -DBUILD_BITCOIN_BIN=OFF -DBUILD_TX=OFF -DBUILD_UTIL=OFF \
        -DBUILD_TESTS=OFF -DENABLE_WALLET=OFF -DENABLE_EXTERNAL_SIGNER=OFF -DWITH_EMBEDDED_ASMAP=OFF -DWITH_CCACHE=OFF \
        -DINSTALL_MAN=OFF >&2 || fail "cmake failed; on systems other than Debian, install the packages that it names"
    cmake --build "$build" --parallel "${RESCAN_NODE_JOBS:-$(nproc)}" --target bitcoin-node bitcoin-cli >&2 ||
        fail "the build failed; another run resumes it"
}

if ! is_built; then
    mkdir -p "$cache" || fail "cannot make $cache: name another folder in RESCAN_NODE_CACHE"
    install_packages
    fetch_source
    build_node
    : >"$cache/complete"
    is_built || fail "the built programs do not run"
fi
print_paths
