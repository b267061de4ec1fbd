//! Raises the limit of open files.
//!
//! Each wallet uses a descriptor, and each scan a few more. The usual soft limit of 1,024 protects programs that still use
//! `select`; this one does not.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard limit. A refusal is only logged; code that reaches the limit reports it.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}
