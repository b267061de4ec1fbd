//! How a client proves to a node who it is: the node's cookie file, or a user name and a password.

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::RpcError;

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

impl Credentials {
    /// The value of HTTP's `Authorization` header.
    ///
    /// # Errors
    /// [`RpcError::Cookie`] or [`RpcError::NotACookie`].
    pub(crate) fn header(&self) -> Result<String, RpcError> {
        let pair = match self {
            Self::Cookie(path) => cookie(path)?,
            Self::Password { user, password } => format!("{user}:{password}"),
        };
        Ok(format!("Basic {}", STANDARD.encode(pair)))
    }
}

fn cookie(path: &Path) -> Result<String, RpcError> {
    let text = fs::read_to_string(path).map_err(|source| RpcError::Cookie { path: path.to_owned(), source })?;
    let pair = text.trim_end();
    if !pair.contains(':') || pair.contains(char::is_whitespace) {
        return Err(RpcError::NotACookie { path: path.to_owned() });
    }
    Ok(pair.to_owned())
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
