//! The library against a server that does as each test tells it.

#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod block_match;
mod library;
