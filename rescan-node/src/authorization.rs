//! The `Authorization` header of HTTP, made from the credentials once for each client.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::credentials::Credentials;
use crate::error::RpcError;

/// The value of the header.
///
/// # Errors
/// [`RpcError::Cookie`] or [`RpcError::NotACookie`].
pub(crate) fn header(credentials: &Credentials) -> Result<String, RpcError> {
    let pair = match credentials {
        Credentials::Cookie(path) => cookie(path)?,
        Credentials::Password { user, password } => format!("{user}:{password}"),
    };
    Ok(format!("Basic {}", STANDARD.encode(pair)))
}

fn cookie(path: &Path) -> Result<String, RpcError> {
    let text = fs::read_to_string(path).map_err(|source| RpcError::Cookie { path: path.to_owned(), source })?;
    let pair = text.trim_end();
    if !pair.contains(':') || pair.contains(char::is_whitespace) {
        return Err(RpcError::NotACookie { path: path.to_owned() });
    }
    Ok(pair.to_owned())
}
