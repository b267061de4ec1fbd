//! The datadir embedded in this program, unpacked into a temporary directory.
//!
//! Bitcoin Core v31.99 wrote it in regtest. It contains block files and Core's own result for its wallets. Dropping the
//! directory removes it.

use std::fs;
use std::io::BufReader;
use std::path::PathBuf;

use ruzstd::decoding::StreamingDecoder;
use tempfile::TempDir;

use super::core_result::CoreResult;
use crate::error::CliError;

/// A link to the fixture, which `cargo package` follows. Made by `fixtures/data/repack.py`.
static ARCHIVE: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/core-regtest-a.tar.zst"));

/// Short: the path of the socket must fit into 107 bytes.
const PREFIX: &str = "rescan-demo-";

/// The unpacked datadir, with room for the server's own files beside it.
#[derive(Debug)]
pub(super) struct DemoDir(TempDir);

impl DemoDir {
    pub(super) fn unpack() -> Result<Self, CliError> {
        let dir =
            tempfile::Builder::new().prefix(PREFIX).tempdir().map_err(|error| io_error("make a directory", &error))?;
        let decoder = StreamingDecoder::new(ARCHIVE).map_err(|error| {
            CliError::failed(format!("the datadir in this program is damaged: {error}"), "build rescan again")
        })?;
        let datadir = dir.path().join("datadir");
        tar::Archive::new(decoder).unpack(&datadir).map_err(|error| io_error("unpack the datadir", &error))?;
        Ok(Self(dir))
    }

    /// The `-datadir` of Bitcoin Core.
    pub(super) fn datadir(&self) -> PathBuf {
        self.0.path().join("datadir")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.0.path().join("rescan.sock")
    }

    pub(super) fn state_dir(&self) -> PathBuf {
        self.0.path().join("state")
    }

    pub(super) fn server_log(&self) -> PathBuf {
        self.0.path().join("server.log")
    }

    /// Bitcoin Core's own result for the wallets.
    pub(super) fn core_result(&self) -> Result<CoreResult, CliError> {
        let path = self.datadir().join("expected.json");
        let file = fs::File::open(&path).map_err(|error| io_error(&format!("read {}", path.display()), &error))?;
        serde_json::from_reader(BufReader::new(file))
            .map_err(|error| CliError::failed(format!("{}: {error}", path.display()), "build rescan again"))
    }
}

fn io_error(action: &str, error: &std::io::Error) -> CliError {
    let temporary = std::env::temp_dir();
    CliError::failed(
        format!("cannot {action}: {error}"),
        format!("the demo needs 3 MB in {}; TMPDIR=PATH selects another directory", temporary.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_datadir_unpacks_and_is_removed_afterwards() {
        let dir = DemoDir::unpack().expect("it unpacks");
        let root = dir.0.path().to_owned();
        assert!(dir.datadir().join("regtest/blocks/blk00000.dat").is_file());
        let core = dir.core_result().expect("it parses");
        assert_eq!(core.wallets.len(), 6);
        for (name, wallet) in &core.wallets {
            let total: u64 = wallet.coins.iter().map(|coin| coin.value_sat).sum();
            assert_eq!(total, wallet.coins_sat, "{name}");
        }
        drop(dir);
        assert!(!root.exists());
    }
}
