//! The JSON Lines of `--json`: a contract. One struct per line type; scripts rely on the names, order and types of the
//! fields, and the tests check them byte by byte.
//!
//! Only shapes lines; `super::Printer` decides when to print each.

mod block;
mod fill;
mod info;
mod line;
mod summary;
mod transaction;

pub(crate) use self::block::{connected, disconnected, reverted};
pub(crate) use self::fill::{FillLine, FillSummary, milliseconds as fill_milliseconds};
pub(crate) use self::info::info;
pub(crate) use self::line::{Line, network_name};
pub(crate) use self::summary::summary;
#[cfg(test)]
use self::transaction::coin;
pub(crate) use self::transaction::{results, transactions};

#[cfg(test)]
mod tests;
