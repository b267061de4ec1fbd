//! The address of a node's RPC: `http://HOST:PORT`.

use std::fmt;
use std::str::FromStr;

/// The default port: that of Bitcoin Core's RPC on mainnet (`src/chainparamsbase.cpp`).
const MAINNET_PORT: u16 = 8_332;

/// The address at which a node's RPC listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address; an IPv6 address without its brackets.
    host: String,
    port: u16,
}

/// A text that is no address of a node's RPC. Messages do not repeat the text: it may hold a
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It names another protocol than HTTP.
    #[error("expected http://HOST:PORT; a node's RPC speaks HTTP without TLS")]
    NotHttp,
    /// It has a user name or a password.
    #[error("expected http://HOST:PORT, found a user name in it: give the node's cookie file instead")]
    HasUser,
    /// It has a path behind the port.
    #[error("expected http://HOST:PORT, found a path behind it")]
    HasPath,
    /// It has no host.
    #[error("expected http://HOST:PORT, found no host in it")]
    NoHost,
    /// The text behind the colon is no port.
    #[error("expected http://HOST:PORT, found a port that is not a number from 1 to 65535")]
    BadPort,
}

impl Address {
    /// The address of a host (a name, or an IP address without brackets) and a port.
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port }
    }

    /// The address of `-rpcconnect`, with the port of the chain if it has none (`SplitHostPort`,
    /// `src/util/strencodings.cpp`): an IPv6 address may lack its brackets if it has no port.
    pub(crate) fn of_connect(text: &str, port: u16) -> Option<Self> {
        let has_no_port = text.ends_with(']') || text.parse::<std::net::Ipv6Addr>().is_ok();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, digits)) if !has_no_port => (host, Self::port(digits)?),
            _ => (text, port),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:%".contains(c));
        is_host.then(|| Self::new(host, port))
    }

    /// A port in decimal digits, other than 0.
    pub(crate) fn port(digits: &str) -> Option<u16> {
        let port = digits.parse().ok().filter(|port| *port != 0)?;
        digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(port)
    }

    /// The same host with another port.
    pub(crate) fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Whether it names this machine: `localhost`, or a loopback address.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }

    /// Host and port as in a URL.
    fn authority(&self) -> String {
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
            Some(port) => Self::port(port).ok_or(AddressError::BadPort)?,
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
    fn a_text_that_is_no_address_is_refused_with_the_expected_form_and_without_its_password() {
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
