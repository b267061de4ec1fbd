//! Reads that go wrong on purpose: a fault armed at an offset of a file, met by whoever reads there.
//!
//! Faults are told apart by the file's device and inode, so that tests that run at the same time do not meet each
//! other's. What a fault does not touch is what the disk says.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The file seems to end at the offset.
    Ends,
    /// A read across the offset stops there, as any read may: what asks again gets the rest.
    Partial,
    /// A read of the byte at the offset fails with `EIO`.
    Fails,
    /// From the offset on, a read gives zeros: what is there was not yet written.
    Unwritten,
    /// A read gives another byte at the offset.
    Flipped,
}

impl Fault {
    pub(crate) const ALL: [Self; 5] = [Self::Ends, Self::Partial, Self::Fails, Self::Unwritten, Self::Flipped];
}

/// How often it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Often {
    /// The first read that meets it.
    Once,
    /// Every one.
    Always,
}

#[derive(Debug)]
struct Plan {
    fault: Fault,
    at: u64,
    often: Often,
    met: u32,
}

static PLANS: Mutex<BTreeMap<(u64, u64), Plan>> = Mutex::new(BTreeMap::new());

fn plans() -> MutexGuard<'static, BTreeMap<(u64, u64), Plan>> {
    PLANS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// A fault that waits to be met, until it is dropped.
#[derive(Debug)]
pub(crate) struct Armed((u64, u64));

impl Armed {
    /// One fault at an offset of the file at `path`, in place of any other in that file.
    pub(crate) fn at(path: &Path, at: u64, fault: Fault, often: Often) -> Self {
        let identity = identity(&fs::metadata(path).expect("the file is there"));
        plans().insert(identity, Plan { fault, at, often, met: 0 });
        Self(identity)
    }

    /// How many reads have met it.
    pub(crate) fn met(&self) -> u32 {
        plans().get(&self.0).map_or(0, |plan| plan.met)
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        plans().remove(&self.0);
    }
}

/// What becomes of a read instead of what would; none where it meets no fault.
pub(super) fn meet(file: &File, buffer: &mut [u8], offset: u64) -> Option<io::Result<usize>> {
    let mut plans = plans();
    if plans.is_empty() {
        return None;
    }
    let plan = plans.get_mut(&identity(&file.metadata().ok()?))?;
    let end = offset + buffer.len() as u64;
    let meets = match plan.fault {
        Fault::Ends | Fault::Unwritten => plan.at < end,
        Fault::Partial => offset < plan.at && plan.at < end,
        Fault::Fails | Fault::Flipped => (offset..end).contains(&plan.at),
    };
    if !meets || (plan.often == Often::Once && plan.met > 0) {
        return None;
    }
    plan.met += 1;
    let before = usize::try_from(plan.at.saturating_sub(offset)).expect("a buffer is in memory");
    let read = |buffer: &mut [u8]| file.read_at(buffer, offset);
    Some(match plan.fault {
        Fault::Ends if before == 0 => Ok(0),
        Fault::Ends | Fault::Partial => read(&mut buffer[..before]),
        Fault::Fails => Err(io::Error::from_raw_os_error(libc::EIO)),
        Fault::Unwritten => read(buffer).inspect(|&count| buffer[before.min(count)..count].fill(0)),
        Fault::Flipped => read(buffer).inspect(|&count| {
            buffer[..count].get_mut(before).into_iter().for_each(|byte| *byte ^= 1 << (plan.at % 8));
        }),
    })
}
