//! The height in a block's coinbase: the first push of its input script (BIP34).
//!
//! It is a claim that binds only from
//! [`Network::bip34_height`](super::network::Network::bip34_height) on. It places runs of blocks
//! whose ancestors are not on disk.

use crate::blocks::walk::HEADER_BYTES;
use crate::position::Height;

/// Bytes from a block's start that suffice to find the height: header, transaction count, version,
/// marker and flag, input count, prevout, script length and a push of up to five bytes, with
/// three-byte counts.
pub const COINBASE_HEIGHT_PREFIX_BYTES: usize = 160;

/// `OP_1`: the sixteen opcodes from here on push the numbers 1 to 16, and so encode heights 1 to
/// 16.
const OP_1: u8 = 0x51;

/// The height in the coinbase of the block that starts with `prefix`, without obfuscation; none if
/// there is no such number.
#[must_use]
pub fn coinbase_height(prefix: &[u8]) -> Option<Height> {
    let after_header = prefix.get(HEADER_BYTES..)?;
    let after_count = skip_compact_size(after_header)?;
    let after_version = after_count.get(4..)?;
    // A coinbase without inputs does not exist: a zero here is the marker of BIP144.
    let inputs = match after_version {
        [0, 1, rest @ ..] => rest,
        other => other,
    };
    let script = skip_compact_size(skip_compact_size(inputs)?.get(36..)?)?;
    match *script {
        [opcode @ OP_1..=0x60, ..] => Some(Height(u32::from(opcode - OP_1 + 1))),
        [size @ 1..=5, ref rest @ ..] => script_number(rest.get(..usize::from(size))?),
        _ => None,
    }
}

/// A script number that is not negative and minimally encoded, as BIP34 requires.
fn script_number(bytes: &[u8]) -> Option<Height> {
    let (&last, low) = bytes.split_last()?;
    let is_minimal = last & 0x7f != 0 || low.last().is_some_and(|byte| byte & 0x80 != 0);
    if last & 0x80 != 0 || !is_minimal {
        return None;
    }
    let number = bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    u32::try_from(number).ok().map(Height)
}

fn skip_compact_size(bytes: &[u8]) -> Option<&[u8]> {
    match bytes.first()? {
        0xfd => bytes.get(3..),
        0xfe => bytes.get(5..),
        0xff => bytes.get(9..),
        _ => bytes.get(1..),
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::script::Builder;
    use proptest::prelude::*;

    use super::*;

    fn block_prefix(script: &[u8], has_witness: bool) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes.extend([0xfd, 0x10, 0x0e, 2, 0, 0, 0]);
        if has_witness {
            bytes.extend([0, 1]);
        }
        bytes.push(1);
        bytes.extend([0; 32]);
        bytes.extend([0xff; 4]);
        bytes.push(u8::try_from(script.len()).expect("a short script"));
        bytes.extend(script);
        bytes
    }

    proptest! {
        #[test]
        fn the_height_is_the_number_that_the_bitcoin_crate_pushed(
            height in prop_oneof![1u32..200, any::<u32>().prop_map(|n| n >> 1)], has_witness: bool
        ) {
            let script = Builder::new().push_int(i64::from(height)).push_slice([7; 3]).into_script();
            let prefix = block_prefix(script.as_bytes(), has_witness);
            prop_assert_eq!(coinbase_height(&prefix), Some(Height(height)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = coinbase_height(&bytes);
        }
    }

    #[test]
    fn a_malformed_height_is_none() {
        for script in [&[][..], &[0], &[1, 0x80], &[2, 5, 0], &[6, 1, 1, 1, 1, 1, 1], &[5, 1, 1, 1, 1, 1], &[3, 1]] {
            assert_eq!(coinbase_height(&block_prefix(script, true)), None, "{script:?}");
        }
    }
}
