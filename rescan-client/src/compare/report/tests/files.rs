//! The three files of a report.

use std::fs;

use super::super::write;
use super::Comparison;
use super::example;

#[test]
fn dbg() {
    write(&example::full(), std::path::Path::new("/tmp/rp")).unwrap();
    write(&example::scant(), std::path::Path::new("/tmp/rp2")).unwrap();
}
