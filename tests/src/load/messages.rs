//! Messages that mean something: at random, and of the largest size.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

use super::behaviour::{Against, Visit};
use super::raw_client::{self as raw, RESCAN, SCAN, Target, WATCH_SET};

/// Messages of one visit.
const MESSAGES_MAX: u32 = 400;

/// A connection on which valid messages come in any order: calls of every method to objects that
/// may or may not be there, finished, released and answered as chance has it.
pub(super) fn random(stream: &mut UnixStream, rng: &mut StdRng, against: &Against<'_>) -> Visit {
    let mut bytes = raw::bootstrap(0);
    for question in 1..rng.random_range(2..MESSAGES_MAX) {
        bytes.extend(random_message(question, rng));
    }
    let mut heard = Vec::new();
    for chunk in bytes.chunks(4 << 10) {
        let deadline = against.deadline.min(Instant::now() + Duration::from_secs(2));
        // It may well be hung up on: many of these break the protocol.
        if raw::write_until(stream, chunk, deadline).is_err() || stream.set_nonblocking(true).is_err() {
            return Ok(());
        }
        let is_over = raw::drain(stream, &mut heard);
        heard.clear();
        if is_over || stream.set_nonblocking(false).is_err() {
            return Ok(());
        }
    }
    if rng.random() {
        raw::drain(stream, &mut heard);
    }
    Ok(())
}

fn random_message(question: u32, rng: &mut StdRng) -> Vec<u8> {
    let earlier = rng.random_range(0..question);
    let target = match rng.random_range(0..4) {
        0 => Target::Promised(earlier),
        1 => Target::Exported(rng.random_range(0..6)),
        _ => Target::Bootstrap(0),
    };
    let is_object = matches!(target, Target::Bootstrap(_));
    match rng.random_range(0..20) {
        0..=2 if is_object => raw::plain(question, target, (RESCAN, 1)),
        3 if is_object => raw::scan(question, target, earlier, rng.random_range(0..4)),
        4 if is_object => raw::blocks(question, target, rng.random_range(0..4)),
        5 | 6 => raw::plain(question, target, (RESCAN, rng.random_range(0..8))),
        7 => raw::add_scripts(question, target, &[&[0x51; 34], &[0x00; 22]]),
        8 | 9 => raw::plain(question, target, (WATCH_SET, rng.random_range(0..5))),
        10 | 11 => raw::plain(question, target, (SCAN, rng.random_range(0..4))),
        12..=14 => raw::finish(earlier, rng.random()),
        15 => raw::rpc_message(|message| {
            let mut release = message.init_release();
            release.set_id(rng.random_range(0..6));
            release.set_reference_count(1);
        }),
        16 | 17 => raw::rpc_message(|message| {
            // The answer to a call of the server's to a sink.
            let mut answer = message.init_return();
            answer.set_answer_id(rng.random_range(0..4));
            answer.init_results();
        }),
        18 => raw::rpc_message(|message| {
            let mut resolve = message.init_resolve();
            resolve.set_promise_id(rng.random_range(0..4));
            resolve.init_cap().set_sender_hosted(rng.random_range(0..4));
        }),
        19 => raw::rpc_message(|message| {
            let mut disembargo = message.init_disembargo();
            raw::address(target, disembargo.reborrow().init_target());
            disembargo.init_context().set_sender_loopback(question);
        }),
        _ => raw::plain(question, Target::Bootstrap(0), (RESCAN, 0)),
    }
}

/// The largest message that is legal, which is answered, and one a word larger, which ends the
/// connection.
pub(super) fn largest(stream: &mut UnixStream, against: &Against<'_>) -> Visit {
    let max = usize::try_from(against.limits.message_bytes_max).unwrap_or(usize::MAX);
    let of_size = |question: u32, words: usize| {
        let frame = raw::add_scripts(question, Target::Promised(1), &[&[]]).len();
        // One script that has all that a message leaves it, the segment table left out.
        let script = vec![0x51; 8 * words + 8 - frame];
        raw::add_scripts(question, Target::Promised(1), &[&script])
    };
    let mut opening = raw::bootstrap(0);
    opening.extend(raw::plain(1, Target::Bootstrap(0), (RESCAN, 1)));
    opening.extend(raw::plain(2, Target::Bootstrap(0), (RESCAN, 0)));
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut heard = Vec::new();
    for (what, bytes) in [("the opening", opening), ("the largest message", of_size(3, max / 8))] {
        match raw::write_until(stream, &bytes, deadline) {
            Ok(written) if written == bytes.len() => {}
            Ok(written) => return Err(format!("{what}: {written} of {} bytes were taken in 20 s", bytes.len())),
            Err(error) => {
                raw::drain(stream, &mut heard);
                return match parting_words(&heard) {
                    // Clients that are gone still count until the server has got round to them.
                    Some(reason) if reason.contains("connections, its limit") => Ok(()),
                    reason => Err(format!("{what}: {error}; the server says {reason:?}")),
                };
            }
        }
    }
    // An answer that names question 3: the server understood the call.
    if !answered(stream, &mut heard, 3, deadline) {
        return Err("the largest message is not answered".to_owned());
    }
    let illegal = of_size(4, max / 8 + 1);
    drop(raw::write_until(stream, &illegal, deadline));
    while Instant::now() < deadline {
        if raw::drain(stream, &mut heard) {
            return Ok(());
        }
    }
    Err(format!("a message of {} bytes, 8 too many, does not end the connection", illegal.len()))
}

/// Why the server hung up.
fn parting_words(mut heard: &[u8]) -> Option<String> {
    use capnp_rpc::rpc_capnp::message;
    while let Ok(read) = capnp::serialize::read_message(&mut heard, Default::default()) {
        let root = read.get_root::<message::Reader<'_>>().ok()?;
        if let Ok(message::Abort(Ok(exception))) = root.which() {
            return exception.get_reason().ok()?.to_string().ok();
        }
    }
    None
}

/// Reads until a question is answered.
fn answered(stream: &mut UnixStream, heard: &mut Vec<u8>, question: u32, deadline: Instant) -> bool {
    use capnp_rpc::rpc_capnp::message;
    while Instant::now() < deadline {
        let is_over = raw::drain(stream, heard);
        let mut rest = heard.as_slice();
        while let Ok(read) = capnp::serialize::read_message(&mut rest, Default::default()) {
            let root = read.get_root::<message::Reader<'_>>();
            if let Ok(Ok(message::Return(Ok(answer)))) = root.map(message::Reader::which)
                && answer.get_answer_id() == question
            {
                return true;
            }
        }
        if is_over {
            return false;
        }
    }
    false
}
