//! Messages that are hashed together, one behind the other, each padded as SHA-256 wants it.

/// What SHA-256 takes at a time, in bytes.
pub(crate) const BLOCK_BYTES: usize = 64;
/// Behind a message: a byte 0x80, zeros, and its length in bits as eight bytes (FIPS 180-4, 5.1.1).
const PADDING_BYTES_MIN: usize = 9;

/// A part of a padded message.
pub(crate) type Block = [u8; BLOCK_BYTES];

/// Messages to be hashed; keeps its memory from batch to batch.
#[derive(Debug, Default)]
pub struct Messages {
    /// Padded messages; what lies behind `used` is left over from earlier ones.
    padded: Vec<Block>,
    /// Blocks of `padded` that the messages take.
    used: usize,
    /// Of each message without padding, in bytes.
    lengths: Vec<usize>,
}

impl Messages {
    /// Adds a message of `length` bytes and gives the place where it is to be written. What stands there is whatever was
    /// there before.
    pub fn push(&mut self, length: usize) -> &mut [u8] {
        let start = self.used;
        self.used = start + padded_blocks(length);
        if self.padded.len() < self.used {
            self.padded.resize(self.used, [0; BLOCK_BYTES]);
        }
        self.lengths.push(length);
        let blocks = &mut self.padded[start..self.used];
        // Padding reaches into two blocks at most; zeros of a size known beforehand are a few stores instead of a call.
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

    /// Forgets all messages.
    pub fn clear(&mut self) {
        self.used = 0;
        self.lengths.clear();
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// What they take with their padding, in bytes.
    #[must_use]
    pub fn padded_bytes(&self) -> usize {
        self.used * BLOCK_BYTES
    }

    /// Each message in blocks, padding and all: at least one.
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
