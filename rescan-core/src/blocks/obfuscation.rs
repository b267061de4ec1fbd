//! The XOR key of a blocks directory, and bytes on disk obfuscated with it.
//!
//! Bitcoin Core XORs block and undo files with the eight bytes of `xor.dat`, repeated from the
//! start of the file (`src/util/obfuscation.h`; default since v28). The purpose is not secrecy:
//! virus scanners must not recognise content.

/// The eight bytes of `xor.dat`, rotated so that byte 0 belongs to the first byte of a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObfuscationKey(u64);

impl ObfuscationKey {
    /// No obfuscation: `xor.dat` absent or all zeros.
    pub const CLEAR: Self = Self(0);

    /// The key for file offset 0, from the bytes of `xor.dat`.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    /// The key for a view that starts `offset` bytes later.
    #[must_use]
    pub fn advanced(self, offset: u64) -> Self {
        let phase = (offset % 8) as u32; // below 8
        Self(self.0.rotate_right(phase * 8))
    }

    /// Whether there is no obfuscation.
    #[must_use]
    pub fn is_clear(self) -> bool {
        self.0 == 0
    }

    /// The key as eight little-endian bytes, to XOR with the first eight bytes of the view.
    #[must_use]
    pub fn to_u64(self) -> u64 {
        self.0
    }

    /// Copies `from`, a view, to `to` and XORs it with the key. Copies as many bytes as the shorter
    /// of both has.
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

    /// XORs `bytes`, a view, with the key. Applying it twice changes nothing.
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

/// The bytes of one block on disk, with the key for the first byte.
///
/// Nothing is known of their content: every reader checks it.
#[derive(Clone, Copy, Debug)]
pub struct RawBlock<'a> {
    bytes: &'a [u8],
    key: ObfuscationKey,
}

impl<'a> RawBlock<'a> {
    /// A block of `bytes` under `key`, which is the key for the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8], key: ObfuscationKey) -> Self {
        Self { bytes, key }
    }

    /// A block without obfuscation.
    #[must_use]
    pub fn clear(bytes: &'a [u8]) -> Self {
        Self::new(bytes, ObfuscationKey::CLEAR)
    }

    /// The bytes as on disk.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The key for the first byte.
    #[must_use]
    pub fn key(self) -> ObfuscationKey {
        self.key
    }

    /// Replaces the content of `buffer` by the block without obfuscation.
    pub fn copy_clear(self, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(self.bytes);
        self.key.apply(buffer);
    }

    /// The 80 header bytes without obfuscation; none if the block is shorter.
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
        fn a_view_at_any_offset_is_masked_like_the_file(
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
