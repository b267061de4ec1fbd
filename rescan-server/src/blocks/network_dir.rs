//! Finds the block files of a network: in a datadir with its network directories, or in a blocks directory whose first
//! record identifies the network.
//!
//! Reads no `bitcoin.conf`: an operator who moved the files with `-blocksdir` passes the directory.

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

/// Block files searched for a first record, lowest first: a file may begin with a hole.
const FILES_SEARCHED_MAX: usize = 16;

/// Bytes of a file with a damaged first record that are searched for the expected magic.
const MAGIC_SEARCH_BYTES: u64 = 2 << 20;

/// Why the network or its directory cannot be determined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkDirError {
    /// The datadir has no directory of the network.
    #[error("{} has no block files of {network}: is it the node's -datadir? give another --network, or the directory of blk00000.dat with --blocks-dir", datadir.display())]
    NoBlocksDir {
        /// The datadir.
        datadir: PathBuf,
        /// The expected network.
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
        /// The error of the operating system.
        source: io::Error,
    },
    /// No record identifies the network.
    #[error("{} has no block that identifies the network: give --network", directory.display())]
    NoRecord {
        /// The blocks directory.
        directory: PathBuf,
    },
    /// The files belong to no known network.
    #[error("{} begins with the magic {found} of no known network: for a custom signet, give --signet-challenge", path.display())]
    UnknownMagic {
        /// The block file.
        path: PathBuf,
        /// The bytes in place of a magic.
        found: Magic,
    },
    /// The files belong to another network than expected.
    #[error("{} is of {found}, expected {expected}: give its network with --network, and as --datadir the parent of the network's directory", path.display())]
    OtherNetwork {
        /// The block file.
        path: PathBuf,
        /// The expected network.
        expected: Network,
        /// The network of the file.
        found: Network,
    },
    /// The files belong to no known network, and not to the expected one.
    #[error("{} begins with {found}, expected {magic} for {expected}: check --network, --signet-challenge and xor.dat", path.display())]
    OtherMagic {
        /// The block file.
        path: PathBuf,
        /// The network given by name or challenge.
        expected: Network,
        /// Its magic.
        magic: Magic,
        /// The bytes in place of a magic.
        found: Magic,
    },
    /// A challenge was given for a network without challenges.
    #[error("--signet-challenge was given, but {network} is no signet")]
    ChallengeWithoutSignet {
        /// The expected network.
        network: Network,
    },
}

/// A network's directory in a datadir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkDir {
    /// The network of the directory's name; any signet counts as the default one here.
    pub network: Network,
    /// The directory, which contains the node's socket and ours.
    pub directory: PathBuf,
    /// The directory of its block files.
    pub blocks_dir: PathBuf,
}

impl NetworkDir {
    /// The directory of `network` in `datadir`. Without a network: that of the only network with block files, or else mainnet, as in
    /// Bitcoin Core.
    ///
    /// # Errors
    /// [`NetworkDirError::NoBlocksDir`] if there is no such directory.
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

/// The network of the block files in `blocks_dir`: the one given by name or challenge, if the files do not contradict it, or else
/// the network of their first record.
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
    // The name signet may mean a custom one, whose magic is unknown.
    let is_any_signet = signet_challenge.is_none() && named == Some(Network::SIGNET);
    match (first_record(blocks_dir, expected)?, expected) {
        (FirstRecord::Network(path, found), Some(expected)) => match found == expected {
            true => Ok(found),
            false if is_signet(found) && is_any_signet => Ok(found),
            false => Err(NetworkDirError::OtherNetwork { path, expected, found }),
        },
        (FirstRecord::Network(_, found), None) => Ok(found),
        (FirstRecord::None, Some(network)) => Ok(network),
        (FirstRecord::None, None) => Err(NetworkDirError::NoRecord { directory: blocks_dir.to_owned() }),
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

/// The network of the first record that identifies one, by known magics and that of the expected network.
fn first_record(blocks_dir: &Path, expected: Option<Network>) -> Result<FirstRecord, NetworkDirError> {
    let key = read_key(blocks_dir)?;
    let mut unknown = None;
    for file in list_block_files(blocks_dir)?.iter().take(FILES_SEARCHED_MAX) {
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
        // A damaged first record does not contradict the records behind it.
        if let Some(network) = expected.filter(|network| occurs_near_start(&path, key, network.magic())) {
            return Ok(FirstRecord::Network(path, network));
        }
        unknown.get_or_insert(FirstRecord::Unknown(path, magic));
    }
    Ok(unknown.unwrap_or(FirstRecord::None))
}

/// Whether `magic` occurs in the first [`MAGIC_SEARCH_BYTES`] of a file. By chance it does in one file of 2,000.
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
    fn each_network_is_identified_by_its_first_record() {
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

    /// A file whose first record is not genesis, as after pruning.
    fn write_pruned(blocks_dir: &Path, magic: Magic) {
        let mut file = magic.0.to_vec();
        file.resize(200, 5);
        fs::write(blocks_dir.join("blk00007.dat"), file).unwrap();
    }

    #[test]
    fn without_genesis_the_challenge_identifies_a_custom_signet() {
        let challenge = ScriptBuf::from_bytes(vec![0x51]);
        let signet = Network::custom_signet(&challenge);
        let dir = tempfile::tempdir().unwrap();
        write_pruned(dir.path(), signet.magic());
        for named in [None, Some(Network::SIGNET)] {
            let error = network_of(dir.path(), named, None).unwrap_err();
            assert!(error.to_string().contains("--signet-challenge"), "{error}");
            assert_eq!(network_of(dir.path(), named, Some(&challenge)).unwrap(), signet);
        }
        // A damaged file before the first record that identifies the network.
        fs::write(dir.path().join("blk00006.dat"), [6; 200]).unwrap();
        assert_eq!(network_of(dir.path(), None, Some(&challenge)).unwrap(), signet);
    }

    #[test]
    fn a_challenge_of_another_signet_is_refused() {
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
    fn files_of_an_unknown_network_do_not_match_a_named_one() {
        let dir = tempfile::tempdir().unwrap();
        write_pruned(dir.path(), Magic([1, 2, 3, 4]));
        for named in [Network::Main, Network::Testnet3, Network::Testnet4, Network::Regtest] {
            let error = network_of(dir.path(), Some(named), None).unwrap_err();
            assert!(matches!(error, NetworkDirError::OtherMagic { expected, .. } if expected == named), "{error}");
        }
    }

    #[test]
    fn a_damaged_first_record_does_not_exclude_the_named_network() {
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
    fn only_a_signet_has_a_challenge() {
        let dir = tempfile::tempdir().unwrap();
        let error = network_of(dir.path(), Some(Network::Main), Some(&ScriptBuf::from_bytes(vec![0x51]))).unwrap_err();
        assert!(matches!(error, NetworkDirError::ChallengeWithoutSignet { network: Network::Main }), "{error}");
    }

    #[test]
    fn files_of_another_network_than_the_named_one_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        write_genesis(dir.path(), Network::Regtest, [0; 8]);
        let error = network_of(dir.path(), Some(Network::Main), None).unwrap_err();
        assert!(matches!(error, NetworkDirError::OtherNetwork { found: Network::Regtest, .. }), "{error}");
    }

    #[test]
    fn an_empty_directory_has_the_named_network() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(network_of(dir.path(), Some(Network::Testnet4), None).unwrap(), Network::Testnet4);
        assert!(matches!(network_of(dir.path(), None, None), Err(NetworkDirError::NoRecord { .. })));
    }

    #[test]
    fn a_datadir_means_its_only_network_or_mainnet_if_there_are_more() {
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
