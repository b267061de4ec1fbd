//! The limit of open files, raised as far as the process may.
//!
//! Each wallet takes a descriptor and each scan some more. The usual soft limit of 1,024 is kept low for programs that still use `select`;
//! this one does not.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one. Where that is refused, the limit stays as it is, and whoever meets it is told.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
