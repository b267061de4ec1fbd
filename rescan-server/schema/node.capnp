@0xdd3a1c5a6b0e94f7;

# The calls of `rescan-server` to a Bitcoin Core node over its IPC socket: the tip, and the wait for the next one.
#
# It declares only the used calls, and placeholders that keep the numbers. The numbers of interfaces, methods and fields
# are the node's (v31 and later); the names are ours, and are not sent.

interface Init @0x8838c700ba5cba65 {
  # The bootstrap object.
  construct @0 (ourThreads :ThreadMap) -> (threads :ThreadMap);
  # The first call. None of these calls calls back: the node needs no threads of ours.
  makeEcho @1 (context :Context) -> ();
  makeMiningBefore31 @2 () -> ();
  # The place of `makeMining` in v30; later nodes only refuse it.
  makeMining @3 (context :Context) -> (mining :Mining);
  # Waits until the node has loaded its chain. Null while it stops.
}

interface ThreadMap @0xee5e37179ad9dc9d {
  makeThread @0 (name :Text) -> (thread :Thread);
  # A thread in the node, as long as the capability is held.
}

interface Thread @0x81c1e2600d0b56c5 {
  getName @0 () -> (name :Text);
}

struct Context @0x9c44e6645d0b22c6 {
  thread @0 :Thread;
  # The thread that runs the call. Calls on one thread wait for each other.
  callbackThread @1 :Thread;
}

interface Mining @0xf9c68436df3af39e {
  isTestChain @0 (context :Context) -> (isTest :Bool);
  isInitialBlockDownload @1 (context :Context) -> (isInitial :Bool);
  getTip @2 (context :Context) -> (tip :BlockRef, hasTip :Bool);
  waitTipChanged @3 (context :Context, knownTip :Data, timeoutMillis :Float64 = 1.7976931348623157e308) -> (tip :BlockRef);
  # Returns once the tip differs from the known one, or with the same at the timeout. Null if the node stops, or after
  # `interrupt`. The default must be the node's own: Cap'n Proto sends a value as its difference to the default.
  createNewBlock @4 () -> ();
  checkBlock @5 () -> ();
  interrupt @6 () -> ();
  # Ends the running wait; if there is none, the next.
}

struct BlockRef {
  hash @0 :Data;
  # 32 bytes in internal order.
  height @1 :Int32;
}
