//! The search for a node: chain, address and credentials.

use std::path::{Path, PathBuf};

use super::chain_type::ChainType;
use super::datadir::Datadir;
use super::error::{LocateError, Place};
use super::settings::Settings;
use crate::address::Address;
use crate::credentials::Credentials;

/// The name of the cookie file (`COOKIEAUTH_FILE`, `src/rpc/request.cpp`).
const COOKIE_FILE: &str = ".cookie";

/// The default host (`DEFAULT_RPCCONNECT`, `src/bitcoin-cli.cpp`).
const HOST_DEFAULT: &str = "127.0.0.1";

/// The place to search for a node, and the parts that the user has named.
#[derive(Clone, Debug)]
pub struct NodeSearch {
    /// The datadir.
    pub datadir: Datadir,
    /// The chain; if none, that of `bitcoin.conf`, else main. If main has no cookie, the only chain
    /// with one.
    pub chain: Option<ChainType>,
    /// Credentials; if none, those of `bitcoin.conf`, else the cookie.
    pub credentials: Option<Credentials>,
}

/// A node's address and credentials. `Debug` shows no password.
#[derive(Clone, Debug)]
pub struct FoundNode {
    /// The address of its RPC.
    pub address: Address,
    /// Credentials for it.
    pub credentials: Credentials,
    /// Its chain.
    pub chain: ChainType,
    /// The reason for this chain.
    pub chain_source: ChainSource,
    /// The chain's folder in the datadir.
    pub network_dir: PathBuf,
}

/// The reason why a chain was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainSource {
    /// The user named it, or gave its own folder.
    Given,
    /// This line of a configuration file selects it.
    Conf(Place),
    /// Main is the default.
    Default,
    /// Nothing named a chain, and of all chains only this one has a cookie.
    OnlyCookie,
}

impl NodeSearch {
    /// Finds the node. Reads the configuration, and looks for cookies without reading them.
    ///
    /// # Errors
    /// [`LocateError`], with its [next step](LocateError::next_step).
    pub fn find(&self) -> Result<FoundNode, LocateError> {
        let (datadir, chain) = self.datadir.resolve(self.chain)?;
        let settings = Settings::read(&datadir, chain)?;
        let conf = Conf { settings, datadir: &datadir, search: self };
        if let Some(chain) = chain {
            return conf.node(chain, ChainSource::Given);
        }
        if let Some((chain, place)) = conf.settings.chain()? {
            return conf.node(chain, ChainSource::Conf(place));
        }
        let has_cookie = |chain: &ChainType| matches!(conf.credentials(*chain), Ok(Credentials::Cookie(_)));
        match conf.credentials(ChainType::Main) {
            Err(LocateError::NoCookie { .. } | LocateError::UserNeeded { .. }) => {}
            _ => return conf.node(ChainType::Main, ChainSource::Default),
        }
        let chains: Vec<ChainType> = ChainType::ALL.into_iter().filter(has_cookie).collect();
        match chains[..] {
            [] => conf.node(ChainType::Main, ChainSource::Default),
            [only] => conf.node(only, ChainSource::OnlyCookie),
            _ => Err(LocateError::SeveralCookies { datadir, chains }),
        }
    }
}

/// The options of a datadir, for any chain.
struct Conf<'a> {
    settings: Settings,
    datadir: &'a Path,
    search: &'a NodeSearch,
}

impl Conf<'_> {
    fn node(&self, chain: ChainType, chain_source: ChainSource) -> Result<FoundNode, LocateError> {
        Ok(FoundNode {
            address: self.address(chain)?,
            credentials: match &self.search.credentials {
                Some(credentials) => credentials.clone(),
                None => self.credentials(chain)?,
            },
            chain,
            chain_source,
            network_dir: self.network_dir(chain)?,
        })
    }

    /// The chain's folder. `datadir=` counts in the default datadir alone.
    fn network_dir(&self, chain: ChainType) -> Result<PathBuf, LocateError> {
        let datadir = match (&self.search.datadir, self.settings.value(chain, "datadir")) {
            (Datadir::Default(_), Some((path, place))) if !path.is_empty() => {
                let path = PathBuf::from(path);
                if !path.is_dir() {
                    return Err(LocateError::NoDatadir { path, place: Some(place.clone()) });
                }
                path
            }
            _ => self.datadir.to_owned(),
        };
        Ok(datadir.join(chain.folder()))
    }

    /// `rpcport`, else the port in `rpcconnect`, else the chain's (`CallRPC`,
    /// `src/bitcoin-cli.cpp`).
    fn address(&self, chain: ChainType) -> Result<Address, LocateError> {
        let mut address = match self.settings.value(chain, "rpcconnect") {
            Some((text, place)) => {
                let expected = "a host, or a host and a port: HOST:PORT";
                let bad = || LocateError::BadAddress { place: place.clone(), option: "rpcconnect", expected };
                Address::of_connect(text, chain.rpc_port()).ok_or_else(bad)?
            }
            None => Address::new(HOST_DEFAULT, chain.rpc_port()),
        };
        if let Some((text, place)) = self.settings.value(chain, "rpcport") {
            let expected = "a number from 1 to 65535";
            let bad = || LocateError::BadAddress { place: place.clone(), option: "rpcport", expected };
            address = address.with_port(Address::port(text).ok_or_else(bad)?);
        }
        Ok(address)
    }

    /// `rpcuser` and `rpcpassword`, else the cookie, which must exist.
    fn credentials(&self, chain: ChainType) -> Result<Credentials, LocateError> {
        let value = |name| self.settings.value(chain, name).map_or("", |(value, _place)| value);
        let password = value("rpcpassword");
        if !password.is_empty() {
            return Ok(Credentials::Password { user: value("rpcuser").to_owned(), password: password.to_owned() });
        }
        if let Some(place) = self.settings.negation(chain, "rpccookiefile") {
            return Err(LocateError::CookieDisabled { place: place.clone(), chain });
        }
        let name = Some(value("rpccookiefile")).filter(|name| !name.is_empty()).unwrap_or(COOKIE_FILE);
        let path = self.network_dir(chain)?.join(name);
        // A file that may not be looked at is named by the error of reading it.
        if path.try_exists().unwrap_or(true) {
            return Ok(Credentials::Cookie(path));
        }
        match self.settings.value(chain, "rpcauth") {
            Some((_, rpcauth)) => Err(LocateError::UserNeeded { rpcauth: rpcauth.clone(), path, chain }),
            None => Err(LocateError::NoCookie { path, chain }),
        }
    }
}
