//! A checked reader of consensus serialisation without obfuscation: little-endian integers and
//! CompactSize. It is the slow counterpart of [`walk`](crate::blocks::walk), for code that runs
//! once for each match.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

/// The reason why bytes are not valid consensus serialisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The bytes end before the structure does.
    #[error("ends too early: {needed} more bytes are needed at byte {at}")]
    TooShort {
        /// Position, in bytes from the start of the view.
        at: usize,
        /// Number of missing bytes.
        needed: u64,
    },
    /// The structure ends before the bytes do.
    #[error("ends at byte {end}, but {size} bytes are recorded for it")]
    TrailingBytes {
        /// End of the structure.
        end: usize,
        /// Number of bytes in the view.
        size: usize,
    },
    /// A transaction without inputs whose flag byte is not that of BIP144.
    #[error("has a transaction of neither serialisation at byte {at}")]
    NeitherSerialisation {
        /// Start of the transaction.
        at: usize,
    },
    /// A transaction without inputs. No block has one: even a coinbase has an input.
    #[error("has a transaction without inputs at byte {at}")]
    NoInputs {
        /// Start of the transaction.
        at: usize,
    },
    /// A block without transactions.
    #[error("has no transactions")]
    NoTransactions,
}

/// A position in bytes without obfuscation.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Number of bytes read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Whether no bytes are left.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`Malformed::TooShort`] if fewer are left.
    pub fn take(&mut self, count: u64) -> Result<&'a [u8], Malformed> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = usize::try_from(count).ok().and_then(|count| rest.get(..count));
        let too_short = Malformed::TooShort { at: self.at, needed: count.saturating_sub(rest.len() as u64) };
        let taken = taken.ok_or(too_short)?;
        self.at = self.at.saturating_add(taken.len());
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Malformed::TooShort`] if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let at = self.at;
        let taken = self.take(N as u64)?;
        taken.first_chunk().ok_or(Malformed::TooShort { at, needed: N as u64 })
    }

    /// A little-endian 32-bit integer.
    ///
    /// # Errors
    /// [`Malformed::TooShort`] if fewer than 4 bytes are left.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// A little-endian 64-bit integer.
    ///
    /// # Errors
    /// [`Malformed::TooShort`] if fewer than 8 bytes are left.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// A CompactSize (Bitcoin Core, `src/serialize.h`), not necessarily in its shortest form:
    /// blocks on disk were accepted.
    ///
    /// # Errors
    /// [`Malformed::TooShort`] if bytes are missing.
    pub fn compact_size(&mut self) -> Result<u64, Malformed> {
        let [first] = *self.array::<1>()?;
        Ok(match first {
            0xfd => u64::from(u16::from_le_bytes(*self.array()?)),
            0xfe => u64::from(u32::from_le_bytes(*self.array()?)),
            0xff => u64::from_le_bytes(*self.array()?),
            small => u64::from(small),
        })
    }

    /// Bytes after a CompactSize with their number.
    ///
    /// # Errors
    /// [`Malformed::TooShort`] if bytes are missing.
    pub fn var_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.compact_size()?;
        self.take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_of_compact_size_is_read() {
        for (bytes, value) in [
            (&[0xfc][..], 0xfc),
            (&[0xfd, 0x34, 0x12][..], 0x1234),
            (&[0xfe, 0x78, 0x56, 0x34, 0x12][..], 0x1234_5678),
            (&[0xff, 1, 0, 0, 0, 0, 0, 0, 0x80][..], 0x8000_0000_0000_0001),
        ] {
            let mut cursor = Cursor::new(bytes);
            assert_eq!(cursor.compact_size(), Ok(value));
            assert!(cursor.is_at_end());
        }
    }

    #[test]
    fn an_absurd_length_is_too_short_and_moves_nothing() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert_eq!(cursor.take(u64::MAX), Err(Malformed::TooShort { at: 0, needed: u64::MAX - 3 }));
        assert_eq!(cursor.take(3), Ok(&[1, 2, 3][..]));
    }
}
