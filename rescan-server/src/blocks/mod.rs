//! Block files: their location, access to their bytes by reads or maps, and the records in them.

pub(crate) mod block_buffers;
pub mod block_file;
pub mod block_files;
pub mod blocks_dir;
pub(crate) mod disk;
pub mod network_dir;
pub mod page_cache;
pub mod records;
pub mod window;
