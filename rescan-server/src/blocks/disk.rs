//! The one place where bytes of block files are copied from disk.
//!
//! Every such read goes through here, so that a test can have any of them fail, come short or come torn, at any offset
//! of any file (`faults`, which is not part of the product). What is seen through a map goes past it: there nothing can
//! be done about a fault of the disk, which ends the process.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

#[cfg(test)]
pub(crate) mod faults;
#[cfg(test)]
mod tests;

/// One `pread` at `offset`: how many bytes of `buffer` it filled, which may be fewer than there are in the file.
///
/// # Errors
/// What the operating system says.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    #[cfg(test)]
    if let Some(met) = faults::meet(file, buffer, offset) {
        return met;
    }
    file.read_at(buffer, offset)
}

/// Reads at `offset` until `buffer` is full or the file ends, and returns how many bytes that were.
///
/// # Errors
/// What the operating system says.
pub(crate) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0_usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // usize fits u64
        match read_at(file, rest, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Fills `buffer` from `offset` on.
///
/// # Errors
/// What the operating system says; `UnexpectedEof` where the file is shorter.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    match read_up_to(file, buffer, offset)? == buffer.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
