"""Compares rescan_scan.py with `rescan scan --json` on every wallet of the demo's datadir; see check.sh.

Compared are all transactions with each of their matches, and the counts of the summary; not the table's look. The
program itself is run once more from the command line, for its summary line and its exit codes.
"""

import asyncio
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import capnp
import zstandard

import rescan_scan

HERE = Path(__file__).resolve().parent
ARCHIVE = HERE.parents[1] / "fixtures" / "data" / "core-regtest-a.tar.zst"
START_TIMEOUT_SECONDS = 30
# Bitcoin Core's keypool in that datadir: its matches are within it.
GAP_LIMIT = 50


def unpack(directory):
    datadir = directory / "datadir"
    with ARCHIVE.open("rb") as archive:
        plain = zstandard.ZstdDecompressor().stream_reader(archive).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as files:
        files.extractall(datadir, filter="data")
    return datadir


def start(program, datadir, directory, socket):
    arguments = ["--datadir", datadir, "--network", "regtest", "--socket", socket, "--state-dir", directory / "state"]
    return subprocess.Popen([program, *arguments], stderr=(directory / "server.log").open("wb"))


async def connect_when_ready(server, socket):
    deadline = asyncio.get_running_loop().time() + START_TIMEOUT_SECONDS
    while True:
        try:
            return await rescan_scan.connect(socket)
        except OSError:
            if server.poll() is not None or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.02)


async def from_python(server, connection, descriptors):
    """The transactions by (block hash, txid), with late reports merged into earlier ones; and the summary."""
    found = {}

    def take(transaction):
        received, spent = found.setdefault((transaction.block_hash, transaction.txid), ({}, {}))
        received.update(transaction.received)
        spent.update(transaction.spent)

    await rescan_scan.ask_info(server)
    watch_set = await rescan_scan.watch(server, descriptors, GAP_LIMIT)
    ended = asyncio.ensure_future(connection.on_disconnect())
    summary = await rescan_scan.scan(server, watch_set, rescan_scan.range_of(0, None), take, ended)
    ended.cancel()
    assert rescan_scan.member_of(summary.outcome) == "complete", summary
    return found, (summary.toHeight, summary.transactions, summary.unspentCount, summary.unspentSat)


def from_command(command, socket, descriptors):
    arguments = [command, "scan", "--json", "--socket", socket, "--gap-limit", str(GAP_LIMIT)]
    arguments += [part for descriptor in descriptors for part in ("--descriptor", descriptor)]
    output = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, timeout=60).stdout
    *lines, summary = [json.loads(line) for line in output.splitlines()]
    found = {}
    for line in lines:
        received = {it["vout"]: it["value_sat"] for it in line["received"]}
        spent = {it["vin"]: it["value_sat"] for it in line["spent"]}
        found[line["block_hash"], line["txid"]] = (received, spent)
    names = ("to_height", "transactions", "unspent_count", "unspent_sat")
    return found, tuple(summary[name] for name in names)


def run_program(socket, descriptor):
    """Its exit code, the last line of its output, and its stderr."""
    arguments = [sys.executable, HERE / "rescan_scan.py", "--socket", socket, "--gap-limit", "500", "--descriptor", descriptor]
    ran = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    return ran.returncode, (ran.stdout.splitlines() or [""])[-1], ran.stderr


def expect(subject, got, wanted):
    if got != wanted:
        sys.exit(f"{subject} differs:\n  rescan_scan.py {got}\n  rescan scan    {wanted}")


async def compare_wallets(server_process, command, socket, wallets):
    connection, server = await connect_when_ready(server_process, socket)
    for name, wallet in wallets.items():
        descriptors = [it["descriptor"] for it in wallet["descriptors"]]
        found, counts = await from_python(server, connection, descriptors)
        wanted, wanted_counts = from_command(command, socket, descriptors)
        expect(f"{name}: the list of transactions", sorted(found), sorted(wanted))
        for key, matches in wanted.items():
            expect(f"{name}: transaction {key[1]}", found[key], matches)
        expect(f"{name}: the summary", counts, wanted_counts)
        # Bitcoin Core's own count: two empty answers are no agreement.
        expect(f"{name}: Core's count of transactions", len(found), len(wallet["transactions"]))
        print(f"{name}: {len(found)} transactions, the same")


def check_program(socket, wallets):
    descriptor = wallets["vault"]["descriptors"][0]["descriptor"]
    code, summary, _ = run_program(socket, descriptor)
    expect("the exit code", (code, summary.split(":")[0]), (0, "complete"))
    code, _, errors = run_program(socket, "wpkh(no-key)")
    expect("a refusal", (code, "refused: badDescriptor" in errors), (2, True))
    code, _, errors = run_program(socket.with_name("none.sock"), descriptor)
    expect("a missing server", (code, "cannot connect" in errors), (1, True))


def main(server_program, command, directory):
    directory = Path(directory)
    datadir, socket = unpack(directory), directory / "rescan.sock"
    wallets = json.loads((datadir / "expected.json").read_text())["wallets"]
    process = start(server_program, datadir, directory, socket)
    try:
        asyncio.run(capnp.run(compare_wallets(process, command, socket, wallets)))
        check_program(socket, wallets)
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
