//! Positions of a block in the chain and on disk. Newtypes keep them apart.

use std::fmt;

/// The height of a block: its distance from genesis. 32 bits last 80,000 years at ten minutes a
/// block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Height(pub u32);

impl Height {
    /// Genesis.
    pub const GENESIS: Self = Self(0);

    /// The next height; none after the last 32-bit number.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    /// The height as an index into a table of heights.
    #[must_use]
    pub fn to_index(self) -> usize {
        self.0 as usize // u32 fits usize on every platform that can map block files
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Heights from `first` to `last`, both included; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeightRange {
    first: Height,
    last: Height,
}

impl HeightRange {
    /// The heights from `first` to `last`, both included; none if `first` is above `last`.
    #[must_use]
    pub fn new(first: Height, last: Height) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The lowest height.
    #[must_use]
    pub fn first(self) -> Height {
        self.first
    }

    /// The highest height.
    #[must_use]
    pub fn last(self) -> Height {
        self.last
    }

    /// Number of heights.
    #[must_use]
    pub fn count(self) -> u64 {
        u64::from(self.last.0).saturating_sub(u64::from(self.first.0)).saturating_add(1)
    }

    /// The heights, ascending.
    pub fn iter(self) -> impl Iterator<Item = Height> {
        (self.first.0..=self.last.0).map(Height)
    }
}

/// The number in `blkNNNNN.dat`. Bitcoin Core keeps it in a C++ `int` (`CDiskBlockPos::nFile`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileNumber(pub u32);

impl FileNumber {
    /// The file's name in the blocks directory.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("blk{:05}.dat", self.0)
    }
}

impl fmt::Display for FileNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blk{:05}.dat", self.0)
    }
}

/// The bytes of one block in a block file, without the eight bytes of magic and size before it.
///
/// 32 bits suffice for offset and size: Bitcoin Core ends a block file at 128 MiB
/// (`MAX_BLOCKFILE_SIZE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordSpan {
    /// The file.
    pub file: FileNumber,
    /// Offset of the block's first byte from the start of the file.
    pub offset: u32,
    /// The block's size in bytes.
    pub size: u32,
}

impl RecordSpan {
    /// Offset of the byte after the block from the start of the file.
    #[must_use]
    pub fn end(self) -> u64 {
        u64::from(self.offset).saturating_add(u64::from(self.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_counts_both_its_ends() {
        let range = HeightRange::new(Height(3), Height(5)).expect("3 is not above 5");
        assert_eq!(range.count(), 3);
        assert_eq!(range.iter().collect::<Vec<_>>(), [Height(3), Height(4), Height(5)]);
    }

    #[test]
    fn an_inverted_range_is_none() {
        assert_eq!(HeightRange::new(Height(5), Height(4)), None);
    }

    #[test]
    fn all_heights_are_a_range() {
        let range = HeightRange::new(Height(0), Height(u32::MAX)).expect("0 is not above the maximum");
        assert_eq!(range.count(), 1 << 32);
    }
}
