//! Datadirs, and the folders of chains in them.

use std::path::{Path, PathBuf};

use super::chain_type::ChainType;
use super::error::LocateError;
use super::settings::CONF_FILE;

/// A datadir, and whether its `bitcoin.conf` may name another (`datadir=`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datadir {
    /// Given by the user (`-datadir`), who overrides `datadir=`. A chain's own folder in a datadir
    /// counts as that datadir.
    Given(PathBuf),
    /// Bitcoin Core's default, `~/.bitcoin`.
    Default(PathBuf),
}

impl Datadir {
    /// The datadir itself, and the chain if the path is that chain's own folder.
    ///
    /// # Errors
    /// [`LocateError::NoDatadir`], or [`LocateError::OtherChain`] if the path is the folder of
    /// another chain.
    pub(super) fn resolve(&self, chain: Option<ChainType>) -> Result<(PathBuf, Option<ChainType>), LocateError> {
        let (Self::Given(path) | Self::Default(path)) = self;
        if !path.is_dir() {
            return Err(LocateError::NoDatadir { path: path.clone(), place: None });
        }
        let Self::Given(path) = self else { return Ok((path.clone(), chain)) };
        let Some((datadir, found)) = own_folder(path) else { return Ok((path.clone(), chain)) };
        match chain {
            Some(expected) if expected != found && path.join(expected.folder()).is_dir() => {
                Ok((path.clone(), Some(expected)))
            }
            Some(expected) if expected != found => Err(LocateError::OtherChain { path: path.clone(), found, expected }),
            _ => Ok((datadir, Some(found))),
        }
    }
}

/// The folder of a chain in a datadir; the path itself if it is that folder.
#[must_use]
pub fn network_dir(datadir: &Path, chain: ChainType) -> PathBuf {
    match own_folder(datadir) {
        Some((_datadir, found)) if found == chain => datadir.to_owned(),
        _ => datadir.join(chain.folder()),
    }
}

/// The datadir and the chain of a path that is a chain's own folder: it has the folder's name, no
/// configuration file, and no folder of that name in it.
fn own_folder(path: &Path) -> Option<(PathBuf, ChainType)> {
    // `.` has no name; neither has a path that ends in `..`.
    let path = path.canonicalize().ok()?;
    let name = path.file_name()?;
    let chain = ChainType::ALL.into_iter().find(|chain| name == chain.folder())?;
    let is_datadir = path.join(CONF_FILE).exists() || path.join(chain.folder()).exists();
    let datadir = path.parent()?.to_owned();
    (!is_datadir).then_some((datadir, chain))
}
