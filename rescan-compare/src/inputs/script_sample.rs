//! Scripts sampled from the blocks, which make a chosen share of the blocks match.
//!
//! One output of each block is taken that a wallet could own. Other blocks may pay the same script
//! or spend the coin, so a scan decides how many blocks match.

use bitcoin::consensus::{Decodable, encode};
use bitcoin::hashes::{Hash, sha256};
use bitcoin::{ScriptBuf, Transaction, VarInt, block};
use rescan_client::Client;
use rescan_core::watching::matching::can_be_coin;

use super::{PinnedBlocks, Shipment, ShipmentEvent};
use crate::error::CompareError;

/// Transactions of a block that are searched for an output, its coinbase first.
const TRANSACTIONS_SEARCHED: u64 = 8;

/// One script of each block that has one, in chain order.
///
/// # Errors
/// Those of a shipment.
pub(crate) async fn sample_scripts(client: &Client, pinned: PinnedBlocks) -> Result<Vec<ScriptBuf>, CompareError> {
    let mut scripts = Vec::new();
    let mut shipment = Shipment::begin(client, pinned).await?;
    loop {
        match shipment.next().await? {
            // A block that does not decode has no script; the methods report its defect.
            ShipmentEvent::Block(block) => scripts.extend(script_of(&block.data).unwrap_or_default()),
            ShipmentEvent::End(summary) => {
                pinned.check(&summary)?;
                return Ok(scripts);
            }
        }
    }
}

/// The last script among the first transactions that a wallet could own. So it is a coinbase's only
/// if there is no other: a miner's repeat.
fn script_of(mut data: &[u8]) -> Result<Option<ScriptBuf>, encode::Error> {
    block::Header::consensus_decode(&mut data)?;
    let count = VarInt::consensus_decode(&mut data)?.0;
    let mut script = None;
    for _ in 0..count.min(TRANSACTIONS_SEARCHED) {
        let outputs = Transaction::consensus_decode(&mut data)?.output.into_iter();
        let mut scripts = outputs.map(|output| output.script_pubkey);
        script = scripts.find(|script| !script.is_empty() && can_be_coin(script.as_bytes())).or(script);
    }
    Ok(script)
}

/// `wanted` of the scripts, evenly spread, and unknown scripts in place of the others. All watch
/// sets then have one size, and differ in the number of matches alone.
pub(crate) fn spread(scripts: &[ScriptBuf], wanted: usize) -> Vec<ScriptBuf> {
    let wanted = wanted.min(scripts.len());
    let taken = (0..wanted).filter_map(|at| scripts.get(at * scripts.len() / wanted.max(1)));
    let unknown = (wanted..scripts.len()).map(unknown_script);
    taken.cloned().chain(unknown).collect()
}

/// A taproot output to a key without an owner, the same in every comparison.
fn unknown_script(number: usize) -> ScriptBuf {
    const OP_1_AND_PUSH_32: [u8; 2] = [0x51, 0x20];
    let key = sha256::Hash::hash(format!("rescan compares nobody's key {number}").as_bytes());
    ScriptBuf::from_bytes([&OP_1_AND_PUSH_32[..], &key.to_byte_array()].concat())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use bitcoin::consensus::serialize;
    use rescan_fixtures::chain_builder::ChainBuilder;

    use super::*;

    fn script(number: usize) -> ScriptBuf {
        ScriptBuf::from_bytes(vec![0x51, u8::try_from(number).expect("it is small")])
    }

    #[test]
    fn a_spread_takes_as_many_as_wanted_from_all_over_and_always_has_the_same_size() {
        let scripts: Vec<ScriptBuf> = (0..100).map(script).collect();
        for wanted in [0, 1, 2, 10, 33, 100, 101] {
            let spread = spread(&scripts, wanted);
            let taken: Vec<usize> =
                scripts.iter().enumerate().filter(|(_, s)| spread.contains(s)).map(|(i, _)| i).collect();
            assert_eq!((spread.len().min(100), taken.len()), (100, wanted.min(100)));
            assert_eq!(spread.iter().collect::<HashSet<_>>().len(), 100);
            let gap = 100 / wanted.max(1) + 1;
            assert!(taken.windows(2).all(|pair| pair[1] - pair[0] <= gap), "{taken:?}");
        }
    }

    #[test]
    fn a_block_gives_the_output_of_a_transaction_that_is_not_its_coinbase_if_there_is_one() {
        let (miner, payee) = (script(1), script(2));
        let mut chain = ChainBuilder::new();
        chain.coinbase_to(&miner).mine_block();
        assert_eq!(script_of(&serialize(chain.block_at(1))).expect("it decodes"), Some(miner));
        chain.mine(110).pay(&payee, 1);
        let block = serialize(chain.block_at(chain.tip_height()));
        assert_ne!(script_of(&block).expect("it decodes"), None);
        assert!(script_of(&block[..100]).is_err());
    }
}
