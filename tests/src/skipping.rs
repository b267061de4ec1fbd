//! Tests that cannot run where they are.

use std::io::Write;

/// Says which test was skipped, and what it `needs`: past the test harness, which holds back what a test that passes has
/// printed.
pub fn say_skipped(needs: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Nobody listens to it then.
    drop(writeln!(std::io::stderr().lock(), "skipped: {test} needs {needs}"));
}
