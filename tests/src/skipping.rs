//! Tests that cannot run where they are.

use std::io::Write;

/// Prints which test was skipped, and the thing that it `needs`. It bypasses the test harness,
/// which captures the output of passing tests.
pub fn say_skipped(needs: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Nobody listens to it then.
    drop(writeln!(std::io::stderr().lock(), "skipped: {test} needs {needs}"));
}
