//! Watch sets of one connection: filled by calls, then sealed.

pub(crate) mod sealing;
pub(crate) mod server;
