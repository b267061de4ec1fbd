//! A client that writes the transport's messages itself, which lets it break the protocol as no
//! library can.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use capnp::message::{Builder, HeapAllocator};
use capnp::serialize::write_message_to_words;
use capnp::traits::{HasTypeId, ImbueMut};
use capnp_rpc::rpc_capnp::{message, message_target, payload};
use rescan_core::rescan_capnp::{block_sink, report_sink, rescan, scan as scan_capnp, watch_set};

/// The target of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// The object that an earlier call returns, in its first pointer.
    Promised(u32),
    /// The result of the bootstrap call.
    Bootstrap(u32),
    /// The server's export with this number.
    Exported(u32),
}

/// Interfaces of the server's objects.
pub(super) const RESCAN: u64 = rescan::Client::TYPE_ID;
pub(super) const WATCH_SET: u64 = watch_set::Client::TYPE_ID;
pub(super) const SCAN: u64 = scan_capnp::Client::TYPE_ID;

/// Room for all but the largest messages.
const USUAL_WORDS: u32 = 64;

/// A message of the transport.
pub(super) fn rpc_message(fill: impl FnOnce(message::Builder<'_>)) -> Vec<u8> {
    rpc_message_of(USUAL_WORDS, fill)
}

/// The same in one segment, if it has no more words.
fn rpc_message_of(words: u32, fill: impl FnOnce(message::Builder<'_>)) -> Vec<u8> {
    let mut built = Builder::new(HeapAllocator::new().first_segment_words(words));
    fill(built.init_root());
    write_message_to_words(&built)
}

/// Asks for the bootstrap object.
pub(super) fn bootstrap(question: u32) -> Vec<u8> {
    rpc_message(|message| message.init_bootstrap().set_question_id(question))
}

/// A call.
fn call(
    question: u32,
    target: Target,
    (interface, method): (u64, u16),
    words: u32,
    params: impl FnOnce(payload::Builder<'_>),
) -> Vec<u8> {
    rpc_message_of(words, |message| {
        let mut call = message.init_call();
        call.set_question_id(question);
        call.set_interface_id(interface);
        call.set_method_id(method);
        address(target, call.reborrow().init_target());
        params(call.init_params());
    })
}

/// Writes the target of a message.
pub(super) fn address(target: Target, mut builder: message_target::Builder<'_>) {
    match target {
        Target::Exported(id) => builder.set_imported_cap(id),
        Target::Bootstrap(question) => builder.init_promised_answer().set_question_id(question),
        Target::Promised(question) => {
            let mut promised = builder.init_promised_answer();
            promised.set_question_id(question);
            promised.init_transform(1).get(0).set_get_pointer_field(0);
        }
    }
}

/// Writes a `Finish` for a call.
pub(super) fn finish(question: u32, releases: bool) -> Vec<u8> {
    rpc_message(|message| {
        let mut finish = message.init_finish();
        finish.set_question_id(question);
        finish.set_release_result_caps(releases);
    })
}

/// A placeholder for a capability while a message is written; the message's capability table
/// defines it on the wire.
struct Placeholder;

impl block_sink::Server for Placeholder {}
impl report_sink::Server for Placeholder {}
impl watch_set::Server for Placeholder {}

/// Calls `Rescan.blocks` for the whole chain, with the client's capability `sink`.
pub(super) fn blocks(question: u32, target: Target, sink: u32) -> Vec<u8> {
    call(question, target, (RESCAN, 3), USUAL_WORDS, |mut params| {
        params.reborrow().init_cap_table(1).get(0).set_sender_hosted(sink);
        let mut table = Vec::new();
        let mut content = params.reborrow().get_content();
        content.imbue_mut(&mut table);
        let mut blocks: rescan::blocks_params::Builder<'_> = content.init_as();
        blocks.reborrow().init_range().init_start().set_height(0);
        blocks.set_sink(capnp_rpc::new_client(Placeholder));
    })
}

/// Calls `Rescan.scan` for the whole chain, with the watch set that the call `watch_set` returns.
pub(super) fn scan(question: u32, target: Target, watch_set: u32, sink: u32) -> Vec<u8> {
    call(question, target, (RESCAN, 2), USUAL_WORDS, |mut params| {
        let mut descriptors = params.reborrow().init_cap_table(2);
        let mut answer = descriptors.reborrow().get(0).init_receiver_answer();
        answer.set_question_id(watch_set);
        answer.init_transform(1).get(0).set_get_pointer_field(0);
        descriptors.get(1).set_sender_hosted(sink);
        let mut table = Vec::new();
        let mut content = params.reborrow().get_content();
        content.imbue_mut(&mut table);
        let mut scan: rescan::scan_params::Builder<'_> = content.init_as();
        scan.set_watch_set(capnp_rpc::new_client(Placeholder));
        scan.reborrow().init_request().init_range().init_start().set_height(0);
        scan.set_sink(capnp_rpc::new_client(Placeholder));
    })
}

/// Calls `WatchSet.addScripts`.
pub(super) fn add_scripts(question: u32, target: Target, scripts: &[&[u8]]) -> Vec<u8> {
    let bytes: usize = scripts.iter().map(|script| script.len() + 16).sum();
    let words = USUAL_WORDS + u32::try_from(bytes / 8).unwrap_or(u32::MAX >> 1);
    call(question, target, (WATCH_SET, 1), words, |params| {
        let params: watch_set::add_scripts_params::Builder<'_> = params.get_content().init_as();
        let mut list = params.init_scripts(u32::try_from(scripts.len()).unwrap_or(u32::MAX));
        (0..).zip(scripts).for_each(|(index, script)| list.set(index, script));
    })
}

/// A call whose parameters are all left as they are by default.
pub(super) fn plain(question: u32, target: Target, method: (u64, u16)) -> Vec<u8> {
    call(question, target, method, USUAL_WORDS, |_| {})
}

/// Connects and sends; reads nothing.
pub(super) fn connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    stream.set_write_timeout(Some(Duration::from_millis(200)))?;
    Ok(stream)
}

/// Writes as much as the server takes before `deadline`; how much that is.
pub(super) fn write_until(stream: &mut UnixStream, bytes: &[u8], deadline: Instant) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() && Instant::now() < deadline {
        match stream.write(bytes.get(written..).unwrap_or_default()) {
            Ok(count) => written += count,
            Err(error) if is_patience(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// Reads the available bytes; returns whether the server has hung up.
pub(super) fn drain(stream: &mut UnixStream, into: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 64 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(count) => into.extend(buffer.get(..count).unwrap_or_default()),
            Err(error) if is_patience(&error) => return false,
            Err(_gone) => return true,
        }
    }
}

/// Whether a socket only took too long.
pub(super) fn is_patience(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
