//! Errors of calls as Cap'n Proto exceptions.

use rescan_core::causes::with_causes;
use rescan_core::wire::WireError;

use crate::refresh::refresher::RefreshError;

/// A message that cannot be read or written.
pub(crate) fn malformed(error: &WireError) -> capnp::Error {
    capnp::Error::failed(with_causes(error))
}

/// A call beyond the limit of waiting calls.
pub(crate) fn too_many_calls() -> capnp::Error {
    capnp::Error::overloaded("too many calls of this connection are waiting: take some answers first".to_owned())
}

impl From<RefreshError> for capnp::Error {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Stopping => Self::disconnected("the server is stopping".to_owned()),
            RefreshError::Failed(failure) => Self::failed(failure.detail),
        }
    }
}
