//! Injected read faults: a fault armed at an offset of a file hits every read there.
//!
//! Faults are keyed by the file's device and inode, so concurrent tests do not hit each other's. All other bytes are read
//! from the disk.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The file appears to end at the offset.
    Ends,
    /// A read across the offset stops there, as any read may; a second read returns the rest.
    Partial,
    /// A read of the byte at the offset fails with `EIO`.
    Fails,
    /// From the offset on, a read returns zeros, as before the bytes are written.
    Unwritten,
    /// A read returns another byte at the offset.
    Flipped,
}

impl Fault {
    pub(crate) const ALL: [Self; 5] = [Self::Ends, Self::Partial, Self::Fails, Self::Unwritten, Self::Flipped];
}

/// How often a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Often {
    /// Only the first read.
    Once,
    /// Every read.
    Always,
}

#[derive(Debug)]
struct Plan {
    fault: Fault,
    at: u64,
    often: Often,
    hits: u32,
}

static PLANS: Mutex<BTreeMap<(u64, u64), Plan>> = Mutex::new(BTreeMap::new());

fn plans() -> MutexGuard<'static, BTreeMap<(u64, u64), Plan>> {
    PLANS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// An armed fault; disarmed when dropped.
#[derive(Debug)]
pub(crate) struct Armed((u64, u64));

impl Armed {
    /// Arms one fault at an offset of the file at `path`, and replaces any other in that file.
    pub(crate) fn at(path: &Path, at: u64, fault: Fault, often: Often) -> Self {
        let identity = identity(&fs::metadata(path).expect("the file exists"));
        plans().insert(identity, Plan { fault, at, often, hits: 0 });
        Self(identity)
    }

    /// The number of reads that it hit.
    pub(crate) fn hits(&self) -> u32 {
        plans().get(&self.0).map_or(0, |plan| plan.hits)
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        plans().remove(&self.0);
    }
}

/// The result of a read that hits a fault; none if it hits no fault.
pub(super) fn inject(file: &File, buffer: &mut [u8], offset: u64) -> Option<io::Result<usize>> {
    let mut plans = plans();
    if plans.is_empty() {
        return None;
    }
    let plan = plans.get_mut(&identity(&file.metadata().ok()?))?;
    let end = offset + buffer.len() as u64;
    let is_hit = match plan.fault {
        Fault::Ends | Fault::Unwritten => plan.at < end,
        Fault::Partial => offset < plan.at && plan.at < end,
        Fault::Fails | Fault::Flipped => (offset..end).contains(&plan.at),
    };
    if !is_hit || (plan.often == Often::Once && plan.hits > 0) {
        return None;
    }
    plan.hits += 1;
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
