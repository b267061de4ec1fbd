//! Descriptors in JSON: a text, a list of them, or an object that some wallet writes.
//!
//! | object | written by |
//! |---|---|
//! | `descriptors`: a list of entries | Bitcoin Core: `listdescriptors` |
//! | `desc`, `timestamp`, `range`, `next_index`, .. | an entry of that list, and of `importdescriptors`' array |
//! | `descriptor`, `blockheight`, `label` | Specter, Sparrow, Fully Noded: an account map |
//! | `recv_descriptor`, `change_descriptor` | Specter: the backup of a wallet |
//! | `accounts`: a list of `descriptor`, `timestamp`, `receive_index`, `change_index` | Liana: the backup of a wallet |
//! | `descriptor` or `multipath_expansion` | Bitcoin Core: `getdescriptorinfo` |
//!
//! Positions in errors are exact, because nothing is read twice. Unknown members are ignored.

use std::fmt;

use rescan_node::{IndexRange, Timestamp};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::given::{Birthday, GivenDescriptor};
use super::account_map;
use crate::error::DescriptorPosition;

/// The descriptors of a value, in their order, with provisional positions.
pub(in crate::request) struct Form(pub(in crate::request) Vec<GivenDescriptor>);

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyForm)
    }
}

struct AnyForm;

impl<'de> Visitor<'de> for AnyForm {
    type Value = Form;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a descriptor, a list of descriptors, or an object with descriptors")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Form, E> {
        Ok(Form(vec![given(text.trim())]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Form, A::Error> {
        let mut all = Vec::new();
        while let Some(Form(given)) = list.next_element()? {
            all.extend(given);
        }
        Ok(Form(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Form, A::Error> {
        let mut object = Object::default();
        while let Some(member) = map.next_key()? {
            object.read(member, &mut map)?;
        }
        object.descriptors().map(Form).ok_or_else(|| A::Error::custom("an object without descriptors"))
    }
}

/// The members that say something about descriptors.
#[derive(Clone, Copy, serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Member {
    Descriptors,
    Accounts,
    Desc,
    Descriptor,
    MultipathExpansion,
    RecvDescriptor,
    ChangeDescriptor,
    Timestamp,
    Blockheight,
    Active,
    Internal,
    Range,
    NextIndex,
    ReceiveIndex,
    ChangeIndex,
    Label,
    #[serde(other)]
    Other,
}

/// The members of one object.
#[derive(Default)]
struct Object {
    list: Option<Vec<GivenDescriptor>>,
    desc: Option<String>,
    descriptor: Option<String>,
    expansion: Option<Vec<String>>,
    receive: Option<String>,
    change: Option<String>,
    timestamp: Option<Timestamp>,
    height: Option<u32>,
    active: bool,
    internal: Option<bool>,
    range: Option<IndexRange>,
    next_index: Option<u32>,
    /// The highest of the last used or next indexes that Liana writes.
    last_index: Option<u32>,
    label: Option<String>,
}

impl Object {
    fn read<'de, A: MapAccess<'de>>(&mut self, member: Member, map: &mut A) -> Result<(), A::Error> {
        match member {
            Member::Descriptors | Member::Accounts => {
                let Form(list) = map.next_value()?;
                self.list.get_or_insert_default().extend(list);
            }
            Member::Desc => self.desc = Some(map.next_value()?),
            Member::Descriptor => self.descriptor = Some(map.next_value()?),
            Member::MultipathExpansion => self.expansion = Some(map.next_value()?),
            Member::RecvDescriptor => self.receive = Some(map.next_value()?),
            Member::ChangeDescriptor => self.change = Some(map.next_value()?),
            Member::Timestamp => self.timestamp = Some(map.next_value()?),
            Member::Blockheight => self.height = map.next_value()?,
            Member::Active => self.active = map.next_value()?,
            Member::Internal => self.internal = map.next_value()?,
            Member::Range => self.range = map.next_value()?,
            Member::NextIndex => self.next_index = map.next_value()?,
            Member::ReceiveIndex | Member::ChangeIndex => self.last_index = self.last_index.max(map.next_value()?),
            Member::Label => self.label = map.next_value()?,
            Member::Other => {
                let IgnoredAny = map.next_value()?;
            }
        }
        Ok(())
    }

    /// None if no member is a descriptor.
    fn descriptors(self) -> Option<Vec<GivenDescriptor>> {
        let birthday = match (self.timestamp, self.height) {
            (Some(timestamp), _) => timestamp.into(),
            (None, Some(height)) => Birthday::Height(height),
            (None, None) => Birthday::Unknown,
        };
        let is_account_map = self.height.is_some() || self.label.is_some();
        let texts = if let Some(list) = self.list {
            return Some(list);
        } else if let Some(desc) = self.desc {
            vec![desc]
        } else if let Some(receive) = self.receive {
            std::iter::once(receive).chain(self.change).collect()
        } else if let Some(expansion) = self.expansion {
            expansion
        } else if is_account_map {
            account_map::paths(self.descriptor?)
        } else {
            std::iter::once(self.descriptor?).chain(self.change).collect()
        };
        let next_index = self.next_index.and_then(|next| next.checked_sub(1));
        let of = |text: String| GivenDescriptor {
            birthday,
            last_revealed: next_index.max(self.last_index),
            last_watched: self.range.map(IndexRange::last),
            is_active: self.active,
            is_internal: self.internal,
            label: self.label.clone(),
            ..given(text.trim())
        };
        Some(texts.into_iter().map(of).collect())
    }
}

fn given(text: &str) -> GivenDescriptor {
    GivenDescriptor::new(text, DescriptorPosition::Argument(0))
}
