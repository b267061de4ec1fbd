//! The node's side of rescan: block files, the chain they hold, and what is served from them.
//!
//! In the order in which data flows: [`network_dir`] finds the files, [`block_file`] and [`block_files`] give their
//! bytes, [`records`] walks them, [`state_file`] remembers what was found, and [`chain`] says which blocks are active.

pub mod block_file;
pub mod block_files;
pub mod blocks_dir;
pub mod cancel;
pub mod chain;
pub mod network_dir;
pub mod records;
pub mod scan;
pub mod state_file;
