//! Block files: where they lie, how their bytes are read or mapped, and the records in them.

pub(crate) mod block_buffers;
pub mod block_file;
pub mod block_files;
pub mod blocks_dir;
mod disk;
pub mod network_dir;
pub mod page_cache;
pub mod records;
