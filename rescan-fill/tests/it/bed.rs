//! A chain, a rescan server of it, and a node with a scripted wallet.

use std::collections::BTreeMap;

use bitcoin::{BlockHash, OutPoint, ScriptBuf, Txid};
use rescan_client::{Client, Verify};
use rescan_fill::{CoreWallet, FillError, FillEvent, FillOptions, FillReport, MergeGap, fill};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::fake_node::FakeNode;
use rescan_fixtures::fake_wallet::{FakeDescriptor, SharedWallet};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_node::{Credentials, RpcClient};
use rescan_tests::{Manner, Scene, patiently};

/// The keychain of all wallets here.
pub(crate) const KIND: ScriptKind = ScriptKind::P2wpkh;

/// Indexes of it that tests use.
const INDEXES: u32 = 100;

pub(crate) struct Bed {
    pub(crate) scene: Scene,
    pub(crate) owner: TestWallet,
    pub(crate) wallet: SharedWallet,
    pub(crate) node: FakeNode,
}

/// The result of a fill, and its events in a word each.
pub(crate) struct Filled {
    pub(crate) result: Result<FillReport, FillError>,
    pub(crate) events: Vec<String>,
}

impl Bed {
    /// A chain that pays the owner's indexes, 10 blocks apart, in this order; beside a wallet that
    /// watches 20.
    pub(crate) fn paying(indexes: &[u32]) -> Self {
        let owner = TestWallet::new("owner");
        let mut chain = ChainBuilder::new();
        chain.mine(110);
        for index in indexes {
            chain.pay(&owner.script(KIND, *index), 1);
            chain.mine(9);
        }
        Self::of(chain, owner)
    }

    pub(crate) fn of(chain: ChainBuilder, owner: TestWallet) -> Self {
        let wallet = SharedWallet::new(&chain, vec![FakeDescriptor::new(&owner.descriptor(KIND), 20)]);
        let node = wallet.start();
        Self { scene: Scene::serve(chain, Manner::default()), owner, wallet, node }
    }

    pub(crate) fn rpc(&self) -> RpcClient {
        RpcClient::new(self.node.url().parse().unwrap(), Credentials::Cookie(self.node.cookie())).unwrap()
    }

    pub(crate) fn core_wallet(&self) -> Result<CoreWallet, FillError> {
        CoreWallet::open(&self.rpc(), "alice")
    }

    pub(crate) fn fill(&self) -> Filled {
        self.fill_with(&options())
    }

    pub(crate) fn fill_with(&self, options: &FillOptions) -> Filled {
        let wallet = self.core_wallet().unwrap();
        patiently(async { run(&self.scene.server.client().await, &wallet, options).await })
    }

    /// Every transaction of the chain that pays one of the owner's first indexes or spends such a
    /// coin: looked for in every block, with every script from the start.
    pub(crate) fn truth(&self) -> BTreeMap<Txid, (u32, BlockHash)> {
        let scripts: Vec<ScriptBuf> = (0..INDEXES).map(|index| self.owner.script(KIND, index)).collect();
        let (mut found, mut coins) = (BTreeMap::new(), Vec::new());
        for (height, block) in self.scene.chain.active() {
            for transaction in &block.txdata {
                let txid = transaction.compute_txid();
                let paid = (0..).zip(&transaction.output).filter(|(_, output)| scripts.contains(&output.script_pubkey));
                let before = coins.len();
                coins.extend(paid.map(|(vout, _)| OutPoint { txid, vout }));
                let spends = transaction.input.iter().any(|input| coins.contains(&input.previous_output));
                if coins.len() > before || spends {
                    found.insert(txid, (height, block.block_hash()));
                }
            }
        }
        found
    }
}

pub(crate) fn options() -> FillOptions {
    FillOptions { from: None, gap_limit: 20, verify: Verify::Reported, fetch: false }
}

async fn run(client: &Client, wallet: &CoreWallet, options: &FillOptions) -> Filled {
    let mut events = Vec::new();
    let mut announce = |event: FillEvent<'_>| {
        events.push(match event {
            FillEvent::Scanning(_) => return,
            FillEvent::Scanned(_) => "scanned".to_owned(),
            FillEvent::Planned(plan) => format!("planned {}", plan.runs.len()),
            FillEvent::Widening(widening) => {
                let ends = widening.imports.iter().filter_map(|import| Some(import.range?.last()));
                format!("widening {:?} {:?}", ends.collect::<Vec<_>>(), widening.keypool)
            }
            FillEvent::Rescanned { run, .. } => format!("rescanned {}", run.first),
            FillEvent::Missing(block) => format!("missing {}", block.height),
            FillEvent::Fetching(block) => format!("fetching {}", block.height),
            FillEvent::Fetched(block) => format!("fetched {}", block.height),
            FillEvent::ChainChanged { height } => format!("changed {height}"),
            _ => "unknown".to_owned(),
        });
    };
    let result = fill(client, wallet, options, MergeGap(4), &mut announce).await;
    Filled { result, events }
}
