//! A scenario that is on disk, is served, and can grow.

use bitcoin::{Amount, BlockHash, Script, TxOut, consensus};
use rescan_core::position::RecordSpan;
use rescan_fixtures::assemble;
use rescan_fixtures::chain_builder::{ChainBuilder, WrittenChain};

use crate::test_server::{Manner, TestServer};

/// A chain, its files, and the server of them.
#[derive(Debug)]
pub struct Scene {
    /// The node's blocks.
    pub chain: ChainBuilder,
    /// The part of it that is on disk.
    pub files: WrittenChain,
    /// Who serves that.
    pub server: TestServer,
}

impl Scene {
    /// How many outputs of each block of a [laden](Self::laden) scenario pay the wallet.
    pub const LADEN_OUTPUTS: u32 = 30;

    /// Writes the scenario and serves it.
    ///
    /// # Panics
    ///
    /// If either fails.
    #[must_use]
    pub fn serve(chain: ChainBuilder, manner: Manner) -> Self {
        let mut scene = Self::write(chain, manner);
        scene.server.start();
        scene
    }

    /// Writes the scenario and leaves it to the test to damage it first.
    ///
    /// # Panics
    ///
    /// If writing fails.
    #[must_use]
    pub fn write(chain: ChainBuilder, manner: Manner) -> Self {
        let server = TestServer::new(manner);
        let files = chain.write(&server.blocks_dir()).expect("the block files are written");
        Self { chain, files, server }
    }

    /// Appends the chain's new blocks to the files.
    ///
    /// # Panics
    ///
    /// If writing fails.
    pub fn append(&mut self) {
        self.files.append(&self.chain).expect("the blocks are appended");
    }

    /// Where the first copy of the active block at `height` is.
    ///
    /// # Panics
    ///
    /// If it was not written.
    #[must_use]
    pub fn span_at(&self, height: u32) -> RecordSpan {
        self.files.span(&self.chain.hash_at(height)).expect("the block is on disk")
    }

    /// Flips a bit in the txid that the first input of the last transaction of the block at
    /// `height` spends. The block's payments and its form stay the same; its merkle root does not.
    ///
    /// # Panics
    ///
    /// If the files cannot be changed.
    pub fn flip_a_bit_at(&mut self, height: u32) {
        let span = self.span_at(height);
        let block = self.chain.block_at(height);
        let bytes = consensus::serialize(block);
        let last = consensus::serialize(block.txdata.last().expect("a block has a coinbase"));
        // After the version, marker, flag and number of inputs comes the first prevout.
        let is_witness = last.get(4) == Some(&0);
        let offset = bytes.len() - last.len() + if is_witness { 7 } else { 5 };
        self.files.files().flip(span, u32::try_from(offset).expect("a block is small"), 1).expect("a bit is flipped");
    }

    /// A scenario of `blocks` blocks above the first, each of which pays `script` in so many
    /// outputs of its coinbase.
    ///
    /// The reports of such a chain take about a hundred bytes an output. They fill every buffer
    /// between a server and a wallet that does not read.
    #[must_use]
    pub fn talkative(script: &Script, blocks: u32, outputs: u32) -> ChainBuilder {
        let mut chain = ChainBuilder::new();
        for _ in 0..blocks {
            for _ in 0..outputs {
                chain.coinbase_to(script);
            }
            chain.mine_block();
        }
        chain
    }

    /// A scenario of `blocks` blocks of 100 kB above the first 110, of which a hundredth pays
    /// `script`, in 30 outputs each.
    #[must_use]
    pub fn laden(script: &Script, blocks: u32) -> ChainBuilder {
        let mut chain = ChainBuilder::new();
        chain.mine(110);
        for _ in 0..blocks {
            let paying = TxOut { value: Amount::from_sat(1_000), script_pubkey: script.to_owned() };
            let mut outputs = vec![paying; Self::LADEN_OUTPUTS as usize];
            outputs.push(assemble::op_return(&[0; 97_000]));
            chain.fund_outputs(outputs);
            chain.mine(1);
        }
        chain
    }

    /// Whether `hash` is on the active chain of the scenario.
    #[must_use]
    pub fn is_active(&self, hash: &BlockHash) -> bool {
        let height = self.chain.height_of(hash);
        height.is_some_and(|height| height <= self.chain.tip_height() && self.chain.hash_at(height) == *hash)
    }
}
