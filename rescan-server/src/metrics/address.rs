//! The address of the metrics: a Unix socket, or a port that only this machine can reach.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// The prefix of a Unix socket's path.
const UNIX: &str = "unix:";

/// The address of the metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsAddress {
    /// A socket for this user and root only.
    Unix(PathBuf),
    /// A port of the loopback interface: every user of the machine can read it.
    Loopback(SocketAddr),
}

/// An invalid address for metrics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsAddressError {
    /// It is neither of the two forms.
    #[error("expected unix:PATH, or an address and a port such as 127.0.0.1:9332")]
    NeitherForm,
    /// Other machines could reach it.
    #[error(
        "{0} can be reached from other machines, metrics are for this machine only: give 127.0.0.1 or [::1], with a proxy \
         in front of it for remote access"
    )]
    NotLoopback(SocketAddr),
}

impl FromStr for MetricsAddress {
    type Err = MetricsAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix(UNIX) {
            return if path.is_empty() { Err(MetricsAddressError::NeitherForm) } else { Ok(Self::Unix(path.into())) };
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Self::Loopback(address)),
            Ok(address) => Err(MetricsAddressError::NotLoopback(address)),
            Err(_not_an_address) => Err(MetricsAddressError::NeitherForm),
        }
    }
}

impl fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
            Self::Loopback(address) => write!(f, "http://{address}/metrics"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_a_port_of_this_machine_are_taken() {
        assert_eq!("unix:/run/m.sock".parse(), Ok(MetricsAddress::Unix(PathBuf::from("/run/m.sock"))));
        for text in ["127.0.0.1:9332", "127.9.9.9:1", "[::1]:9332"] {
            let address = text.parse().map(MetricsAddress::Loopback).map_err(|_error| text);
            assert_eq!(text.parse(), Ok(address.expect("it is an address")));
        }
    }

    #[test]
    fn an_address_that_another_machine_can_reach_is_refused() {
        for text in
            ["0.0.0.0:9332", "192.168.1.2:9332", "[::]:9332", "8.8.8.8:80", "[2001:db8::1]:1", "[::ffff:127.0.0.1]:9"]
        {
            let error = text.parse::<MetricsAddress>().expect_err(text);
            assert!(matches!(error, MetricsAddressError::NotLoopback(_)), "{text}");
            assert!(error.to_string().contains("give 127.0.0.1"), "{error}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["", "unix:", "9332", "localhost:9332", "127.0.0.1", "/run/m.sock", "127.0.0.1:99999"] {
            assert_eq!(text.parse::<MetricsAddress>(), Err(MetricsAddressError::NeitherForm), "{text}");
        }
    }
}
