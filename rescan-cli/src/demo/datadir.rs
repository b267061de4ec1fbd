//! The datadir that is part of this program, unpacked into a temporary directory.
//!
//! Bitcoin Core v31.99 wrote it in regtest; beside the block files lies what Core itself said of its wallets. Everything
//! is gone when the directory is dropped.

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;
use tempfile::TempDir;

use super::answers::Answers;
use crate::trouble::Trouble;

/// Made by `fixtures/data/repack.py`.
static ARCHIVE: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/data/core-regtest-a.tar.zst"));

/// Kept short: the path of the socket must fit into 107 bytes.
const PREFIX: &str = "rescan-demo-";

/// The unpacked datadir, and a place for the server's own files beside it.
#[derive(Debug)]
pub(super) struct DemoDir(TempDir);

impl DemoDir {
    pub(super) fn unpack() -> Result<Self, Trouble> {
        let dir =
            tempfile::Builder::new().prefix(PREFIX).tempdir().map_err(|error| no_room("make a directory", &error))?;
        let decoder = StreamingDecoder::new(ARCHIVE).map_err(|error| {
            Trouble::failed(format!("the datadir in this program is damaged: {error}"), "build rescan again")
        })?;
        let datadir = dir.path().join("datadir");
        tar::Archive::new(decoder).unpack(&datadir).map_err(|error| no_room("unpack the datadir", &error))?;
        Ok(Self(dir))
    }

    /// What Bitcoin Core takes as `-datadir`.
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

    /// What Bitcoin Core said of the wallets.
    pub(super) fn answers(&self) -> Result<Answers, Trouble> {
        let path = self.datadir().join("expected.json");
        let file = fs::File::open(&path).map_err(|error| no_room(&format!("read {}", path.display()), &error))?;
        serde_json::from_reader(BufReader::new(file))
            .map_err(|error| Trouble::failed(format!("{}: {error}", path.display()), "build rescan again"))
    }
}

fn no_room(what: &str, error: &std::io::Error) -> Trouble {
    let place = std::env::temp_dir();
    Trouble::failed(
        format!("cannot {what}: {error}"),
        format!("the demo needs 3 MB in {}; TMPDIR=PATH names another place", Path::new(&place).display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_datadir_unpacks_and_is_gone_afterwards() {
        let dir = DemoDir::unpack().expect("it unpacks");
        let root = dir.0.path().to_owned();
        assert!(dir.datadir().join("regtest/blocks/blk00000.dat").is_file());
        let answers = dir.answers().expect("they parse");
        assert_eq!(answers.wallets.len(), 6);
        for (name, wallet) in &answers.wallets {
            let total: u64 = wallet.coins.iter().map(|coin| coin.value_sat).sum();
            assert_eq!(total, wallet.coins_sat, "{name}");
        }
        drop(dir);
        assert!(!root.exists());
    }
}
