@0xb97d25c4b5a3ab4e;

# rescan: a wallet's interface to its own history, served beside a node.
#
# Transport: Cap'n Proto RPC (two-party, level 1) on a Unix stream socket; the bootstrap capability
# is `Rescan`.
#
# Conventions, valid everywhere below:
# - A hash is 32 bytes in internal order (as in a block header); printing reverses it.
# - An amount is in satoshi; a time is seconds since 1970; a size is bytes; units stand last in a
#   name.
# - A capability owns its state on the server: dropping it releases that state.
# - A method fails with a Cap'n Proto exception only when the peer breaks the protocol or a limit of
#   the connection (`ServerInfo.limits`). A caller's mistake (`Refusal`), a failure (`Failure`) and
#   an outcome are values.
# - Everything that can grow crosses in `-> stream` calls, which carry flow control: a slow reader
#   slows its own scan and nothing else.
# - New fields and methods may be added at the end. A client ignores fields that it does not know,
#   treats an unknown enumerant or union member as "newer than this client", and checks
#   `Rescan.info` before it relies on a feature.

interface Rescan {
  # The bootstrap object, one per connection.

  info @0 () -> (info :ServerInfo);
  # The server, its limits and its present view of the chain. Cheap; answers while the chain is
  # still being read.

  newWatchSet @1 () -> (watchSet :WatchSet);
  # An empty watch set, to be filled, sealed and scanned for any number of times.

  scan @2 (watchSet :WatchSet, request :ScanRequest, sink :ReportSink) -> (scan :Scan);
  # Starts a scan for a sealed watch set. Returns at once; all results reach `sink`. The last call
  # is `sink.done`, which comes exactly once unless the scan is dropped or the connection ends.
  # Dropping `scan` stops it within one block.

  blocks @3 (range :Range, sink :BlockSink) -> (scan :Scan);
  # Ships whole blocks of a range, in height order, as serialised with witnesses. For wallets that
  # prefer to hide their scripts, and as a baseline for measurements. Otherwise like `scan`.

  locate @4 (hashes :List(Data)) -> (found :BlockId);
  # The highest of these blocks in the active chain, after a refresh from the block files; an empty
  # hash if there is none. At most 4,096. For a wallet that resumes from a locator: its data above
  # that block is void.

  matchBlock @5 (height :UInt32, hash :Data, scripts :List(Data), outpoints :List(Outpoint)) -> (result :BlockMatch);
  # One block of the active chain, whole, if anything in it matches: an output that pays one of the
  # scripts, or an input that spends one of the outpoints or a coin that the block itself makes for
  # one of the scripts. For wallets that leave no state on the server: nothing of the call is kept.
  # A wallet that finds a coin adds it to the outpoints of later calls.
  #
  # An empty hash means the active chain's block at that height, after a refresh from the block
  # files. With a hash, the active chain may be a second old. If the block is its tip or not in it,
  # there is a refresh before the answer. A walk from `next` to `next` that reaches a tip was
  # therefore of that tip's chain.

  waitTip @6 (known :Data, timeoutMillis :UInt32) -> (tip :BlockId);
  # The tip of the active chain as soon as it differs from `known`, or the same tip at the timeout.
  # It may be lower than before. A refresh from the block files comes first, and takes its time on
  # their first reading: a tip that moved before the call is returned at once. An empty `known`
  # returns the present tip; an unset tip or an empty hash means that there is no block yet. More
  # than 60,000 milliseconds count as 60,000.
  #
  # For a wallet that follows. The answer names a new tip, not the blocks up to it: nothing is lost
  # or queued for a wallet that is slow to call again.
}

# --- The server -----------------------------------------------------------------------------------

struct ServerInfo {
  protocolVersion @0 :UInt32;
  # 1 is described in this file. It grows only if an old client would misread a new server.
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
  # The default signet or a custom one: they share the address format; `chain.genesis` cannot tell
  # them apart, the blocks do.
  regtest @4;
}

enum Feature {
  # An ability beyond those of every server of protocol version 1.
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
  watchSetProgress @9;
  # `WatchSet.progress`, and the scripts in `Progress`.
}

struct ChainInfo {
  genesis @0 :Data;
  # Hash of the network's genesis block.
  state @1 :ChainState;
  tip @2 :BlockId;
  # The tip of the active chain as last seen. Unset while no block is known.
  lowestHeight @3 :UInt32;
  # The lowest height from which every block up to the tip is on disk; 0 on a node that is not
  # pruned.
  source @4 :ChainSource;
  reading @5 :ReadingProgress;
  # Progress of reading the block files; done equals total at the end.
}

enum ChainState {
  reading @0;
  # The block files are being read for the first time since the server started; scans wait for it.
  ready @1;
  failed @2;
  # The block files could not be read; the server's log has the cause. The next scan tries again.
}

enum ChainSource {
  files @0;
  # The most-work chain of the block files, not confirmed by a node.
  node @1;
  # The node's own active chain.
}

struct NodeLink {
  # The link to the node whose block files the server reads.
  state @0 :NodeLinkState;
  sinceSeconds @1 :UInt64;
  # When that state began.
  tip @2 :NodeTip;
  # The tip that the node named last. Unset before it named one.
  reason @3 :Text;
  # For people: the cause of `lost` or `refused`, or the awaited event; else empty.
}

enum NodeLinkState {
  off @0;
  # The server is configured not to ask a node. Also the value of older servers, which lack this
  # field.
  absent @1;
  # There is no socket at the node's path.
  connecting @2;
  # A node listens and has not answered yet: it makes callers wait while it starts.
  connected @3;
  lost @4;
  # There was a link, or the socket exists and nobody listens. The server retries.
  refused @5;
  # The listener is no suitable node: too old, or another user's. The server retries.
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
  # A running call to `matchBlock` counts as one.
  watchSetsPerConnectionMax @3 :UInt32;
  scriptsPerWatchSetMax @4 :UInt64;
  # Given scripts and those derived from keychains, together.
  outpointsPerWatchSetMax @5 :UInt64;
  # The fields below are 0 if the server does not report them.
  entryBytesPerWatchSetMax @6 :UInt64;
  # Of the descriptors and scripts that are given to one watch set.
  watchedPerConnectionMax @7 :UInt64;
  # Scripts and outpoints in all watch sets and scans of a connection, derived ones included; a
  # descriptor counts as 20 more.
  watchedPool @8 :UInt64;
  # A quota shared by all connections, beyond 10,000 guaranteed to each.
  scansMax @9 :UInt32;
  # Of all connections together.
  callsOpenMax @10 :UInt32;
  # Calls of one connection that are not yet answered, or not yet finished by the client. More end
  # the connection.
  callsWaitingMax @11 :UInt32;
  # Those of them that wait for an event on the server. One more is `overloaded`.
  capabilitiesMax @12 :UInt32;
  # Received in unanswered calls of one connection. More end the connection.
  unansweredBytesMax @13 :UInt64;
  # Of messages of one connection that have half arrived, or whose calls are not yet answered. More
  # end the connection.
  unansweredBytesPool @14 :UInt64;
  # A quota of those shared by all connections, beyond 1 MiB guaranteed to each.
  stalledAfterMillis @15 :UInt32;
  # After this time in which a wallet takes nothing of its scan, the scan is cancelled.
  unreadAfterMillis @16 :UInt32;
  # After this time in which a client reads none of the pending bytes, its connection ends.
  messageAfterMillis @17 :UInt32;
  # A message that takes longer to arrive ends the connection.
}

struct Figures {
  # Counts since the server started, and present values; the metrics have the same.
  scansBegun @0 :UInt64;
  # Scans, and shipments of whole blocks. Those not counted as one of the following ends are still
  # running.
  scansComplete @1 :UInt64;
  scansCancelled @2 :UInt64;
  scansPruned @3 :UInt64;
  scansReorganised @4 :UInt64;
  scansRefused @5 :UInt64;
  scansFailed @6 :UInt64;
  scansAbandoned @7 :UInt64;
  # Their wallets disconnected or dropped them.
  blockMatches @8 :UInt64;
  # Calls to `matchBlock`.
  blocksWalked @9 :UInt64;
  bytesWalked @10 :UInt64;
  lastScanBytesPerSecond @11 :UInt64;
  # The walking speed of the scan that ended last; 0 before the first.
  transactionsReported @12 :UInt64;
  # By scans that ended in an outcome.
  connectionsNow @13 :UInt32;
  connectionsAccepted @14 :UInt64;
  connectionsTurnedAway @15 :UInt64;
  # The server already had `Limits.connectionsMax`.
  connectionsOfOtherUsers @16 :UInt64;
  # Closed before a byte was read.
  connectionsBroken @17 :UInt64;
  # The peer broke the protocol.
  refusals @18 :List(RefusalCount);
  # Of calls to `seal`, `scan`, `blocks` and `matchBlock`. A missing reason never occurred.
  failures @19 :List(FailureCount);
  # Of scans, calls to `matchBlock`, and refreshes from the block files. A missing kind never
  # occurred.
  nodeTip :union {
    notAsked @20 :Void;
    # No node is asked.
    unreachable @21 :Void;
    # It does not answer at the moment.
    height @22 :UInt32;
    # The tip that it last named.
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

# --- Watch sets -----------------------------------------------------------------------------------

interface WatchSet {
  # Scripts and outpoints to look for. Fill it, seal it, scan for it. The `add` methods never fail
  # because of an entry: `seal` names the first entry that cannot be watched, and the reason.

  addKeychains @0 (keychains :List(Keychain)) -> stream;
  # Keychains are numbered from 0 in the order in which they are added, over all calls.

  addScripts @1 (scripts :List(Data)) -> stream;
  # Bare scriptPubKeys, numbered from 0 in the order in which they are added, over all calls.

  addOutpoints @2 (outpoints :List(GivenOutpoint)) -> stream;
  # Coins that exist before the range and whose spends are wanted, numbered likewise.

  seal @3 () -> (result :SealResult);
  # Ends the filling, derives and compiles; sealing again returns the same answer. A sealed watch
  # set takes no more entries: later ones are never watched, and the next `seal` returns
  # `alreadySealed`. More entries than the limits allow are refused before any descriptor is parsed.

  progress @4 () -> (progress :Progress);
  # How far the derivation is, at any time: `deriving` until the watch set is compiled, then `done`.
  # It has scripts alone, no blocks and no bytes.
}

struct Keychain {
  descriptor @0 :Text;
  # An output descriptor with public keys only; its checksum, if given, is verified. Single-path: a
  # client expands multipath descriptors into one keychain a path, and results name the path.
  gapLimit @1 :UInt32 = 1000;
  # Indexes 0 to (last used or revealed, whichever is higher) plus this are watched; before any use,
  # 0 to this less one. From 1 to 1,000,000; ignored if the descriptor is not ranged.
  revealed :union {
    nothing @2 :Void;
    lastIndex @3 :UInt32;
    # The highest index that the wallet has revealed. Without it, a scan that begins after the first
    # uses may stop short.
  }
}

struct GivenOutpoint {
  outpoint @0 :Outpoint;
  known :union {
    nothing @1 :Void;
    output @2 :Output;
    # The coin's output, if the wallet knows it: the value returns with the spend.
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
  # The keychain, script or outpoint, by the numbering above, if the reason concerns one of them.
  detail @2 :Text;
  # The same for people: the expected and the found value. Never contains key material.
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
  # The watch set belongs to another connection.
  tooManyScans @9;
  badGapLimit @10;
  # A gap limit or a revealed index out of bounds.
  notInChain @11;
  # No block of the range's locator, or not the named block, is in the active chain: call
  # `Rescan.locate`.
  badCoverage @12;
  # `ScanRequest.covered` does not fit the range or the watch set.
}

# --- A scan ---------------------------------------------------------------------------------------

struct ScanRequest {
  range @0 :Range;
  verify @1 :Verify;
  deliver @2 :Deliver;
  rawTransactions @3 :Bool;
  # Each reported transaction comes with its bytes; the witness commitment (BIP141) of its block is
  # proven too.
  merkleBranches @4 :Bool;
  # Each reported transaction comes with its merkle branch, and each report with the block's header.
  markMillis @5 :UInt32;
  # How often `sink.settled` may be called, in milliseconds; 0 is never.
  covered @6 :Covered;
  # For a scan that resumes another one; unset otherwise.
}

enum Deliver {
  history @0;
  # Reports of all matches.
  coins @1;
  # No reports: the coins unspent at the end, in `sink.coins`.
}

struct Covered {
  # The blocks that earlier scans of the same keychains covered: from `fromHeight` up to the start
  # of this range.
  fromHeight @0 :UInt32;
  keychains @1 :List(WatchedIndexes);
  # One for each keychain, in their order. If this scan later watches more, it rescans those blocks
  # for the additions alone.
}

struct WatchedIndexes {
  # The indexes of a keychain that were watched over a whole range, with every match among them
  # reported.
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
    # The first block whose max-time (the greatest header time up to and including it) is at least
    # this less 7,200.
    afterLocator @4 :List(Data);
    # The block after the highest of these that is in the active chain. If that is the tip, there is
    # nothing to walk.
  }
  end :union {
    tip @2 :Void;
    # The tip when the scan begins.
    toHeight @3 :UInt32;
  }
}

enum Verify {
  reported @0;
  # Every block that is reported is proven first: its transactions hash to the merkle root of its
  # header.
  all @1;
  # Every block walked is proven: a flipped bit cannot hide a match either.
  none @2;
  # The disk is trusted, as Bitcoin Core's own rescan trusts it.
}

interface Scan {
  progress @0 () -> (progress :Progress);
  cancel @1 () -> ();
  # Asks the scan to end early: `sink.done` comes with the outcome `cancelled` and a locator to
  # resume from.
  blockIds @2 (heights :List(UInt32)) -> (ids :List(BlockId));
  # Hash and time of blocks of the chain that this scan is pinned to; a height outside it returns an
  # entry with an empty hash. At most 4,096 heights a call. Waits until the scan has begun.
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
  scriptsDerived @6 :UInt64;
  # While `phase` is `deriving`: scripts that were derived from keychains, before any use.
  scriptsTotal @7 :UInt64;
  # All of those. 0 if no keychain was given, and from older servers.
}

enum Phase {
  readingChain @0;
  # The server is still reading its block files; blocks and bytes are those of
  # `ServerInfo.chain.reading`.
  deriving @1;
  walking @2;
  done @3;
}

interface ReportSink {
  # The wallet's side of a scan.
  reports @0 (batch :List(BlockReport)) -> stream;
  # Reports in chain order. The first arrives as soon as it is settled, later ones in batches of up
  # to 64 KiB.
  done @1 (result :ScanResult) -> ();
  coins @2 (batch :List(Coin)) -> stream;
  # Called only if the request's `deliver` is `coins`: by ascending height, index in block and
  # output; before `done`.
  settled @3 (mark :Mark) -> stream;
  # Called only if the request's `markMillis` is not 0: earlier calls have reported everything up to
  # a block.
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
  # The matches of one block. Only blocks that match are reported.
  height @0 :UInt32;
  hash @1 :Data;
  timeSeconds @2 :UInt32;
  transactions @3 :List(TransactionReport);
  # By ascending index in the block.
  isLate @4 :Bool;
  # The block was passed before its scripts were watched. The report holds the new matches alone:
  # merge them with those of other reports by block hash and txid.
  header @5 :Data;
  # 80 bytes if merkle branches were requested; else empty.
}

struct TransactionReport {
  txIndex @0 :UInt32;
  txid @1 :Data;
  received @2 :List(Received);
  # By ascending vout.
  spent @3 :List(Spent);
  # By ascending vin.
  raw @4 :Data;
  # Consensus serialisation with witnesses, if requested; else empty.
  merkleBranch @5 :List(Data);
  # The siblings from the transaction up to the root, if requested. Also empty if the block has one
  # transaction.
}

struct Received {
  # An output that pays a watched script.
  vout @0 :UInt32;
  output @1 :Output;
  origins @2 :List(Origin);
  # The entries of the watch set with this script, in its order; never empty.
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
  # The entry of the watch set that matched.
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
  # Coins created in the range and unspent at its end (after an early outcome: at the end of the
  # scanned part).
  unspentSat @6 :UInt64;
  keychains @7 :List(KeychainUse);
  # One for each keychain, in their order.
  blocksScanned @8 :UInt64;
  bytesScanned @9 :UInt64;
  prepareMicroseconds @10 :UInt64;
  # Derivation before the walk; 0 if the watch set was already derived.
  elapsedMicroseconds @11 :UInt64;
  # Everything, from the call to this summary.
  locator @12 :List(Data);
  # Hashes of blocks up to the last one scanned, newest first, ever further apart: a scan resumes
  # from them.
  passes @13 :UInt32;
  # Passes over the blocks: 1, and 1 more each time the gap limit passed the lookahead.
}

struct Outcome {
  union {
    complete @0 :Void;
    cancelled @1 :Void;
    prunedBelow @2 :UInt32;
    # Blocks of the range are not on disk. The lowest height that is complete to the range's end.
    reorganisedFrom @3 :UInt32;
    # The scan's chain is no longer active. Reports at and above this height are void.
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
  # The indexes watched over the whole range; `Covered` of a resumed scan takes them.
}

struct Failure {
  # Not an outcome: something is broken. All earlier reports are true.
  kind @0 :FailureKind;
  detail @1 :Text;
  # For people: the expected and the found value.
  at @2 :FailurePlace;
  # Unset if the failure does not concern one place on disk.
}

enum FailureKind {
  corruptBlock @0;
  # A block does not match its header, or is malformed.
  unreadable @1;
  # The operating system could not read the bytes.
  internal @2;
  # A defect of the server's.
  limitReached @3;
  # The gap limit needs more scripts than a watch set holds.
}

struct FailurePlace {
  height @0 :UInt32;
  path @1 :Text;
  offset @2 :UInt64;
  # Of the block's first byte in the file.
}

# --- Whole blocks ---------------------------------------------------------------------------------

interface BlockSink {
  blocks @0 (batch :List(FullBlock)) -> stream;
  # In height order, every height of the range once. A batch closes at 1 MiB, and holds at least one
  # block.
  done @1 (result :ScanResult) -> ();
  # The counts of matches in the summary are zero.
}

struct FullBlock {
  height @0 :UInt32;
  hash @1 :Data;
  data @2 :Data;
  # Consensus serialisation with witnesses; at most 4,000,000 bytes.
}

# --- One block a call -----------------------------------------------------------------------------

struct BlockMatch {
  # The result of `Rescan.matchBlock`.
  block @0 :BlockId;
  # The requested block; unset if the call is refused.
  next @1 :BlockId;
  # The block after it in the same chain, for the next call; unset if it is the tip or the call is
  # refused.
  union {
    nothing @2 :Void;
    # Nothing in it matches. Nothing is proven, as in a scan that proves its reported blocks.
    data @3 :Data;
    # Something matches: the whole block, proven, in the consensus serialisation with witnesses; at
    # most 4,000,000 bytes.
    notOnDisk @4 :Void;
    # The node has pruned it.
    refused @5 :Refusal;
    # `notInChain` if the active chain has another block at that height, `badRange` if it has none
    # yet. An entry that a watch set would refuse is refused here too, by its number in the call.
    failed @6 :Failure;
  }
}
