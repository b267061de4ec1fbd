//! The tables that people read. No contract: scripts use `--json`.

mod info;
mod scan;
mod table;

pub(crate) use self::info::info;
pub(crate) use self::scan::{Section, scan};
pub(super) use self::scan::{outcome, received, spent};
pub(crate) use self::table::{lines, table};
