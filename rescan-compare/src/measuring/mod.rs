//! The measurement of a run: time, processor time, waiting, memory, disk and traffic.

mod machine;
mod memory;
mod meter;
mod process;

pub(crate) use meter::Meter;
