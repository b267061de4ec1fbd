//! Descriptors of a wallet: the output of `listdescriptors`, and the array that `importdescriptors` takes (Bitcoin Core,
//! `src/wallet/rpc/backup.cpp`).

use serde::{Deserialize, Serialize};

/// The output of `listdescriptors`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedDescriptors {
    /// The wallet's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wallet_name: Option<String>,
    /// Its descriptors.
    pub descriptors: Vec<ListedDescriptor>,
}

/// A descriptor with its data, as `listdescriptors` prints it and `importdescriptors` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedDescriptor {
    /// The descriptor, with its checksum.
    pub desc: String,
    /// The time of its creation.
    pub timestamp: Timestamp,
    /// Whether the wallet derives new addresses from it.
    #[serde(default)]
    pub active: bool,
    /// Whether it is for change; absent if it is not active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal: Option<bool>,
    /// The watched indexes; absent if it is not ranged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<IndexRange>,
    /// The first index that the wallet has not revealed; absent if it is not ranged. Older nodes print it as `next` too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_index: Option<u32>,
    /// The label of its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl ListedDescriptor {
    /// Whether both are one descriptor, however its hardened steps are spelled.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.spelling() == other.spelling()
    }

    /// The descriptor in Core's present spelling of hardened steps, without its checksum.
    #[must_use]
    pub fn spelling(&self) -> String {
        self.desc.split('#').next().unwrap_or_default().replace('\'', "h")
    }
}

/// The time of a descriptor's creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Timestamp {
    /// Seconds since 1970; 0 and 1 mean the first block.
    Seconds(i64),
    /// The median time of the node's tip.
    Now(Now),
}

/// The text `now`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Now {
    /// The only one.
    #[serde(rename = "now")]
    Now,
}

/// Indexes of a ranged descriptor. Both ends are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IndexRange {
    /// From the first index to the last.
    Both([u32; 2]),
    /// From 0 to this one.
    End(u32),
}

impl IndexRange {
    /// The first index.
    #[must_use]
    pub fn first(self) -> u32 {
        match self {
            Self::Both([first, _]) => first,
            Self::End(_) => 0,
        }
    }

    /// The last index.
    #[must_use]
    pub fn last(self) -> u32 {
        match self {
            Self::Both([_, last]) | Self::End(last) => last,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_range_and_of_a_time_are_read() {
        let read = |text: &str| serde_json::from_str::<ListedDescriptor>(text).unwrap();
        let listed =
            read(r#"{"desc":"d","timestamp":17,"active":true,"internal":false,"range":[3,9],"next":4,"next_index":4}"#);
        let range = listed.range.unwrap();
        assert_eq!((range.first(), range.last(), listed.next_index), (3, 9, Some(4)));
        assert_eq!(listed.timestamp, Timestamp::Seconds(17));
        let imported = read(r#"{"desc":"d","timestamp":"now","range":9}"#);
        assert_eq!((imported.range.unwrap().first(), imported.range.unwrap().last()), (0, 9));
        assert_eq!(imported.timestamp, Timestamp::Now(Now::Now));
        assert!(!imported.active && imported.internal.is_none());
    }

    #[test]
    fn another_time_than_now_is_refused() {
        assert!(serde_json::from_str::<ListedDescriptor>(r#"{"desc":"d","timestamp":"later"}"#).is_err());
    }
}
