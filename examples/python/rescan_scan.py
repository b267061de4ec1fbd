#!/usr/bin/env python3
"""Scans for output descriptors through rescan-server's socket, and prints their history.

A small but whole client of rescan-schema/rescan.capnp. It checks the server's version, fills and seals a watch set,
and takes the reports as they stream in. It distinguishes an answer, a refusal, a failure and a lost connection. It keeps
no state and resumes nothing.

    ./rescan_scan.py --socket ~/.bitcoin/rescan.sock --descriptor 'wpkh(xpub.../0/*)'
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import capnp

SCHEMA = Path(__file__).resolve().parents[2] / "rescan-schema" / "rescan.capnp"
# The schema imports /capnp/stream.capnp, which is part of pycapnp but not on its import path.
rescan = capnp.load(str(SCHEMA), imports=[str(Path(capnp.__file__).resolve().parents[1])])

PROTOCOL_VERSION = 1
# The exceptions of pycapnp for a value newer than the schema: the first for union members, the second for enumerants.
NEWER = (capnp.KjException, RuntimeError)
# A chunk of descriptors stays far below the server's limits.messageBytesMax.
CHUNK_BYTES_MAX = 128 * 1024
# A batch of reports is at most 64 KiB, or one block's matches; this is 64 MiB, the default, made explicit.
TRAVERSAL_LIMIT_WORDS = 8 * 1024 * 1024


class ScanError(Exception):
    """A scan without an answer."""


class Refused(ScanError):
    """The request was wrong, and nothing was started."""


class Failed(ScanError):
    """Something is broken: on the server's disk, in the server, or between the two programs."""


@dataclass(frozen=True)
class Transaction:
    """One transaction of one report. Amounts are satoshi; hashes are in the usual, reversed hex."""

    height: int
    block_hash: str
    tx_index: int
    txid: str
    received: dict[int, int]  # value by vout
    spent: dict[int, int | None]  # value by vin; None if unknown
    is_late: bool  # holds only matches of scripts that were watched after the scan had passed the block

    @property
    def received_sat(self):
        return sum(self.received.values())

    @property
    def spent_sat(self):
        """None if a spent coin's value is unknown."""
        values = self.spent.values()
        return None if None in values else sum(values)


def printed_hash(data):
    """Hashes cross in internal order, as in a block header; people read them reversed."""
    return bytes(data)[::-1].hex()


def name_of(enumerant):
    """An enumerant's name. A newer server may have names that this schema lacks."""
    try:
        return str(enumerant)
    except NEWER:
        return f"{enumerant.raw} (newer than this client)"


def member_of(union):
    """The name of the set member, or None if a newer server set one that this schema lacks."""
    try:
        return union.which()
    except NEWER:
        return None


class Sink(rescan.ReportSink.Server):
    """The wallet's side of a scan: the server calls it.

    It answers a batch when `take` has returned for every transaction in it, and the server waits for answers: a slow
    `take` slows this scan, and no memory fills up.
    """

    def __init__(self, take):
        self._take = take
        self.result = asyncio.get_running_loop().create_future()

    async def reports(self, batch, **_):
        # The contents of `batch` are gone when this method returns: copy everything that is kept.
        for block in batch:
            block_hash = printed_hash(block.hash)
            for transaction in block.transactions:
                self._take(
                    Transaction(
                        height=block.height,
                        block_hash=block_hash,
                        tx_index=transaction.txIndex,
                        txid=printed_hash(transaction.txid),
                        received={it.vout: it.output.valueSat for it in transaction.received},
                        spent={it.vin: known_value(it.value) for it in transaction.spent},
                        is_late=block.isLate,
                    )
                )

    async def done(self, result, **_):
        if not self.result.done():
            self.result.set_result(result.as_builder())  # a copy that outlives the call


def known_value(value):
    return value.valueSat if value.which() == "valueSat" else None


async def connect(socket):
    """A connection, and the server's `Rescan`. Keep the connection as long as any of its capabilities is used."""
    stream = await capnp.AsyncIoStream.create_unix_connection(str(socket))
    connection = capnp.TwoPartyClient(stream, traversal_limit_in_words=TRAVERSAL_LIMIT_WORDS)
    return connection, connection.bootstrap().cast_as(rescan.Rescan)


async def ask_info(server):
    """The server's version, limits and chain.

    Raises Failed if this schema would misread the server's protocol.
    """
    info = (await server.info()).info
    if info.protocolVersion != PROTOCOL_VERSION:
        raise Failed(f"the server speaks protocol {info.protocolVersion}, and this client {PROTOCOL_VERSION}")
    return info


def chunks(texts):
    """The texts in order, in lists that are small enough for one message each."""
    chunk, size = [], 0
    for text in texts:
        if chunk and size + len(text) > CHUNK_BYTES_MAX:
            yield chunk
            chunk, size = [], 0
        chunk.append(text)
        size += len(text) + 64
    if chunk:
        yield chunk


async def watch(server, descriptors, gap_limit):
    """A sealed watch set of the descriptors.

    Raises Refused for the first that cannot be watched.
    """
    watch_set = (await server.newWatchSet()).watchSet
    for chunk in chunks(descriptors):
        # A streaming call: awaiting it keeps this client from running ahead of the server.
        await watch_set.addKeychains(keychains=[{"descriptor": it, "gapLimit": gap_limit} for it in chunk])
    sealed = (await watch_set.seal()).result
    match member_of(sealed):
        case "sealed":
            return watch_set
        case "refused":
            raise refusal(sealed.refused)
    raise Failed("the server answered seal with something that is newer than this client")


async def scan(server, watch_set, scan_range, take, ended):
    """Scans, calls `take` for each transaction as it arrives, and returns the summary.

    `ended` is a future that is done when the connection is gone. Raises Refused or Failed.
    """
    sink = Sink(take)
    request = {"range": scan_range}
    # Kept until the end: dropping this capability stops the scan.
    running = (await server.scan(watchSet=watch_set, request=request, sink=sink)).scan
    await asyncio.wait([sink.result, ended], return_when=asyncio.FIRST_COMPLETED)
    if not sink.result.done():
        raise Failed("the connection ended before the scan did")
    del running
    result = sink.result.result()
    match member_of(result):
        case "summary":
            return result.summary
        case "refused":
            raise refusal(result.refused)
        case "failed":
            raise failure(result.failed)
    raise Failed("the scan ended in a way that is newer than this client")


def refusal(refused):
    # `position` is the descriptor's number, but only for reasons that concern one.
    which = f" (descriptor {refused.position})" if name_of(refused.reason) in ABOUT_ONE_DESCRIPTOR else ""
    return Refused(f"{name_of(refused.reason)}{which}: {refused.detail}")


ABOUT_ONE_DESCRIPTOR = {"badDescriptor", "wrongNetwork", "badGapLimit"}


def failure(failed):
    # An unset path reads as an empty one.
    where = f" at height {failed.at.height}, {failed.at.path} byte {failed.at.offset}" if failed.at.path else ""
    return Failed(f"{name_of(failed.kind)}{where}: {failed.detail}")


def range_of(from_height, to_height):
    """A dict, since `from` is a keyword of Python."""
    return {"start": {"height": from_height}, "end": {"tip": None} if to_height is None else {"toHeight": to_height}}


def row(transaction):
    spent = "unknown" if transaction.spent_sat is None else bitcoin(transaction.spent_sat)
    late = "  late" if transaction.is_late else ""
    received = bitcoin(transaction.received_sat)
    return f"{transaction.height:>8}  {transaction.txid}  {received:>17}  {spent:>17}{late}".rstrip()


HEADER = f"{'height':>8}  {'txid':<64}  {'received BTC':>17}  {'spent BTC':>17}"


def bitcoin(sat):
    """An amount in satoshi as decimal BTC, without floating point; 0 is empty."""
    return f"{sat // 100_000_000}.{sat % 100_000_000:08}" if sat else ""


def summary_line(summary):
    transactions, coins = counted(summary.transactions, "transaction"), counted(summary.unspentCount, "coin")
    outcome = {
        "complete": lambda it: "complete",
        "cancelled": lambda it: "cancelled",
        "prunedBelow": lambda it: f"pruned: complete from height {it.prunedBelow} on",
        "reorganisedFrom": lambda it: f"reorganised: nothing stands from height {it.reorganisedFrom} on",
    }.get(member_of(summary.outcome), lambda it: "an outcome that is newer than this client")(summary.outcome)
    total = bitcoin(summary.unspentSat) or "0"
    return f"{outcome}: heights {summary.fromHeight} to {summary.toHeight}, {transactions}, {coins} of {total} BTC unspent"


def counted(count, noun):
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def parse_args():
    parser = argparse.ArgumentParser(description="Scans for output descriptors through rescan-server's socket.")
    parser.add_argument("--socket", type=Path, required=True, help="where rescan-server listens")
    parser.add_argument("--descriptor", action="append", required=True, help="single-path, with public keys; repeatable")
    parser.add_argument("--gap-limit", type=int, default=1000, help="how far past the last used index to look [1000]")
    parser.add_argument("--from-height", type=int, default=0, help="the first block [0]")
    parser.add_argument("--to-height", type=int, help="the last block [the tip]")
    return parser.parse_args()


async def main(args):
    connection, server = await connect(args.socket)
    ended = asyncio.ensure_future(connection.on_disconnect())
    info = await ask_info(server)
    tip = info.chain.tip
    seen = f"tip {tip.height} {printed_hash(tip.hash)}" if tip.hash else "no block seen yet"
    print(f"{info.software}, {name_of(info.network)}, {seen}", file=sys.stderr)
    watch_set = await watch(server, args.descriptor, args.gap_limit)
    print(HEADER)
    summary = await scan(server, watch_set, range_of(args.from_height, args.to_height), lambda it: print(row(it)), ended)
    print(summary_line(summary))
    ended.cancel()
    return 0 if member_of(summary.outcome) == "complete" else 3


def run():
    """The exit codes of `rescan scan`: 0 complete, 1 failed, 2 refused, 3 ended early."""
    args = parse_args()
    try:
        return asyncio.run(capnp.run(main(args)))
    except Refused as error:
        print(f"refused: {error}", file=sys.stderr)
        return 2
    except Failed as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cannot connect to {args.socket}: {error}\nhint: is rescan-server running?", file=sys.stderr)
        return 1
    except capnp.KjException as error:
        # The connection was lost, or one side broke the protocol or a limit of the connection.
        print(f"failed: {error.description}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(run())
