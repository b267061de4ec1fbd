//! A descriptor as a person or a wallet gave it, before it is parsed.

use std::fmt;

use rescan_node::{ListedDescriptor, Timestamp};

use crate::error::DescriptorPosition;

/// A descriptor, and everything that its source says about it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct GivenDescriptor {
    /// The text. It may still hold a private key, so no message repeats it.
    pub(crate) text: String,
    /// The beginning of its history.
    pub(crate) birthday: Birthday,
    /// The highest index that its wallet has revealed.
    pub(crate) last_revealed: Option<u32>,
    /// The highest index that its wallet watches.
    pub(crate) last_watched: Option<u32>,
    /// Whether its wallet derives new addresses from it.
    pub(crate) is_active: bool,
    /// Whether it is for change, if its wallet says so.
    pub(crate) is_internal: Option<bool>,
    /// Its label.
    pub(crate) label: Option<String>,
    /// Its place, for messages.
    pub(crate) position: DescriptorPosition,
}

/// The beginning of a descriptor's history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Birthday {
    /// Unknown: the first block.
    #[default]
    Unknown,
    /// `"timestamp": "now"`: no earlier than that of its companions.
    Now,
    /// Seconds since 1970.
    Time(u32),
    /// A block height.
    Height(u32),
}

impl GivenDescriptor {
    /// A descriptor of which nothing else is known.
    pub(crate) fn new(text: impl Into<String>, position: DescriptorPosition) -> Self {
        Self {
            text: text.into(),
            birthday: Birthday::Unknown,
            last_revealed: None,
            last_watched: None,
            is_active: false,
            is_internal: None,
            label: None,
            position,
        }
    }

    /// The descriptors of `--descriptor` options.
    pub(crate) fn arguments(texts: &[String]) -> Vec<Self> {
        let position = DescriptorPosition::Argument;
        (0..).zip(texts).map(|(number, text)| Self::new(text, position(number))).collect()
    }

    /// A descriptor that `listdescriptors` printed.
    pub(crate) fn listed(listed: ListedDescriptor, position: DescriptorPosition) -> Self {
        let ListedDescriptor { desc, timestamp, active, internal, range, next_index, label } = listed;
        Self {
            birthday: timestamp.into(),
            last_revealed: next_index.and_then(|next| next.checked_sub(1)),
            last_watched: range.map(rescan_node::IndexRange::last),
            is_active: active,
            is_internal: internal,
            label,
            ..Self::new(desc, position)
        }
    }
}

impl From<Timestamp> for Birthday {
    /// Bitcoin Core's wallets write 0 and 1 for the first block.
    fn from(timestamp: Timestamp) -> Self {
        match timestamp {
            Timestamp::Seconds(..=1) => Self::Unknown,
            // Later than any block.
            Timestamp::Seconds(seconds) => Self::Time(u32::try_from(seconds).unwrap_or(u32::MAX)),
            Timestamp::Now(_) => Self::Now,
        }
    }
}

impl fmt::Debug for GivenDescriptor {
    /// Without the text and the label.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenDescriptor")
            .field("position", &self.position)
            .field("birthday", &self.birthday)
            .field("last_revealed", &self.last_revealed)
            .field("last_watched", &self.last_watched)
            .finish_non_exhaustive()
    }
}
