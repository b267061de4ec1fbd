//! Messages to be hashed together, one after the other, each padded for SHA-256.

/// Block size of SHA-256, in bytes.
pub(crate) const BLOCK_BYTES: usize = 64;
/// Padding of a message: a byte 0x80, zeros, and its length in bits as eight bytes (FIPS 180-4,
/// 5.1.1).
const PADDING_BYTES_MIN: usize = 9;

/// A part of a padded message.
pub(crate) type Block = [u8; BLOCK_BYTES];

/// Messages to hash. Memory is reused from batch to batch.
#[derive(Debug, Default)]
pub struct Messages {
    /// Padded messages; the bytes after `used` are left over from earlier ones.
    padded: Vec<Block>,
    /// Number of blocks in `padded` that the messages take.
    used: usize,
    /// Length of each message without padding, in bytes.
    lengths: Vec<usize>,
}

impl Messages {
    /// Adds a message of `length` bytes and returns the place to write it to. The place may hold
    /// old bytes.
    pub fn push(&mut self, length: usize) -> &mut [u8] {
        let start = self.used;
        self.used = start + padded_blocks(length);
        if self.padded.len() < self.used {
            self.padded.resize(self.used, [0; BLOCK_BYTES]);
        }
        self.lengths.push(length);
        let blocks = &mut self.padded[start..self.used];
        // Padding touches two blocks at most; zeros of a constant size are a few stores instead of
        // a call.
        for block in blocks.iter_mut().rev().take(2) {
            *block = [0; BLOCK_BYTES];
        }
        let (message, padding) = blocks.as_flattened_mut().split_at_mut(length);
        padding[0] = 0x80;
        if let Some(bits) = padding.last_chunk_mut::<8>() {
            *bits = (length as u64 * 8).to_be_bytes(); // memory is smaller than 2^61 bytes
        }
        message
    }

    /// Removes all messages.
    pub fn clear(&mut self) {
        self.used = 0;
        self.lengths.clear();
    }

    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Size of the messages with padding, in bytes.
    #[must_use]
    pub fn padded_bytes(&self) -> usize {
        self.used * BLOCK_BYTES
    }

    /// The blocks of each message, padding included: at least one.
    pub(crate) fn padded(&self) -> impl Iterator<Item = &[Block]> {
        let mut rest = &self.padded[..self.used];
        self.lengths.iter().map(move |length| {
            let (message, behind) = rest.split_at(padded_blocks(*length));
            rest = behind;
            message
        })
    }

    /// Each message.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.padded().zip(&self.lengths).map(|(padded, length)| &padded.as_flattened()[..*length])
    }
}

fn padded_blocks(length: usize) -> usize {
    (length + PADDING_BYTES_MIN).div_ceil(BLOCK_BYTES)
}
