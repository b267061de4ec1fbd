//! What is said when a mapped block file cannot be had: it was cut short beneath its map, or its disk failed.
//!
//! The kernel then stops whoever reads there with SIGBUS, and there is nothing to go on with. Without this the process would end
//! without a word. The signal's handler only notes that it came, so that the reader meets the fault again and again; meanwhile a thread
//! that reads no map says what happened and ends the process. Nothing is lost: wallets were told only of what was read whole, and go on
//! from their checkpoints.

use std::io;
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// The exit code of a process that ended like this: it failed.
const EXIT_CODE: i32 = 1;

/// From here on, SIGBUS ends the process with a word in the log.
///
/// # Errors
/// What the operating system says to one more thread, or to the handler.
pub fn explain() -> io::Result<()> {
    // Of its own, since the thread that talks may be the one that was stopped.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut raised = {
        let _context = runtime.enter();
        signal(SignalKind::from_raw(libc::SIGBUS))?
    };
    thread::Builder::new().name("rescan-bus-error".to_owned()).spawn(move || {
        if runtime.block_on(raised.recv()).is_some() {
            tracing::error!(
                "a mapped block file was cut short, or its disk failed (SIGBUS); the process ends: start it again, and wallets go on from \
                 their checkpoints; if it happens again, --access read names the file"
            );
            std::process::exit(EXIT_CODE);
        }
    })?;
    Ok(())
}
