//! What a scan looks for, and how a transaction is matched against it.

pub mod coin_map;
pub mod descriptor;
pub mod filter;
pub mod matching;
pub mod script_table;
pub mod watch_set;
