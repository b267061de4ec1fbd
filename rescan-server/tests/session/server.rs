//! A server on its own thread, over block files of the test.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::JoinHandle;

use bitcoin::{Amount, Block, BlockHash, Network, ScriptBuf, TxOut};
use rescan_core::position::FileNumber;
use rescan_fixtures::assemble;
use rescan_fixtures::block_file_writer::{BlockFileLayout, BlockFileWriter};
use rescan_server::Server;
use rescan_server::blocks::block_file::Access;
use rescan_server::chain::ChainConfig;
use rescan_server::config::ServerConfig;
use rescan_server::session::guard::limits::SessionLimits;
use rustix::fs::{FileType, Mode};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A regtest chain under the control of the test, and its server.
pub(crate) struct TestServer {
    directory: TempDir,
    writer: BlockFileWriter,
    chain: Vec<Block>,
    mined: u64,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl TestServer {
    /// Genesis alone, not yet served.
    pub(crate) fn new() -> Self {
        Self::laid_out(BlockFileLayout::default())
    }

    /// Genesis alone, in files of the given layout.
    pub(crate) fn laid_out(layout: BlockFileLayout) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = BlockFileWriter::create(&directory.path().join("blocks"), layout).unwrap();
        let genesis = bitcoin::constants::genesis_block(Network::Regtest);
        writer.write_block(&bitcoin::consensus::serialize(&genesis)).unwrap();
        Self { directory, writer, chain: vec![genesis], mined: 0, running: None }
    }

    /// A server of `blocks` blocks above genesis, each of which pays [`script`].
    pub(crate) fn with_blocks(blocks: u32) -> Self {
        let mut server = Self::new();
        (0..blocks).for_each(|_| server.mine(0));
        server.start(SessionLimits::default());
        server
    }

    /// A server of 300 blocks, ten times the size of the window and the buffers of the socket.
    pub(crate) fn with_long_chain(limits: SessionLimits) -> Self {
        let mut server = Self::new();
        (0..300).for_each(|_| server.mine(50_000));
        server.start(limits);
        server
    }

    /// Adds a block that pays [`script`], with `filler` bytes of an OP_RETURN output.
    pub(crate) fn mine(&mut self, filler: usize) {
        let height = u32::try_from(self.chain.len()).unwrap();
        let pay = TxOut { value: Amount::from_sat(50_000), script_pubkey: script() };
        let mut outputs = vec![pay];
        if filler > 0 {
            outputs.push(assemble::op_return(&vec![0; filler]));
        }
        let coinbase = assemble::coinbase(height, self.mined, outputs);
        let block = assemble::block(self.tip(), 1_400_000_000 + 600 * height, coinbase, Vec::new());
        self.writer.write_block(&bitcoin::consensus::serialize(&block)).unwrap();
        self.mined += 1;
        self.chain.push(block);
    }

    /// Rewinds, so the next blocks form another branch.
    pub(crate) fn rewind_to(&mut self, height: u32) {
        self.chain.truncate(height as usize + 1);
    }

    /// Moves the blocks directory away.
    pub(crate) fn take_away(&self) {
        fs::rename(self.directory.path().join("blocks"), self.directory.path().join("away")).unwrap();
    }

    /// Moves the blocks directory back.
    pub(crate) fn bring_back(&self) {
        fs::rename(self.directory.path().join("away"), self.directory.path().join("blocks")).unwrap();
    }

    pub(crate) fn tip(&self) -> BlockHash {
        self.chain.last().unwrap().block_hash()
    }

    pub(crate) fn block(&self, height: u32) -> &Block {
        &self.chain[height as usize]
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("rescan.sock")
    }

    /// Deletes a block file, as a pruning node does.
    pub(crate) fn prune(&self, file: u32) {
        self.writer.prune(FileNumber(file)).unwrap();
    }

    /// Starts the server, which runs until dropped.
    pub(crate) fn start(&mut self, limits: SessionLimits) {
        let server = self.bind(limits);
        self.run(server);
    }

    /// Starts the server, with the first reading of the chain held until the result is released: the file of the
    /// obfuscation key is a pipe without a writer.
    pub(crate) fn start_held(&mut self) -> HeldReading {
        let server = self.bind(SessionLimits::default());
        let pipe = self.writer.directory().join("xor.dat");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        self.run(server);
        HeldReading { pipe }
    }

    fn bind(&self, limits: SessionLimits) -> Server {
        Server::bind(config(&self.directory, self.socket(), limits)).unwrap()
    }

    fn run(&mut self, server: Server) {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let shutdown = async { drop(stopped.await) };
            runtime.block_on(server.run(shutdown)).unwrap();
        });
        self.running = Some((stop, thread));
    }

    /// Starts the shutdown of the server.
    pub(crate) fn tell_to_stop(&mut self) -> Option<JoinHandle<()>> {
        let (stop, thread) = self.running.take()?;
        stop.send(()).unwrap();
        Some(thread)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(thread) = self.tell_to_stop() {
            // A failed test must not panic again.
            drop(thread.join());
        }
    }
}

/// A held first reading of the chain.
pub(crate) struct HeldReading {
    pipe: PathBuf,
}

impl HeldReading {
    pub(crate) fn release(self) {
        let mut key = OpenOptions::new().write(true).open(&self.pipe).unwrap();
        // The next reading finds no key, which equals a key of zeros.
        fs::remove_file(&self.pipe).unwrap();
        key.write_all(&[0; 8]).unwrap();
    }
}

fn config(directory: &TempDir, socket: PathBuf, limits: SessionLimits) -> ServerConfig {
    ServerConfig {
        node_socket: None,
        chain: ChainConfig {
            blocks_dir: directory.path().join("blocks"),
            network: None,
            signet_challenge: None,
            state_dir: directory.path().join("state"),
            access: Access::read(),
        },
        socket,
        workers: NonZeroUsize::new(2).unwrap(),
        limits,
        metrics: None,
    }
}

/// The script that every block of a [`TestServer`] pays: a p2wpkh.
pub(crate) fn script() -> ScriptBuf {
    let mut bytes = vec![0x00, 0x14];
    bytes.extend([7; 20]);
    ScriptBuf::from_bytes(bytes)
}
