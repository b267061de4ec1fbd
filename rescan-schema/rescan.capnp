@0xb97d25c4b5a3ab4e;

# rescan: how a wallet asks the node's side of the fence for its own history.
#
# Transport: Cap'n Proto RPC (two-party, level 1) on a Unix stream socket; the bootstrap capability is `Rescan`.
#
# Conventions, valid everywhere below:
# - A hash is 32 bytes in internal order (as in a block header); printing reverses it.
# - An amount is in satoshi; a time is seconds since 1970; a size is bytes; units stand last in a name.
# - A capability is the owner of what it stands for: drop it and its state on the server is gone.
# - A method fails with a Cap'n Proto exception only when the peer breaks the protocol or a limit of the connection
#   (`ServerInfo.limits`). A caller's mistake (`Refusal`), a failure (`Failure`) and an outcome are values.
# - Everything that can grow crosses in `-> stream` calls, which carry flow control: a slow reader slows its own
#   scan and nothing else.
# - New fields and methods may be added at the end. A client ignores fields that it does not know, treats an unknown
#   enumerant or union member as "newer than I am", and asks `Rescan.info` before it relies on a feature.

interface Rescan {
  # The bootstrap object, one per connection.

  info @0 () -> (info :ServerInfo);
  # What the server is and what it sees now. Cheap; answers while the chain is still being read.

  newWatchSet @1 () -> (watchSet :WatchSet);
  # An empty watch set, to be filled, sealed and scanned for any number of times.

  scan @2 (watchSet :WatchSet, request :ScanRequest, sink :ReportSink) -> (scan :Scan);
  # Starts a scan for a sealed watch set. Returns at once; everything that happens reaches `sink`, the last of it
  # `sink.done`, which comes exactly once unless the scan is dropped or the connection ends. Drop `scan` and it stops
  # within one block.

  blocks @3 (range :Range, sink :BlockSink) -> (scan :Scan);
  # Ships whole blocks of a range, in height order, as serialised with witnesses. For wallets that would rather not show
  # their scripts, and for measuring against. Otherwise like `scan`.

  locate @4 (hashes :List(Data)) -> (found :BlockId);
  # The highest block of the active chain that is among these, after the block files were looked at anew; an empty hash
  # if none is. At most 4,096. For a wallet that goes on from a locator: what it knows above that block no longer stands.

  matchBlock @5 (height :UInt32, hash :Data, scripts :List(Data), outpoints :List(Outpoint)) -> (result :BlockMatch);
  # One block of the active chain, whole, if anything in it matches: an output that pays one of the scripts, or an input that
  # spends one of the outpoints or a coin that the block itself makes for one of the scripts. For wallets that leave no
  # state behind: nothing of the call is kept, so that a wallet which finds a coin adds it to the outpoints of later calls.
  # An empty hash is whatever block the active chain has at that height, after the block files were looked at anew. With a
  # hash, the active chain is that of the last second; where the block is its tip, and before it is said not to be in
  # it, the block files are looked at anew too. So a walk from `next` to `next` that comes to a tip was of that tip's chain.

  waitTip @6 (known :Data, timeoutMillis :UInt32) -> (tip :BlockId);
  # The tip of the active chain as soon as it is another than `known`, or the same when the time is up; it may be lower than
  # it was. The block files are looked at anew first, however long that takes where they are read for the first time: a tip which
  # moved before the call is answered at once. An empty `known` is answered with whatever tip there is; an unset tip or an
  # empty hash means that there is no block yet. More than 60,000 milliseconds count as 60,000. For a wallet that follows: it
  # says that there is something to go on to and not what, so that nothing is lost or piled up for a wallet that is slow to ask
  # again.
}

# --- What the server is ---------------------------------------------------------------------------------------------

struct ServerInfo {
  protocolVersion @0 :UInt32;
  # 1 is what this file describes. It grows only when an old client would misread a new server.
  software @1 :Text;
  # Name and version of the server, for people.
  network @2 :Network;
  features @3 :List(Feature);
  chain @4 :ChainInfo;
  limits @5 :Limits;
  node @6 :NodeLink;
  figures @7 :Figures;
}

enum Network {
  main @0;
  testnet3 @1;
  testnet4 @2;
  signet @3;
  # The default signet or a custom one: they share the address format; `chain.genesis` cannot tell them apart, the blocks do.
  regtest @4;
}

enum Feature {
  # What this server can do beyond what every server of protocol version 1 can.
  scan @0;
  blocks @1;
  birthday @2;
  gapRule @3;
  # Keychains are watched by their gap limit, and `ScanRequest.covered` is honoured.
  coins @4;
  # `ScanRequest.deliver` may be `coins`.
  proofs @5;
  # Raw transactions and merkle branches.
  locator @6;
  # `Rescan.locate`, ranges that begin after a locator, and `ReportSink.settled`.
  matchBlock @7;
  # `Rescan.matchBlock`.
  waitTip @8;
  # `Rescan.waitTip`.
}

struct ChainInfo {
  genesis @0 :Data;
  # Hash of the network's genesis block.
  state @1 :ChainState;
  tip @2 :BlockId;
  # The tip of the active chain as last seen. Unset while no block is known.
  lowestHeight @3 :UInt32;
  # The lowest height from which every block up to the tip is on disk; 0 on a node that is not pruned.
  source @4 :ChainSource;
  reading @5 :ReadingProgress;
  # How far the server is in reading block files; done equals total when it has read all.
}

enum ChainState {
  reading @0;
  # The block files are being read for the first time since the server started; scans wait for it.
  ready @1;
  failed @2;
  # The block files could not be read; the server's log says why, and it tries again with the next scan.
}

enum ChainSource {
  files @0;
  # The most-work chain of the block files, not confirmed by a node.
  node @1;
  # The chain that the node itself says is active.
}

struct NodeLink {
  # Whether the server is in touch with the node whose block files it reads.
  state @0 :NodeLinkState;
  sinceSeconds @1 :UInt64;
  # When that state began.
  tip @2 :NodeTip;
  # The tip that the node named last. Unset before it named one.
  reason @3 :Text;
  # For people: why the link is `lost` or `refused`, or what it waits for; else empty.
}

enum NodeLinkState {
  off @0;
  # The server was told not to ask a node. What a server says that does not know of this field.
  absent @1;
  # There is no socket where the node's is looked for.
  connecting @2;
  # A node listens, and has not answered yet: while it starts, it lets its callers wait.
  connected @3;
  lost @4;
  # There was a link, or the socket is there and nobody listens. It is tried again by itself.
  refused @5;
  # What listens is no node that can be asked: too old, or another user's. It is tried again by itself.
}

struct NodeTip {
  height @0 :UInt32;
  hash @1 :Data;
}

struct ReadingProgress {
  bytesDone @0 :UInt64;
  bytesTotal @1 :UInt64;
}

struct BlockId {
  height @0 :UInt32;
  hash @1 :Data;
  timeSeconds @2 :UInt32;
  # The time in the block's header.
}

struct Limits {
  messageBytesMax @0 :UInt64;
  # A larger message ends the connection: upload watch sets in chunks well below it.
  connectionsMax @1 :UInt32;
  scansPerConnectionMax @2 :UInt32;
  # A call to `matchBlock` counts as one while it is under way.
  watchSetsPerConnectionMax @3 :UInt32;
  scriptsPerWatchSetMax @4 :UInt64;
  # Given scripts and those derived from keychains, together.
  outpointsPerWatchSetMax @5 :UInt64;
  # What follows is 0 where the server does not say.
  entryBytesPerWatchSetMax @6 :UInt64;
  # Of the descriptors and scripts that are given to one watch set.
  watchedPerConnectionMax @7 :UInt64;
  # Scripts and outpoints in all watch sets and scans of a connection, derived ones included; a descriptor counts as 20 more.
  watchedPool @8 :UInt64;
  # As many may all connections watch together, beyond 10,000 that each has for itself.
  scansMax @9 :UInt32;
  # Of all connections together.
  callsOpenMax @10 :UInt32;
  # Calls of one connection that are not yet answered, or that the client has not yet finished with. More end it.
  callsWaitingMax @11 :UInt32;
  # Of these, the ones that wait for something to happen on the server. A call more is `overloaded`.
  capabilitiesMax @12 :UInt32;
  # That came with calls of one connection which are not yet answered. More end it.
  unansweredBytesMax @13 :UInt64;
  # Of messages of one connection that have half arrived, or whose calls are not yet answered. More end it.
  unansweredBytesPool @14 :UInt64;
  # As many may all connections have of those together, beyond 1 MiB that each has for itself.
  stalledAfterMillis @15 :UInt32;
  # A wallet that takes nothing of its scan for so long has it cancelled.
  unreadAfterMillis @16 :UInt32;
  # A client that reads nothing for so long while something is to be sent loses its connection.
  messageAfterMillis @17 :UInt32;
  # So does one that takes so long to send one message.
}

struct Figures {
  # Counts since the server started, and what is so at the moment: what it gives as metrics too.
  scansBegun @0 :UInt64;
  # Scans, and shipments of whole blocks. Those that did not end in one of the following ways are under way.
  scansComplete @1 :UInt64;
  scansCancelled @2 :UInt64;
  scansPruned @3 :UInt64;
  scansReorganised @4 :UInt64;
  scansRefused @5 :UInt64;
  scansFailed @6 :UInt64;
  scansAbandoned @7 :UInt64;
  # Their wallets left, or let go of them.
  blockMatches @8 :UInt64;
  # Calls to `matchBlock`.
  blocksWalked @9 :UInt64;
  bytesWalked @10 :UInt64;
  lastScanBytesPerSecond @11 :UInt64;
  # How fast the scan that ended last walked its blocks; 0 before the first.
  transactionsReported @12 :UInt64;
  # By scans that ended in an outcome.
  connectionsNow @13 :UInt32;
  connectionsAccepted @14 :UInt64;
  connectionsTurnedAway @15 :UInt64;
  # The server had `Limits.connectionsMax` already.
  connectionsOfOtherUsers @16 :UInt64;
  # Closed before a byte was read.
  connectionsBroken @17 :UInt64;
  # The peer broke the protocol.
  refusals @18 :List(RefusalCount);
  # Calls that were answered by one: to `seal`, `scan`, `blocks`, `matchBlock`. A reason that is missing was never given.
  failures @19 :List(FailureCount);
  # Of scans, calls to `matchBlock`, and looks at the block files. A kind that is missing never happened.
  nodeTip :union {
    notAsked @20 :Void;
    # No node is asked.
    unreachable @21 :Void;
    # It does not answer at the moment.
    height @22 :UInt32;
    # Its tip, as it last said.
  }
}

struct RefusalCount {
  reason @0 :RefusalReason;
  count @1 :UInt64;
}

struct FailureCount {
  kind @0 :FailureKind;
  count @1 :UInt64;
}

# --- What a scan looks for ------------------------------------------------------------------------------------------

interface WatchSet {
  # Scripts and outpoints to look for. Fill it, seal it, scan for it. The `add` methods never fail for what they are
  # given: the first entry that cannot be watched is remembered, and `seal` says which it was and why.

  addKeychains @0 (keychains :List(Keychain)) -> stream;
  # Keychains are numbered from 0 in the order in which they are added, over all calls.

  addScripts @1 (scripts :List(Data)) -> stream;
  # Bare scriptPubKeys, numbered from 0 in the order in which they are added, over all calls.

  addOutpoints @2 (outpoints :List(GivenOutpoint)) -> stream;
  # Coins that exist before the range and whose spends are wanted, numbered likewise.

  seal @3 () -> (result :SealResult);
  # Ends the filling. Derives and compiles; sealing again gives the same answer. A sealed watch set takes no more entries:
  # what is added later is never watched, and the next `seal` says `alreadySealed`.
}

struct Keychain {
  descriptor @0 :Text;
  # An output descriptor with public keys only; its checksum, if given, is verified. Single-path: a client expands
  # multipath descriptors into one keychain a path, so that what comes back names the path.
  gapLimit @1 :UInt32 = 1000;
  # Indexes 0 to (last used or revealed, whichever is higher) plus this are watched; before any use, 0 to this less one.
  # From 1 to 1,000,000; of no meaning where the descriptor is not ranged.
  revealed :union {
    nothing @2 :Void;
    lastIndex @3 :UInt32;
    # The highest index that the wallet has given out. Without it, a scan that begins after the first uses may stop short.
  }
}

struct GivenOutpoint {
  outpoint @0 :Outpoint;
  known :union {
    nothing @1 :Void;
    output @2 :Output;
    # What the coin is, if the wallet knows: the value comes back with the spend.
  }
}

struct Outpoint {
  txid @0 :Data;
  vout @1 :UInt32;
}

struct Output {
  valueSat @0 :UInt64;
  scriptPubKey @1 :Data;
}

struct SealResult {
  union {
    sealed @0 :WatchSetSize;
    refused @1 :Refusal;
  }
}

struct WatchSetSize {
  keychains @0 :UInt32;
  scripts @1 :UInt64;
  # Distinct scripts watched, derived ones included.
  outpoints @2 :UInt64;
}

struct Refusal {
  # A mistake of the caller's. Nothing was started.
  reason @0 :RefusalReason;
  position @1 :UInt64;
  # Which keychain, script or outpoint, by the numbering above, where the reason is about one of them.
  detail @2 :Text;
  # The same for people: what was expected and what was found. Never contains key material.
}

enum RefusalReason {
  badDescriptor @0;
  wrongNetwork @1;
  badScript @2;
  badOutpoint @3;
  tooManyEntries @4;
  alreadySealed @5;
  notSealed @6;
  badRange @7;
  # Upside down, or above the tip.
  foreignWatchSet @8;
  # The watch set is not one of this connection's.
  tooManyScans @9;
  badGapLimit @10;
  # A gap limit or a revealed index out of bounds.
  notInChain @11;
  # A range after a locator none of whose blocks is in the active chain, or a block that is not: ask `Rescan.locate`.
  badCoverage @12;
  # `ScanRequest.covered` does not fit the range or the watch set.
}

# --- A scan ---------------------------------------------------------------------------------------------------------

struct ScanRequest {
  range @0 :Range;
  verify @1 :Verify;
  deliver @2 :Deliver;
  rawTransactions @3 :Bool;
  # Each reported transaction comes with its bytes; the witness commitment (BIP141) of its block is proven too.
  merkleBranches @4 :Bool;
  # Each reported transaction comes with its merkle branch, and each report with the block's header.
  markMillis @5 :UInt32;
  # How often `sink.settled` may be called, in milliseconds; 0 is never.
  covered @6 :Covered;
  # For a scan that goes on where another one ended; unset otherwise.
}

enum Deliver {
  history @0;
  # Reports of all that matched.
  coins @1;
  # No reports: what is unspent at the end, in `sink.coins`.
}

struct Covered {
  # What earlier scans of the same keychains have been through: the blocks from `fromHeight` up to where this range begins.
  fromHeight @0 :UInt32;
  keychains @1 :List(WatchedIndexes);
  # One a keychain, in their order. Where this scan comes to watch more, it goes over those blocks too, for the rest alone.
}

struct WatchedIndexes {
  # Which indexes of a keychain were watched over all of a range, with every match among them reported.
  union {
    none @0 :Void;
    through @1 :UInt32;
    # From 0 to this.
  }
}

struct Range {
  start :union {
    height @0 :UInt32;
    birthdaySeconds @1 :UInt32;
    # The first block whose max-time (the greatest header time up to and including it) is at least this less 7,200.
    afterLocator @4 :List(Data);
    # The block after the highest of these that is in the active chain. If that is the tip, there is nothing to walk.
  }
  end :union {
    tip @2 :Void;
    # The tip when the scan begins.
    toHeight @3 :UInt32;
  }
}

enum Verify {
  reported @0;
  # Every block that is reported is proven first: its transactions hash to the merkle root of its header.
  all @1;
  # Every block walked is proven, so that a flipped bit cannot hide a match either.
  none @2;
  # The disk is trusted, as Bitcoin Core's own rescan trusts it.
}

interface Scan {
  progress @0 () -> (progress :Progress);
  cancel @1 () -> ();
  # Asks the scan to end early: `sink.done` comes with the outcome `cancelled` and a locator to go on from.
  blockIds @2 (heights :List(UInt32)) -> (ids :List(BlockId));
  # Hash and time of blocks of the chain that this scan is pinned to; a height outside it gives an entry with an
  # empty hash. At most 4,096 heights a call. Waits until the scan has begun.
}

struct Progress {
  phase @0 :Phase;
  blocksDone @1 :UInt64;
  blocksTotal @2 :UInt64;
  bytesDone @3 :UInt64;
  # Of block data, settled in chain order.
  bytesTotal @4 :UInt64;
  elapsedMicroseconds @5 :UInt64;
  # Since the walk began.
}

enum Phase {
  readingChain @0;
  # The server is still reading its block files; blocks and bytes are those of `ServerInfo.chain.reading`.
  deriving @1;
  walking @2;
  done @3;
}

interface ReportSink {
  # The wallet's side of a scan.
  reports @0 (batch :List(BlockReport)) -> stream;
  # Reports in chain order. The first arrives as soon as it is settled, later ones in batches of up to 64 KiB.
  done @1 (result :ScanResult) -> ();
  coins @2 (batch :List(Coin)) -> stream;
  # Called only if the request's `deliver` is `coins`: by ascending height, index in block and output; before `done`.
  settled @3 (mark :Mark) -> stream;
  # Called only if the request's `markMillis` is not 0: everything up to a block was reported by the calls before.
}

struct Mark {
  fromHeight @0 :UInt32;
  # Where the range begins, `covered` included.
  block @1 :BlockId;
  # The last block that is settled.
  locator @2 :List(Data);
  # That block first.
  keychains @3 :List(KeychainUse);
}

struct Coin {
  # An output that was created in the range and is unspent at its end.
  height @0 :UInt32;
  blockHash @1 :Data;
  txIndex @2 :UInt32;
  # 0 is the coinbase.
  outpoint @3 :Outpoint;
  output @4 :Output;
  origins @5 :List(Origin);
}

struct ScanResult {
  union {
    summary @0 :Summary;
    refused @1 :Refusal;
    failed @2 :Failure;
  }
}

struct BlockReport {
  # What one block yields. Only blocks that match are reported.
  height @0 :UInt32;
  hash @1 :Data;
  timeSeconds @2 :UInt32;
  transactions @3 :List(TransactionReport);
  # By ascending index in the block.
  isLate @4 :Bool;
  # Scripts that came to be watched only later were found in a block that was passed before. It carries the new matches
  # alone: merge them with those of other reports by block hash and txid.
  header @5 :Data;
  # 80 bytes, where merkle branches were asked for; else empty.
}

struct TransactionReport {
  txIndex @0 :UInt32;
  txid @1 :Data;
  received @2 :List(Received);
  # By ascending vout.
  spent @3 :List(Spent);
  # By ascending vin.
  raw @4 :Data;
  # Consensus serialisation with witnesses, where asked for; else empty.
  merkleBranch @5 :List(Data);
  # The siblings from the transaction up to the root, where asked for. Empty too where the block has one transaction.
}

struct Received {
  # An output that pays a watched script.
  vout @0 :UInt32;
  output @1 :Output;
  origins @2 :List(Origin);
  # Everything in the watch set that this script belongs to, in its order; never empty.
}

struct Spent {
  # An input that spends a watched coin: a given outpoint, or an output received in the range.
  vin @0 :UInt32;
  prevout @1 :Outpoint;
  value :union {
    unknown @2 :Void;
    valueSat @3 :UInt64;
  }
  origins @4 :List(Origin);
}

struct Origin {
  # Why something matched.
  union {
    keychain @0 :KeychainScript;
    script @1 :UInt32;
    # The number of a given script.
    outpoint @2 :UInt32;
    # The number of a given outpoint.
  }
}

struct KeychainScript {
  keychain @0 :UInt32;
  index :union {
    single @1 :Void;
    # The descriptor is not ranged.
    derived @2 :UInt32;
  }
}

struct Summary {
  outcome @0 :Outcome;
  fromHeight @1 :UInt32;
  toHeight @2 :UInt32;
  tip @3 :BlockId;
  # The last block of the range on the chain that the scan was pinned to.
  transactions @4 :UInt64;
  # Distinct transactions reported.
  unspentCount @5 :UInt64;
  # Coins created in the range and unspent at its end (of an early outcome: at the end of what was scanned).
  unspentSat @6 :UInt64;
  keychains @7 :List(KeychainUse);
  # One a keychain, in their order.
  blocksScanned @8 :UInt64;
  bytesScanned @9 :UInt64;
  prepareMicroseconds @10 :UInt64;
  # Derivation before the walk; 0 where the watch set was derived already.
  elapsedMicroseconds @11 :UInt64;
  # Everything, from the call to this summary.
  locator @12 :List(Data);
  # Hashes of blocks up to the last one scanned, newest first, ever further apart: what to resume from.
  passes @13 :UInt32;
  # How often blocks were gone over: 1, and 1 for each time that more came to be watched than had been derived ahead.
}

struct Outcome {
  union {
    complete @0 :Void;
    cancelled @1 :Void;
    prunedBelow @2 :UInt32;
    # Blocks of the range are not on disk. The lowest height that is complete to the range's end.
    reorganisedFrom @3 :UInt32;
    # The chain that the scan was pinned to was left. Reports at and above this height no longer stand.
  }
}

struct KeychainUse {
  union {
    unused @0 :Void;
    lastUsedIndex @1 :UInt32;
    usedSingle @2 :Void;
    # The descriptor is not ranged, and was used.
  }
  watched @3 :WatchedIndexes;
  # What was watched over all of the range, and may be given as `Covered` when going on.
}

struct Failure {
  # Not an outcome: something is broken. Nothing that was reported before is false.
  kind @0 :FailureKind;
  detail @1 :Text;
  # For people: what was expected, what was found.
  at @2 :FailurePlace;
  # Unset where the failure is not about one place on disk.
}

enum FailureKind {
  corruptBlock @0;
  # A block does not hash to what its header says, or is not made as blocks are made.
  unreadable @1;
  # The operating system would not give the bytes.
  internal @2;
  # A defect of the server's.
  limitReached @3;
  # The gap rule asks for more scripts than a watch set holds.
}

struct FailurePlace {
  height @0 :UInt32;
  path @1 :Text;
  offset @2 :UInt64;
  # Of the block's first byte in the file.
}

# --- Whole blocks ---------------------------------------------------------------------------------------------------

interface BlockSink {
  blocks @0 (batch :List(FullBlock)) -> stream;
  # In height order, every height of the range once. A batch closes at 1 MiB, and holds at least one block.
  done @1 (result :ScanResult) -> ();
  # The counts of matches in the summary are zero.
}

struct FullBlock {
  height @0 :UInt32;
  hash @1 :Data;
  data @2 :Data;
  # Consensus serialisation with witnesses; at most 4,000,000 bytes.
}

# --- One block a call -----------------------------------------------------------------------------------------------

struct BlockMatch {
  # What `Rescan.matchBlock` comes to.
  block @0 :BlockId;
  # The block that was asked for; unset where the call is refused.
  next @1 :BlockId;
  # The block after it in the same chain, to be asked for next; unset where it is the tip, and where the call is refused.
  union {
    nothing @2 :Void;
    # Nothing in it matches. Nothing is proven, as with a scan that proves what it reports.
    data @3 :Data;
    # Something does: the whole block, proven, in the consensus serialisation with witnesses; at most 4,000,000 bytes.
    notOnDisk @4 :Void;
    # The node has pruned it.
    refused @5 :Refusal;
    # `notInChain` where the active chain has another block at that height, `badRange` where it has none yet; an entry that
    # a watch set would refuse is refused here too, by its number in the call.
    failed @6 :Failure;
  }
}
