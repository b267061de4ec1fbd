//! `rescan demo`: all of rescan, with nothing but its two programs.

mod core_result;
mod datadir;
mod rescan;
mod server;
mod tables;

pub(super) use self::rescan::run;
