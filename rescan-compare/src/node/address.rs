//! Where a node's RPC is, as people write it: `http://HOST:PORT`.

use std::fmt;
use std::str::FromStr;

/// The port of Bitcoin Core's RPC on mainnet, taken where none is named (`src/chainparamsbase.cpp`).
const MAINNET_PORT: u16 = 8_332;

/// Where a node's RPC listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address; one of version 6 without its brackets.
    pub(crate) host: String,
    /// Where on that host.
    pub(crate) port: u16,
}

/// Why a text is no address of a node's RPC. The text is not repeated: it may have a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It does not begin as HTTP addresses do, or as those of another protocol.
    #[error("expected http://HOST:PORT; a node's RPC speaks nothing else, TLS neither")]
    NotHttp,
    /// It has a user name or a password.
    #[error("expected http://HOST:PORT, found a user name in it: give the node's cookie file instead")]
    HasUser,
    /// It goes on behind the port.
    #[error("expected http://HOST:PORT, found a path behind it")]
    HasPath,
    /// It has no host.
    #[error("expected http://HOST:PORT, found no host in it")]
    NoHost,
    /// What stands behind the colon is no port.
    #[error("expected http://HOST:PORT, found a port that is no number from 1 to 65535")]
    BadPort,
}

impl Address {
    /// Whether it is this very machine, as far as its name says so.
    pub(crate) fn is_this_machine(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }

    /// Host and port, as HTTP names them.
    pub(crate) fn authority(&self) -> String {
        let Self { host, port } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}", self.authority())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(_) => return Err(AddressError::NotHttp),
            None => text,
        };
        if rest.contains('@') {
            return Err(AddressError::HasUser);
        }
        let authority = match rest.split_once('/') {
            Some((authority, "")) => authority,
            Some(_) => return Err(AddressError::HasPath),
            None => rest,
        };
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or(AddressError::BadPort)?)),
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() {
            return Err(AddressError::NoHost);
        }
        let port = match port {
            None => MAINNET_PORT,
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(AddressError::BadPort)?,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_people_write_it_and_shown_whole() {
        let shown = |text: &str| text.parse::<Address>().map(|address| address.to_string());
        assert_eq!(shown("http://127.0.0.1:18443"), Ok("http://127.0.0.1:18443".to_owned()));
        assert_eq!(shown("http://127.0.0.1:18443/"), Ok("http://127.0.0.1:18443".to_owned()));
        assert_eq!(shown("localhost"), Ok("http://localhost:8332".to_owned()));
        assert_eq!(shown("node.lan:38332"), Ok("http://node.lan:38332".to_owned()));
        assert_eq!(shown("http://[::1]:8332"), Ok("http://[::1]:8332".to_owned()));
        assert_eq!(shown("[::1]"), Ok("http://[::1]:8332".to_owned()));
    }

    #[test]
    fn what_is_no_address_says_what_was_expected_and_never_repeats_a_password() {
        let error = |text: &str| text.parse::<Address>().expect_err(text);
        assert_eq!(error("https://127.0.0.1:8332"), AddressError::NotHttp);
        assert_eq!(error("http://user:secret@127.0.0.1"), AddressError::HasUser);
        assert!(!error("http://user:secret@127.0.0.1").to_string().contains("secret"));
        assert_eq!(error("http://127.0.0.1:8332/wallet/alice"), AddressError::HasPath);
        assert_eq!(error("http://:8332"), AddressError::NoHost);
        for port in ["", "0", "65536", "-1", "rpc"] {
            assert_eq!(error(&format!("http://127.0.0.1:{port}")), AddressError::BadPort);
        }
        assert_eq!(error("[::1]8332"), AddressError::BadPort);
    }

    #[test]
    fn this_machine_is_known_by_its_loopback_addresses() {
        let is_here = |text: &str| text.parse::<Address>().expect("it is one").is_this_machine();
        assert!(is_here("localhost") && is_here("127.0.0.1") && is_here("127.9.9.9") && is_here("[::1]"));
        assert!(!is_here("10.0.0.1") && !is_here("node.lan"));
    }
}
