@0xdd3a1c5a6b0e94f7;

# What `rescan-server` asks of a Bitcoin Core node over its IPC socket: which block is its tip, and word of the next one.
#
# Only what is called is declared, and what has to stand between to keep the numbers. The numbers of interfaces, methods and
# fields are the node's (v31 and later); the names are for us, and do not travel.

interface Init @0x8838c700ba5cba65 {
  # The bootstrap object.
  construct @0 (ourThreads :ThreadMap) -> (threads :ThreadMap);
  # Comes first. Nothing that is called here calls back, so that no threads of ours need be given.
  makeEcho @1 (context :Context) -> ();
  makeMiningBefore31 @2 () -> ();
  # Where v30 has what follows; later nodes only say that they no longer do.
  makeMining @3 (context :Context) -> (mining :Mining);
  # Waits until the node has loaded its chain. Null while it stops.
}

interface ThreadMap @0xee5e37179ad9dc9d {
  makeThread @0 (name :Text) -> (thread :Thread);
  # A thread of the node's own, for as long as the capability is held.
}

interface Thread @0x81c1e2600d0b56c5 {
  getName @0 () -> (name :Text);
}

struct Context @0x9c44e6645d0b22c6 {
  thread @0 :Thread;
  # Where the node runs the call. Calls on one thread wait for each other.
  callbackThread @1 :Thread;
}

interface Mining @0xf9c68436df3af39e {
  isTestChain @0 (context :Context) -> (isTest :Bool);
  isInitialBlockDownload @1 (context :Context) -> (isInitial :Bool);
  getTip @2 (context :Context) -> (tip :BlockRef, hasTip :Bool);
  waitTipChanged @3 (context :Context, knownTip :Data, timeoutMillis :Float64 = 1.7976931348623157e308) -> (tip :BlockRef);
  # Returns once the tip is another than the known one, or with the same at the timeout. Null where the node stops, or after
  # `interrupt`. A default is part of what travels (a value is sent as its difference to it), so that this is the node's own.
  createNewBlock @4 () -> ();
  checkBlock @5 () -> ();
  interrupt @6 () -> ();
  # Ends the wait under way; where there is none, the next.
}

struct BlockRef {
  hash @0 :Data;
  # 32 bytes in internal order.
  height @1 :Int32;
}
