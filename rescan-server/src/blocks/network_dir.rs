//! Which network's block files are meant, and where they are: a datadir with its network folders, or a blocks directory
//! whose first record tells.
//!
//! It reads no `bitcoin.conf`: whoever moved the files with `-blocksdir` names the folder.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bitcoin::ScriptBuf;
use rescan_core::blocks::obfuscation::ObfuscationKey;
use rescan_core::blocks::walk::HEADER_BYTES;
use rescan_core::chain::header::Header;
use rescan_core::chain::network::{Magic, Network};

use crate::blocks::blocks_dir::{BlocksDirError, list_block_files, read_key};
use crate::blocks::records::ByteSource;

/// Block files looked into for a first record, lowest first: the first may begin with a hole.
const FILES_LOOKED_INTO: usize = 16;

/// How far into a file whose first record is damaged the expected magic is looked for, in bytes.
const MAGIC_SEARCH_BYTES: u64 = 2 << 20;

/// Why no network can be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkDirError {
    /// The datadir has no folder of the network.
    #[error("{} has no block files of {network}: is it the node's -datadir? name another network with --network, or the folder of blk00000.dat with --blocks-dir", datadir.display())]
    NoBlocksDir {
        /// The datadir.
        datadir: PathBuf,
        /// The network looked for.
        network: Network,
    },
    /// The blocks directory cannot be used.
    #[error(transparent)]
    BlocksDir(#[from] BlocksDirError),
    /// A block file cannot be read.
    #[error("cannot read the start of {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is no record to tell by.
    #[error("{} has no block to tell the network by: name it with --network", directory.display())]
    NothingToTellBy {
        /// The blocks directory.
        directory: PathBuf,
    },
    /// The files are of no known network.
    #[error("{} begins with the magic {found}, which is no known network's: give a custom signet's --signet-challenge", path.display())]
    UnknownMagic {
        /// The block file.
        path: PathBuf,
        /// The bytes where a magic should be.
        found: Magic,
    },
    /// The files are of another network than was named.
    #[error("{} is of {found}, expected {expected}: name its network with --network, and as --datadir the folder above the network's own", path.display())]
    OtherNetwork {
        /// The block file.
        path: PathBuf,
        /// The network that was named.
        expected: Network,
        /// The network of the file.
        found: Network,
    },
    /// The files are of no known network, and not of the one that was named or whose challenge was given.
    #[error("{} begins with {found}, and the magic of {expected} is {magic}: check --network, --signet-challenge and xor.dat", path.display())]
    OtherMagic {
        /// The block file.
        path: PathBuf,
        /// The network that was named, or whose challenge was given.
        expected: Network,
        /// Its magic.
        magic: Magic,
        /// The bytes where a magic should be.
        found: Magic,
    },
    /// A challenge was given for a network that has none.
    #[error("--signet-challenge was given, and {network} is no signet")]
    ChallengeWithoutSignet {
        /// The network that was named.
        network: Network,
    },
}

/// A network's folder in a datadir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkDir {
    /// The network that the folder's name tells; any signet is the default one here.
    pub network: Network,
    /// The folder: where the node keeps its socket, and we ours.
    pub directory: PathBuf,
    /// The folder of its block files.
    pub blocks_dir: PathBuf,
}

impl NetworkDir {
    /// The folder of `network` in `datadir`; without a network that of the only one that has block files, else main's, as Bitcoin Core has it.
    ///
    /// # Errors
    /// [`NetworkDirError::NoBlocksDir`] if there is no such folder.
    pub fn find(datadir: &Path, network: Option<Network>) -> Result<Self, NetworkDirError> {
        let of = |network: Network| {
            let directory = datadir.join(network.directory());
            let blocks_dir = directory.join("blocks");
            Self { network, directory, blocks_dir }
        };
        let network = network.unwrap_or_else(|| {
            let has_files =
                |network: &Network| list_block_files(&of(*network).blocks_dir).is_ok_and(|files| !files.is_empty());
            let mut present = Network::NAMED.into_iter().filter(has_files);
            match (present.next(), present.next()) {
                (Some(only), None) => only,
                _ => Network::Main,
            }
        });
        let found = of(network);
        match found.blocks_dir.is_dir() {
            true => Ok(found),
            false => Err(NetworkDirError::NoBlocksDir { datadir: datadir.to_owned(), network }),
        }
    }
}

/// The network of the block files in `blocks_dir`: the one that was named or whose challenge was given, which the files must not contradict,
/// else the one that their first record is of.
///
/// # Errors
/// [`NetworkDirError`]
pub fn network_of(
    blocks_dir: &Path,
    named: Option<Network>,
    signet_challenge: Option<&ScriptBuf>,
) -> Result<Network, NetworkDirError> {
    let is_signet = |network| matches!(network, Network::Signet(_));
    let expected = match (signet_challenge, named) {
        (Some(_), Some(network)) if !is_signet(network) => {
            return Err(NetworkDirError::ChallengeWithoutSignet { network });
        }
        (Some(challenge), _) => Some(Network::custom_signet(challenge)),
        (None, named) => named,
    };
    // A signet named by its public name alone may be a custom one, whose magic is then not known.
    let is_any_signet = signet_challenge.is_none() && named == Some(Network::SIGNET);
    match (first_record(blocks_dir, expected)?, expected) {
        (FirstRecord::Network(path, found), Some(expected)) => match found == expected {
            true => Ok(found),
            false if is_signet(found) && is_any_signet => Ok(found),
            false => Err(NetworkDirError::OtherNetwork { path, expected, found }),
        },
        (FirstRecord::Network(_, found), None) => Ok(found),
        (FirstRecord::None, Some(network)) => Ok(network),
        (FirstRecord::None, None) => Err(NetworkDirError::NothingToTellBy { directory: blocks_dir.to_owned() }),
        (FirstRecord::Unknown(path, found), Some(expected)) if !is_any_signet => {
            Err(NetworkDirError::OtherMagic { path, expected, magic: expected.magic(), found })
        }
        (FirstRecord::Unknown(path, found), _) => Err(NetworkDirError::UnknownMagic { path, found }),
    }
}

enum FirstRecord {
    Network(PathBuf, Network),
    Unknown(PathBuf, Magic),
    None,
}

/// What the first record is of that can be told, also by the magic of the network that is expected.
fn first_record(blocks_dir: &Path, expected: Option<Network>) -> Result<FirstRecord, NetworkDirError> {
    let key = read_key(blocks_dir)?;
    let mut unknown = None;
    for file in list_block_files(blocks_dir)?.iter().take(FILES_LOOKED_INTO) {
        let path = blocks_dir.join(file.number.file_name());
        let mut start = [0; 8 + HEADER_BYTES];
        let read = File::open(&path).and_then(|file| file.read_at(&mut start, 0));
        match read {
            Ok(count) if count < start.len() || start[..8] == [0; 8] => continue,
            Ok(_) => key.apply(&mut start),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // pruned just now
            Err(source) => return Err(NetworkDirError::Unreadable { path, source }),
        }
        let [m0, m1, m2, m3, _, _, _, _, header @ ..] = start;
        let magic = Magic([m0, m1, m2, m3]);
        if let Some(network) = Network::from_magic(magic).or(expected.filter(|network| network.magic() == magic)) {
            return Ok(FirstRecord::Network(path, network));
        }
        if Header::new(header).hash() == Network::SIGNET.genesis_hash() {
            return Ok(FirstRecord::Network(path, Network::Signet(magic)));
        }
        // A damaged first record says nothing against those behind it.
        if let Some(network) = expected.filter(|network| occurs_near_start(&path, key, network.magic())) {
            return Ok(FirstRecord::Network(path, network));
        }
        unknown.get_or_insert(FirstRecord::Unknown(path, magic));
    }
    Ok(unknown.unwrap_or(FirstRecord::None))
}

/// Whether `magic` stands somewhere in the first [`MAGIC_SEARCH_BYTES`] of a file. By chance it does so in one file of 2,000.
fn occurs_near_start(path: &Path, key: ObfuscationKey, magic: Magic) -> bool {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAGIC_SEARCH_BYTES).read_to_end(&mut bytes));
    key.apply(&mut bytes);
    read.is_ok() && bytes.windows(magic.0.len()).any(|window| window == magic.0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;

    fn write_genesis(blocks_dir: &Path, network: Network, xor: [u8; 8]) {
        let block = bitcoin::consensus::serialize(&bitcoin::constants::genesis_block(network.to_bitcoin()));
        let mut file = network.magic().0.to_vec();
        file.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
        file.extend(block);
        rescan_core::blocks::obfuscation::ObfuscationKey::from_bytes(xor).apply(&mut file);
        fs::create_dir_all(blocks_dir).unwrap();
        fs::write(blocks_dir.join("blk00000.dat"), file).unwrap();
        fs::write(blocks_dir.join("xor.dat"), xor).unwrap();
    }

    #[test]
    fn each_network_is_told_by_its_first_record() {
        let custom = Network::Signet(Magic([1, 2, 3, 4]));
        for network in Network::NAMED.into_iter().chain([custom]) {
            let dir = tempfile::tempdir().unwrap();
            write_genesis(dir.path(), network, [9, 8, 7, 6, 5, 4, 3, 2]);
            assert_eq!(network_of(dir.path(), None, None).unwrap(), network);
        }
    }

    #[test]
    fn a_custom_signet_may_be_called_signet() {
        let custom = Network::Signet(Magic([1, 2, 3, 4]));
        let dir = tempfile::tempdir().unwrap();
        write_genesis(dir.path(), custom, [0; 8]);
        assert_eq!(network_of(dir.path(), Some(Network::SIGNET), None).unwrap(), custom);
    }

    /// A file as it begins where genesis is pruned away: a record that is not genesis.
    fn write_pruned(blocks_dir: &Path, magic: Magic) {
        let mut file = magic.0.to_vec();
        file.resize(200, 5);
        fs::write(blocks_dir.join("blk00007.dat"), file).unwrap();
    }

    #[test]
    fn where_genesis_is_pruned_the_challenge_tells_a_custom_signet() {
        let challenge = ScriptBuf::from_bytes(vec![0x51]);
        let signet = Network::custom_signet(&challenge);
        let dir = tempfile::tempdir().unwrap();
        write_pruned(dir.path(), signet.magic());
        for named in [None, Some(Network::SIGNET)] {
            let error = network_of(dir.path(), named, None).unwrap_err();
            assert!(error.to_string().contains("--signet-challenge"), "{error}");
            assert_eq!(network_of(dir.path(), named, Some(&challenge)).unwrap(), signet);
        }
        // A hole, or damage, before the first record that tells.
        fs::write(dir.path().join("blk00006.dat"), [6; 200]).unwrap();
        assert_eq!(network_of(dir.path(), None, Some(&challenge)).unwrap(), signet);
    }

    #[test]
    fn a_challenge_that_is_not_the_files_is_refused() {
        let (challenge, mistyped) = (ScriptBuf::from_bytes(vec![0x51]), ScriptBuf::from_bytes(vec![0x52]));
        let signet = Network::custom_signet(&challenge);
        let dir = tempfile::tempdir().unwrap();
        for network in [signet, Network::SIGNET, Network::Main] {
            write_genesis(dir.path(), network, [0; 8]);
            let error = network_of(dir.path(), None, Some(&mistyped)).unwrap_err();
            assert!(matches!(error, NetworkDirError::OtherNetwork { found, .. } if found == network), "{error}");
        }
        let pruned = tempfile::tempdir().unwrap();
        write_pruned(pruned.path(), signet.magic());
        let error = network_of(pruned.path(), Some(Network::SIGNET), Some(&mistyped)).unwrap_err();
        assert!(matches!(error, NetworkDirError::OtherMagic { found, .. } if found == signet.magic()), "{error}");
        assert!(error.to_string().contains("--signet-challenge"), "{error}");
    }

    #[test]
    fn files_of_no_known_network_are_not_those_of_one_that_was_named() {
        let dir = tempfile::tempdir().unwrap();
        write_pruned(dir.path(), Magic([1, 2, 3, 4]));
        for named in [Network::Main, Network::Testnet3, Network::Testnet4, Network::Regtest] {
            let error = network_of(dir.path(), Some(named), None).unwrap_err();
            assert!(matches!(error, NetworkDirError::OtherMagic { expected, .. } if expected == named), "{error}");
        }
    }

    #[test]
    fn a_damaged_first_record_does_not_lock_out_the_named_networks_files() {
        let dir = tempfile::tempdir().unwrap();
        write_genesis(dir.path(), Network::Regtest, [5; 8]);
        let path = dir.path().join("blk00000.dat");
        let whole = fs::read(&path).unwrap();
        let mut twice = whole.clone();
        twice[0] ^= 1;
        // Behind a record of 293 bytes the key would be at another phase; a multiple of eight keeps it.
        twice.resize(whole.len().next_multiple_of(8), 0);
        twice.extend(&whole);
        fs::write(&path, twice).unwrap();
        assert_eq!(network_of(dir.path(), Some(Network::Regtest), None).unwrap(), Network::Regtest);
        assert!(network_of(dir.path(), Some(Network::Main), None).is_err());
    }

    #[test]
    fn a_challenge_is_a_signets_alone() {
        let dir = tempfile::tempdir().unwrap();
        let error = network_of(dir.path(), Some(Network::Main), Some(&ScriptBuf::from_bytes(vec![0x51]))).unwrap_err();
        assert!(matches!(error, NetworkDirError::ChallengeWithoutSignet { network: Network::Main }), "{error}");
    }

    #[test]
    fn files_of_another_network_than_was_named_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        write_genesis(dir.path(), Network::Regtest, [0; 8]);
        let error = network_of(dir.path(), Some(Network::Main), None).unwrap_err();
        assert!(matches!(error, NetworkDirError::OtherNetwork { found: Network::Regtest, .. }), "{error}");
    }

    #[test]
    fn an_empty_directory_is_of_the_network_that_was_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(network_of(dir.path(), Some(Network::Testnet4), None).unwrap(), Network::Testnet4);
        assert!(matches!(network_of(dir.path(), None, None), Err(NetworkDirError::NothingToTellBy { .. })));
    }

    #[test]
    fn a_datadir_means_the_only_network_present_and_main_where_there_are_more() {
        let dir = tempfile::tempdir().unwrap();
        let find = |network| NetworkDir::find(dir.path(), network);
        assert!(matches!(find(None), Err(NetworkDirError::NoBlocksDir { network: Network::Main, .. })));
        write_genesis(&dir.path().join("testnet4/blocks"), Network::Testnet4, [0; 8]);
        assert_eq!(find(None).unwrap().network, Network::Testnet4);
        fs::create_dir_all(dir.path().join("blocks")).unwrap();
        assert_eq!(find(None).unwrap().network, Network::Testnet4, "main's folder has no block file");
        write_genesis(&dir.path().join("blocks"), Network::Main, [0; 8]);
        assert_eq!(
            find(None).unwrap(),
            NetworkDir {
                network: Network::Main,
                directory: dir.path().to_owned(),
                blocks_dir: dir.path().join("blocks"),
            }
        );
        assert_eq!(find(Some(Network::Testnet4)).unwrap().blocks_dir, dir.path().join("testnet4/blocks"));
    }
}
