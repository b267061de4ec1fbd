//! The XOR key of a blocks directory, and bytes as they lie on disk under it.
//!
//! Bitcoin Core XORs block and undo files with the eight bytes of `xor.dat`, repeated from the start of the file
//! (`src/util/obfuscation.h`; on by default since v28). It is not secrecy: it keeps virus scanners off.

/// The eight bytes of `xor.dat`, turned so that byte 0 belongs to the byte at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObfuscationKey(u64);

impl ObfuscationKey {
    /// No obfuscation: `xor.dat` absent or all zeros.
    pub const CLEAR: Self = Self(0);

    /// The key as it stands in `xor.dat`: for the byte at file offset 0.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    /// The key for a view that starts `offset` bytes further on.
    #[must_use]
    pub fn advanced(self, offset: u64) -> Self {
        let phase = (offset % 8) as u32; // below 8
        Self(self.0.rotate_right(phase * 8))
    }

    /// Whether bytes lie as they are.
    #[must_use]
    pub fn is_clear(self) -> bool {
        self.0 == 0
    }

    /// The key as eight little-endian bytes: what to XOR onto eight bytes at the start of the view.
    #[must_use]
    pub fn to_u64(self) -> u64 {
        self.0
    }

    /// Copies `from` to `to` with the key XORed onto it, the first byte being the start of the view. The shorter of both
    /// decides how many bytes.
    pub(crate) fn copy(self, from: &[u8], to: &mut [u8]) {
        let (from_words, from_bytes) = from.as_chunks::<8>();
        let (to_words, to_bytes) = to.as_chunks_mut::<8>();
        for (to, from) in to_words.iter_mut().zip(from_words) {
            *to = (u64::from_le_bytes(*from) ^ self.0).to_le_bytes();
        }
        for ((to, from), key) in to_bytes.iter_mut().zip(from_bytes).zip(self.0.to_le_bytes()) {
            *to = from ^ key;
        }
    }

    /// XORs the key onto `bytes`, the first of which is the start of the view. Twice is not at all.
    pub fn apply(self, bytes: &mut [u8]) {
        if self.is_clear() {
            return;
        }
        let (words, rest) = bytes.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_le_bytes(*word) ^ self.0).to_le_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(self.0.to_le_bytes()) {
            *byte ^= key;
        }
    }
}

/// The bytes of one block as they lie on disk, with the key for their first byte.
///
/// No claim about their content: everything that reads them checks.
#[derive(Clone, Copy, Debug)]
pub struct RawBlock<'a> {
    bytes: &'a [u8],
    key: ObfuscationKey,
}

impl<'a> RawBlock<'a> {
    /// A block of `bytes` under `key`, which is already turned to the first of them.
    #[must_use]
    pub fn new(bytes: &'a [u8], key: ObfuscationKey) -> Self {
        Self { bytes, key }
    }

    /// A block in the clear.
    #[must_use]
    pub fn clear(bytes: &'a [u8]) -> Self {
        Self::new(bytes, ObfuscationKey::CLEAR)
    }

    /// The bytes as they lie on disk.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The key for the first of them.
    #[must_use]
    pub fn key(self) -> ObfuscationKey {
        self.key
    }

    /// Writes the block in the clear over what `buffer` held.
    pub fn copy_clear(self, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(self.bytes);
        self.key.apply(buffer);
    }

    /// The 80 header bytes in the clear; none if the block is shorter.
    #[must_use]
    pub fn header(self) -> Option<[u8; 80]> {
        let mut header = *self.bytes.first_chunk::<80>()?;
        self.key.apply(&mut header);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_view_at_any_offset_is_masked_as_the_file_is(
            key: [u8; 8], file in prop::collection::vec(any::<u8>(), 1..200), at in 0usize..200
        ) {
            let at = at % file.len();
            let by_byte: Vec<u8> = file.iter().enumerate().map(|(i, byte)| byte ^ key[i % 8]).collect();
            let mut view = file[at..].to_vec();
            ObfuscationKey::from_bytes(key).advanced(at as u64).apply(&mut view);
            prop_assert_eq!(&view[..], &by_byte[at..]);
        }
    }
}
