//! Everything the command prints: data on stdout, errors, notices and progress on stderr.

pub(crate) mod comparison;
mod fill;
mod fill_calls;
mod following;
pub(crate) mod json;
mod printer;
mod progress;
mod stdout;
pub(crate) mod tables;

pub(crate) use self::fill::FillPrinter;
pub(crate) use self::fill_calls::CallLines;
pub(crate) use self::printer::{Form, Printer};
pub(crate) use self::progress::ComparisonProgress;
pub(crate) use self::stdout::{Output, notice, print_error};
