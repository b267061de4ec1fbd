//! Scripts and coins that a scan looks for, and the match of a transaction against them.

pub mod coin_map;
pub mod descriptor;
pub mod filter;
pub mod matching;
mod script_table;
pub mod watch_set;
