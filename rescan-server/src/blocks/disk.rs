//! The one place where bytes of block files are copied from disk.
//!
//! Every such read passes here, so that tests can inject failed, short or torn reads at any offset of any file (`faults`,
//! which is not part of the product). Maps bypass it: a disk fault beneath a map ends the process, and nothing can be done
//! about that.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

#[cfg(test)]
pub(crate) mod faults;

/// One `pread` at `offset`. Returns the number of bytes read, which may be fewer than the file has.
///
/// # Errors
/// The error of the operating system.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    #[cfg(test)]
    if let Some(read) = faults::inject(file, buffer, offset) {
        return read;
    }
    file.read_at(buffer, offset)
}

/// Reads at `offset` until `buffer` is full or the file ends. Returns the number of bytes read.
///
/// # Errors
/// The error of the operating system.
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

/// Fills `buffer` from `offset`.
///
/// # Errors
/// The error of the operating system; `UnexpectedEof` if the file is too short.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    match read_up_to(file, buffer, offset)? == buffer.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
