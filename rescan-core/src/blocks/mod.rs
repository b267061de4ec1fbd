//! Bytes of blocks as they lie on disk: reading, walking, transactions, and the proof that they belong to a header.

pub mod cursor;
pub mod merkle;
pub mod obfuscation;
pub mod proof;
pub mod transaction;
pub mod walk;
