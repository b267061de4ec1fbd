//! Written messages are read back unchanged; other messages are an error and never a panic.
#![expect(clippy::unwrap_used, reason = "tests")]

mod any;
mod hostile;
mod round_trips;

use capnp::message::{Builder, ReaderOptions};
use capnp::traits::Owned;

use crate::report::{FailureKind, RefusalReason};

/// Writes a message of type `T`, passes it through its flat form, and reads the copy with `read`.
fn through_a_message<T: Owned, R>(write: impl FnOnce(T::Builder<'_>), read: impl FnOnce(T::Reader<'_>) -> R) -> R {
    let mut message = Builder::new_default();
    write(message.init_root::<T::Builder<'_>>());
    let flat = capnp::serialize::write_message_to_words(&message);
    let message = capnp::serialize::read_message_from_flat_slice(&mut flat.as_slice(), ReaderOptions::new()).unwrap();
    read(message.get_root::<T::Reader<'_>>().unwrap())
}

#[test]
fn every_reason_and_kind_of_the_schema_has_a_distinct_name() {
    let reasons = (0..).map_while(|number| crate::rescan_capnp::RefusalReason::try_from(number).ok()).count();
    let kinds = (0..).map_while(|number| crate::rescan_capnp::FailureKind::try_from(number).ok()).count();
    assert_eq!((RefusalReason::KNOWN.len(), FailureKind::KNOWN.len()), (reasons, kinds));
    let mut names: Vec<_> = RefusalReason::KNOWN.iter().map(|reason| reason.name()).collect();
    names.extend(FailureKind::KNOWN.iter().map(|kind| kind.name()));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), reasons + kinds);
}
