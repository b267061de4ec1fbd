//! Scripts of the blocks themselves: what to look for so that a share of the blocks matches.
//!
//! Of each block one output is taken that a wallet could own. Whether other blocks pay the same script or spend the coin
//! is not looked at: how many blocks then match is for a scan to say.

use bitcoin::consensus::{Decodable, encode};
use bitcoin::hashes::{Hash, sha256};
use bitcoin::{ScriptBuf, Transaction, VarInt, block};
use rescan_core::watching::matching::can_be_coin;

use super::error::CompareError;
use super::pinned::Pinned;
use super::ways::{Shipment, Shipped};
use rescan_client::Client;

/// Transactions of a block that are looked at for an output, its coinbase first.
const TRANSACTIONS_LOOKED_AT: u64 = 8;

/// One script of each block that has one, in chain order, and the bytes of all blocks.
///
/// # Errors
/// As a shipment of blocks ends.
pub(crate) async fn scripts(client: &Client, pinned: Pinned) -> Result<Vec<ScriptBuf>, CompareError> {
    let mut scripts = Vec::new();
    let mut shipment = Shipment::begin(client, pinned).await?;
    loop {
        match shipment.next().await? {
            // A block that does not decode has no script to give; the ways that follow say what is wrong with it.
            Shipped::Block(block) => scripts.extend(script_of(&block.data).unwrap_or_default()),
            Shipped::End(summary) => {
                pinned.check(&summary)?;
                return Ok(scripts);
            }
        }
    }
}

/// The last script among the first transactions that could be a wallet's: so it is a coinbase's only where there is
/// nothing else, since those of a miner repeat.
fn script_of(mut data: &[u8]) -> Result<Option<ScriptBuf>, encode::Error> {
    block::Header::consensus_decode(&mut data)?;
    let count = VarInt::consensus_decode(&mut data)?.0;
    let mut script = None;
    for _ in 0..count.min(TRANSACTIONS_LOOKED_AT) {
        let outputs = Transaction::consensus_decode(&mut data)?.output.into_iter();
        let mut scripts = outputs.map(|output| output.script_pubkey);
        script = scripts.find(|script| !script.is_empty() && can_be_coin(script.as_bytes())).or(script);
    }
    Ok(script)
}

/// So many of the scripts, evenly spread, and as many strangers as make up for the rest: watch sets of one size, so that
/// nothing but the number of matches differs from one to the next.
pub(crate) fn spread(scripts: &[ScriptBuf], wanted: usize) -> Vec<ScriptBuf> {
    let wanted = wanted.min(scripts.len());
    let taken = (0..wanted).filter_map(|at| scripts.get(at * scripts.len() / wanted.max(1)));
    let strangers = (wanted..scripts.len()).map(stranger);
    taken.cloned().chain(strangers).collect()
}

/// A taproot output to a key that nobody has ever had, and every run has again.
fn stranger(number: usize) -> ScriptBuf {
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
