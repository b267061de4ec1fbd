#!/bin/sh
# Fills a Bitcoin Core wallet by `rescan fill`, and by `rescanblockchain` of the whole chain: same node, same wallets, in
# turn. Prints a table, as in docs/compare/fill-1GB.md.
#
#     cargo build --release -p rescan-cli -p rescan-server
#     cargo run --release -p rescan-fixtures --bin rescan-loadable -- DIR 7200 330
#     benches/fill.sh /path/to/bitcoind DIR
#
# The chain has a wallet that few blocks touch, one of every third block, and one of nearly every block. The node needs
# a wallet, and bitcoin-cli beside it. It loads the chain first, two minutes for 1 GB. The block files stay in the page
# cache. Wallets are new in each run, with their descriptors imported beforehand.
#
# WALLETS   which (default quiet ordinary busy)
# RUNS      how often each is run; the table has medians (default 3)
# RESCAN    the folder of `rescan` and `rescan-server` (default target/release)
set -eu

[ $# = 2 ] || { sed -n '2,16s/^# \{0,1\}//p' "$0" >&2; exit 2; }
node_program=$1
datadir=$(cd "$2" && pwd)
runs=${RUNS:-3}
programs=${RESCAN:-target/release}
port=19532
socket=$datadir/rescan-bench.sock
work=$(mktemp -d)
node_pid= server_pid=

fail() { echo "fill.sh: $*" >&2; exit 1; }
cli() { "$(dirname "$node_program")/bitcoin-cli" -datadir="$datadir" "$@"; }
now() { date +%s%N; }
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" "$2" | tail -1; }

stop() {
    [ -z "$server_pid" ] || { kill "$server_pid"; wait "$server_pid" || :; }
    [ -z "$node_pid" ] || { cli stop >/dev/null 2>&1 || :; wait "$node_pid" || :; }
    server_pid= node_pid=
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

start() {
    printf 'regtest=1\n[regtest]\nrpcport=%s\n' "$port" >"$datadir/bitcoin.conf"
    "$node_program" -datadir="$datadir" -listen=0 -connect=0 -dnsseed=0 -fixedseeds=0 -natpmp=0 -server=1 \
        -printtoconsole=0 -dbcache=1000 "$@" &
    node_pid=$!
    cli -rpcwait getblockcount >/dev/null
}

load() {
    tip=$(cat "$datadir/tip")
    [ ! -d "$datadir/regtest/chainstate" ] || return 0
    echo "loading the chain" >&2
    start -reindex
    until [ "$(cli getbestblockhash)" = "$tip" ]; do sleep 2; done
    stop
}

make_wallet() { # wallet name
    cli -named createwallet wallet_name="$2" disable_private_keys=true blank=true >/dev/null
    cli -rpcwallet="$2" importdescriptors "$(requests "$1")" >/dev/null
}

# Wall time of a rescan by Core.
rescan_by_core() { # wallet name
    make_wallet "$1" "$2"
    begun=$(now)
    cli -rpcclienttimeout=0 -rpcwallet="$2" rescanblockchain 0 >/dev/null
    echo $((($(now) - begun) / 1000000)) >>"$work/core"
}

# Wall time of a fill, from the start of the command to its end: scan, calls, comparison.
rescan_by_fill() { # wallet name
    make_wallet "$1" "$2"
    begun=$(now)
    "$programs/rescan" fill --json --wallet "$2" --from-height 0 --datadir "$datadir" --socket "$socket" \
        >"$work/lines" 2>"$work/errors" || { cat "$work/errors" >&2; fail "$1 is not filled"; }
    echo $((($(now) - begun) / 1000000)) >>"$work/fill"
    tail -1 "$work/lines" >"$work/summary"
    [ "$(field outcome "$work/summary")" = equal ] || fail "$1 is not equal: $(cat "$work/summary")"
}

requests() {
    while read -r descriptor; do
        text=$(cli getdescriptorinfo "$descriptor" | sed -n 's/.*"descriptor": "\(.*\)",/\1/p')
        printf '%s{"desc":"%s","timestamp":"now","range":[0,999]}' "${separator:-[}" "$text"
        separator=,
    done <"$datadir/$1.txt"
    echo ']'
}

median() { sort -n "$1" | sed -n "$(((runs + 1) / 2))p" | sed 's/^/000/; s/\(...\)$/.\1/; s/^0*\([0-9]\)/\1/'; }

measure() { # wallet filters
    : >"$work/core"; : >"$work/fill"
    for run in $(seq "$runs"); do
        name=$1-$2-$(now)
        rescan_by_fill "$1" "$name-fill"
        rescan_by_core "$1" "$name-core"
        counts=$(for each in fill core; do cli -rpcwallet="$name-$each" getwalletinfo | sed -n 's/.*"txcount": \(.*\),/\1/p'; done)
        [ "$(echo "$counts" | sort -u | wc -l)" = 1 ] || fail "$1: the wallets differ: $counts"
        cli unloadwallet "$name-fill" >/dev/null; cli unloadwallet "$name-core" >/dev/null
    done
    matches=$(sed -n 's/.*"matched_blocks":\([0-9]*\).*/\1/p' "$work/lines" | head -1)
    matches=${matches:-0}
    echo "| $1 | $2 | $(echo "$counts" | head -1) | $matches | $(field calls "$work/summary") | $(field blocks_in_calls "$work/summary") | $(median "$work/fill") s | $(median "$work/core") s |"
}

load
cat "$datadir"/regtest/blocks/blk*.dat >/dev/null
echo "| wallet | block filters | transactions | matching blocks | calls | blocks in calls | fill | rescanblockchain 0 |"
echo "|---|---|---:|---:|---:|---:|---:|---:|"
for filters in without with; do
    if [ "$filters" = with ]; then
        start -blockfilterindex
        until cli getindexinfo | grep -q '"synced": true'; do sleep 2; done
    else
        start
    fi
    "$programs/rescan-server" --datadir "$datadir" --network regtest --socket "$socket" --state-dir "$work/state" >"$work/server.log" 2>&1 &
    server_pid=$!
    until "$programs/rescan" info --socket "$socket" >/dev/null 2>&1; do
        kill -0 "$server_pid" || { cat "$work/server.log" >&2; fail "the server does not start"; }
        sleep 1
    done
    for wallet in ${WALLETS:-quiet ordinary busy}; do measure "$wallet" "$filters"; done
    stop
done
