//! Uploads a watch set in chunks far below the size limit of a message.

use bitcoin::ScriptBuf;
use rescan_core::report::Refusal;
use rescan_core::request::{GivenKeychain, GivenOutpoint};
use rescan_core::rescan_capnp::{rescan, seal_result, watch_set};
use rescan_core::wire;

use crate::error::{CallError, ScanError};
use crate::request::ScanRequest;

/// A chunk closes at this many bytes. A server's message limit is megabytes; from 64 KiB on, larger chunks are no faster.
const CHUNK_BYTES_MAX: usize = 128 * 1024;

/// The overhead of an entry, in bytes: its pointer and its struct.
const ENTRY_BYTES: usize = 64;

/// Makes an empty watch set.
pub(super) async fn create(rescan: &rescan::Client) -> Result<watch_set::Client, CallError> {
    let response = rescan.new_watch_set_request().send().promise.await?;
    Ok(response.get()?.get_watch_set()?)
}

/// Uploads the request's entries. The watch set is still to be sealed.
pub(super) async fn fill(watch_set: &watch_set::Client, request: &ScanRequest) -> Result<(), CallError> {
    for chunk in chunks(&request.keychains, |keychain: &GivenKeychain| keychain.descriptor.len()) {
        let mut add = watch_set.add_keychains_request();
        let mut list = add.get().init_keychains(length(chunk));
        for (index, keychain) in (0..).zip(chunk) {
            wire::write_given_keychain(keychain, list.reborrow().get(index));
        }
        add.send().await?;
    }
    for chunk in chunks(&request.scripts, |script: &ScriptBuf| script.len()) {
        let mut add = watch_set.add_scripts_request();
        wire::write_scripts(chunk, add.get().init_scripts(length(chunk)));
        add.send().await?;
    }
    for chunk in chunks(&request.outpoints, outpoint_bytes) {
        let mut add = watch_set.add_outpoints_request();
        let mut list = add.get().init_outpoints(length(chunk));
        for (index, outpoint) in (0..).zip(chunk) {
            wire::write_given_outpoint(outpoint, list.reborrow().get(index))?;
        }
        add.send().await?;
    }
    Ok(())
}

/// Seals the watch set: the server derives and compiles it.
///
/// # Errors
///
/// [`ScanError::Refused`] for the first entry that cannot be watched; else the error of the call.
pub(super) async fn seal(watch_set: &watch_set::Client) -> Result<(), ScanError> {
    match ask_seal(watch_set).await? {
        None => Ok(()),
        Some(refusal) => Err(ScanError::Refused(refusal)),
    }
}

async fn ask_seal(watch_set: &watch_set::Client) -> Result<Option<Refusal>, CallError> {
    let response = watch_set.seal_request().send().promise.await?;
    match response.get()?.get_result()?.which() {
        Ok(seal_result::Sealed(_size)) => Ok(None),
        Ok(seal_result::Refused(refusal)) => Ok(Some(wire::read_refusal(refusal?)?)),
        Err(capnp::NotInSchema(found)) => {
            Err(CallError::protocol(format!("unknown result {found} of seal, from a newer server")))
        }
    }
}

/// A given outpoint has a txid of 32 bytes, and a script where its output is known.
fn outpoint_bytes(given: &GivenOutpoint) -> usize {
    given.output.as_ref().map_or(32, |output| output.script_pubkey.len().saturating_add(64))
}

/// A chunk has at most `CHUNK_BYTES_MAX / ENTRY_BYTES` entries.
fn length<T>(chunk: &[T]) -> u32 {
    u32::try_from(chunk.len()).expect("a chunk has a few thousand entries")
}

/// The items in order, in runs of at most [`CHUNK_BYTES_MAX`]; an item that is larger is alone.
fn chunks<T>(mut items: &[T], bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut total = 0usize;
        let fitting = items.iter().position(|item| {
            total = total.saturating_add(bytes(item)).saturating_add(ENTRY_BYTES);
            total > CHUNK_BYTES_MAX
        });
        let (chunk, rest) = items.split_at(fitting.unwrap_or(items.len()).clamp(items.len().min(1), items.len()));
        items = rest;
        (!chunk.is_empty()).then_some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_all_the_items_in_order_and_none_is_too_large() {
        let items: Vec<usize> = (0..5_000).map(|i| i * 37 % 400).collect();
        let chunks: Vec<&[usize]> = chunks(&items, |bytes| *bytes).collect();
        assert!(chunks.len() > 5);
        assert_eq!(chunks.concat(), items);
        for chunk in chunks {
            assert!(chunk.iter().map(|bytes| bytes + ENTRY_BYTES).sum::<usize>() <= CHUNK_BYTES_MAX);
        }
    }

    #[test]
    fn an_item_above_the_bound_is_alone() {
        let items = [1, CHUNK_BYTES_MAX * 2, 3];
        assert_eq!(chunks(&items, |bytes| *bytes).map(<[usize]>::len).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn nothing_is_no_chunk() {
        assert_eq!(chunks(&[] as &[usize], |bytes| *bytes).count(), 0);
    }
}
