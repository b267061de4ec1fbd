//! How a client proves to a node who it is: the node's cookie file, or a user name and a password.

use std::fmt;
use std::path::PathBuf;

/// Credentials for a node's RPC. `Debug` and messages never show a password.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// The file that the node writes at each start: `.cookie`, in the network's folder of its
    /// datadir.
    Cookie(PathBuf),
    /// A user of the node's `-rpcauth` or `-rpcuser`.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
}

/// For messages: `the cookie PATH`, or `the password of USER`.
impl fmt::Display for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(path) => write!(formatter, "the cookie {}", path.display()),
            Self::Password { user, .. } => write!(formatter, "the password of {user}"),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Credentials({self})")
    }
}
