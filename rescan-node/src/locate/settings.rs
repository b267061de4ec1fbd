//! The options of `bitcoin.conf` and of the files that it includes, by Bitcoin Core's order of
//! precedence (`src/common/settings.cpp`).

use std::path::Path;

use super::chain_type::ChainType;
use super::conf_file::{self, Entry, is_true};
use super::error::{LocateError, Place};

/// The name of the configuration file (`BITCOIN_CONF_FILENAME`).
pub(super) const CONF_FILE: &str = "bitcoin.conf";

/// More included files than any person keeps; each costs a read.
const INCLUDES_MAX: usize = 64;

/// Options with their places, in the order of reading. It has no `Debug`: a value may be a
/// password.
pub(super) struct Settings {
    entries: Vec<Entry>,
}

impl Settings {
    /// Reads the file of a datadir, and the files that it includes for a chain. A datadir without
    /// one has no options.
    ///
    /// # Errors
    /// [`LocateError`] of a file, a line, or the chain.
    pub(super) fn read(datadir: &Path, chain: Option<ChainType>) -> Result<Self, LocateError> {
        let mut settings = Self { entries: conf_file::read(&datadir.join(CONF_FILE))?.unwrap_or_default() };
        let chain = match chain {
            Some(chain) => chain,
            None => settings.chain()?.map_or(ChainType::Main, |(chain, _place)| chain),
        };
        let mut included = Vec::new();
        // Files that an included file includes are not read, as in Bitcoin Core.
        for entry in settings.effective(chain.name(), "includeconf").chain(settings.effective("", "includeconf")) {
            let name = entry.value.as_deref().unwrap_or_default();
            if included.len() == INCLUDES_MAX {
                let detail = "expected at most 64 files in includeconf";
                return Err(LocateError::BadLine { place: entry.place.clone(), detail });
            }
            included.push((datadir.join(name), entry.place.clone()));
        }
        for (path, place) in included {
            let entries = conf_file::read(&path)?.ok_or(LocateError::NotIncluded { path, place })?;
            settings.entries.extend(entries);
        }
        Ok(settings)
    }

    /// The chain that the file selects, with the line that does (`GetChainArg`).
    ///
    /// # Errors
    /// [`LocateError::UnknownChain`] or [`LocateError::SeveralChains`].
    pub(super) fn chain(&self) -> Result<Option<(ChainType, Place)>, LocateError> {
        let mut selected: Option<(ChainType, Place)> = None;
        let switched = ChainType::ALL.into_iter().filter_map(|chain| {
            // Of a chain's switch the last line counts, unlike in other options.
            let entry = self.of("", chain.switch()?).last()?;
            is_true(entry.value.as_deref()?).then(|| (chain, entry.place.clone()))
        });
        let named = self.first("", "chain").map(|entry| {
            let name = entry.value.as_deref().unwrap_or_default();
            let unknown = || LocateError::UnknownChain { place: entry.place.clone() };
            ChainType::from_name(name).map(|chain| (chain, entry.place.clone())).ok_or_else(unknown)
        });
        for found in switched.map(Ok).chain(named) {
            let (chain, place) = found?;
            if let Some((_, first)) = selected {
                return Err(LocateError::SeveralChains { first, second: place });
            }
            selected = Some((chain, place));
        }
        Ok(selected)
    }

    /// The value of an option for a chain: its section first, then the lines outside of sections.
    /// None if it is absent or negated.
    pub(super) fn value(&self, chain: ChainType, name: &str) -> Option<(&str, &Place)> {
        let entry = self.entry(chain, name)?;
        entry.value.as_deref().map(|value| (value, &entry.place))
    }

    /// The line that negates an option for a chain (`noname=1`).
    pub(super) fn negation(&self, chain: ChainType, name: &str) -> Option<&Place> {
        self.entry(chain, name).filter(|entry| entry.value.is_none()).map(|entry| &entry.place)
    }

    fn entry(&self, chain: ChainType, name: &str) -> Option<&Entry> {
        self.first(chain.name(), name).or_else(|| {
            // `-rpcport` outside of sections is for main alone (`ArgsManager::NETWORK_ONLY`).
            let is_for_all = name != "rpcport" || chain == ChainType::Main;
            is_for_all.then(|| self.first("", name)).flatten()
        })
    }

    /// The line of a section that counts: the first behind the last negation; the negation if it is
    /// the last.
    fn first(&self, section: &str, name: &str) -> Option<&Entry> {
        self.effective(section, name).next().or_else(|| self.of(section, name).last())
    }

    /// The lines behind the last negation.
    fn effective(&self, section: &str, name: &str) -> impl Iterator<Item = &Entry> {
        let lines: Vec<&Entry> = self.of(section, name).collect();
        let negated = lines.iter().rposition(|entry| entry.value.is_none()).map_or(0, |at| at + 1);
        lines.into_iter().skip(negated)
    }

    fn of(&self, section: &str, name: &str) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.section == section && entry.name == name)
    }
}
