//! The outline of a descriptor: which functions stand where, how deep, and where its keys are.
//!
//! One pass over the text with a stack on the heap. It exists so that everything that recurses (the `miniscript` parser,
//! and the drop of what it built) is only given text of bounded depth, and so that refusals can name a function or a
//! position where the parser would quote the key. It does not decide whether the script is valid.

use std::ops::Range;
use std::str::FromStr;

use bitcoin::bip32::{DerivationPath, Xpub};
use bitcoin::secp256k1::XOnlyPublicKey;
use miniscript::MiniscriptKey;
use miniscript::descriptor::{DescriptorPublicKey, Wildcard};

use super::text::shown;
use super::{DescriptorError, NESTING_MAX, PATHS_MAX};

/// Functions of the descriptor language and fragments of miniscript, other than those listed further below.
const FUNCTIONS: &[&str] = &[
    "pk",
    "pkh",
    "wpkh",
    "sh",
    "wsh",
    "tr",
    "multi",
    "multi_a",
    "sortedmulti",
    "pk_k",
    "pk_h",
    "expr_raw_pkh",
    "older",
    "after",
    "sha256",
    "hash256",
    "ripemd160",
    "hash160",
    "andor",
    "and_v",
    "and_b",
    "and_n",
    "or_b",
    "or_c",
    "or_d",
    "or_i",
    "thresh",
];

/// Functions that make a whole scriptPubKey and fit nowhere else.
const OUTERMOST: &[&str] = &["addr", "raw", "combo", "rawtr"];

/// Functions of Bitcoin Core that scripts are not derived of.
const UNSUPPORTED: &[&str] = &["musig", "sortedmulti_a", "unused"];

/// The longest name among all of these, and so the longest unknown one that is shown.
const NAME_LENGTH_MAX: usize = 13;

/// The longest derivation that an extended key can record (BIP 32: one byte of depth).
const BIP32_DEPTH_MAX: usize = 255;

/// A key as it stands in the text.
#[derive(Debug)]
pub(super) struct PlacedKey {
    /// Where.
    pub span: Range<usize>,
    /// What it is.
    pub key: DescriptorPublicKey,
}

/// The keys of a descriptor without checksum, in the order of the text.
///
/// # Errors
///
/// If a function is unknown, unsupported or misplaced, brackets do not match, nesting is too deep, or a key is bad for
/// its place.
pub(super) fn keys(body: &str) -> Result<Vec<PlacedKey>, DescriptorError> {
    let mut outline = Outline { body, open: Vec::new(), keys: Vec::new(), token_start: 0, closed: false };
    for (position, byte) in body.bytes().enumerate() {
        match byte {
            b'(' | b'{' => outline.open(position, byte)?,
            b',' => outline.next_argument(position)?,
            b')' | b'}' => outline.close(position, byte)?,
            _ => {}
        }
    }
    outline.finish()
}

/// How many single-path descriptors the text with these keys stands for.
///
/// # Errors
///
/// If multipath keys differ in their number of paths, or have too many.
pub(super) fn path_count(keys: &[PlacedKey]) -> Result<usize, DescriptorError> {
    let mut multipath = keys.iter().filter(|placed| placed.key.is_multipath());
    let Some(first) = multipath.next() else { return Ok(1) };
    let expected = first.key.num_der_paths();
    if expected > PATHS_MAX {
        return Err(DescriptorError::TooManyPaths { position: first.span.start, found: expected, max: PATHS_MAX });
    }
    for placed in multipath {
        let found = placed.key.num_der_paths();
        if found != expected {
            return Err(DescriptorError::PathCountMismatch { position: placed.span.start, expected, found });
        }
    }
    Ok(expected)
}

/// A bracket that is open.
struct Frame<'a> {
    /// The function it belongs to; empty for a brace.
    function: &'a str,
    bracket: u8,
    /// Functions, braces and wrappers from outermost down to this one.
    depth: usize,
    /// Which argument is being read.
    argument: usize,
    /// Whether that argument is itself a function or a brace.
    nested: bool,
}

struct Outline<'a> {
    body: &'a str,
    open: Vec<Frame<'a>>,
    keys: Vec<PlacedKey>,
    token_start: usize,
    /// Whether the outermost function has ended.
    closed: bool,
}

impl<'a> Outline<'a> {
    fn open(&mut self, position: usize, bracket: u8) -> Result<(), DescriptorError> {
        let start = self.token_start;
        let token = self.token(position);
        let (wrappers, function) = token.rsplit_once(':').unwrap_or(("", token));
        if bracket == b'(' {
            self.check_function(function, start)?;
        } else if !token.is_empty() || self.open.is_empty() {
            return Err(DescriptorError::Malformed { position, reason: "a brace belongs inside tr(KEY,..)" });
        }
        let above = self.open.last().map_or(0, |frame| frame.depth);
        let depth = above.saturating_add(wrappers.len()).saturating_add(1);
        if depth > NESTING_MAX {
            return Err(DescriptorError::TooDeep { position: start, max: NESTING_MAX });
        }
        if let Some(frame) = self.open.last_mut() {
            if frame.nested {
                return Err(DescriptorError::Malformed { position, reason: "expected a comma or a closing bracket" });
            }
            frame.nested = true;
        }
        self.open.push(Frame { function, bracket, depth, argument: 0, nested: false });
        self.token_start = position.saturating_add(1);
        Ok(())
    }

    fn next_argument(&mut self, position: usize) -> Result<(), DescriptorError> {
        self.end_token(position)?;
        let Some(frame) = self.open.last_mut() else {
            return Err(DescriptorError::Malformed { position, reason: "a comma outside any function" });
        };
        frame.argument = frame.argument.saturating_add(1);
        frame.nested = false;
        Ok(())
    }

    fn close(&mut self, position: usize, bracket: u8) -> Result<(), DescriptorError> {
        self.end_token(position)?;
        let expected = if bracket == b')' { b'(' } else { b'{' };
        match self.open.pop() {
            Some(frame) if frame.bracket == expected => {}
            _ => return Err(DescriptorError::Malformed { position, reason: "a closing bracket that opens nowhere" }),
        }
        self.closed = self.open.is_empty();
        Ok(())
    }

    fn finish(self) -> Result<Vec<PlacedKey>, DescriptorError> {
        let position = self.body.len();
        if !self.open.is_empty() {
            return Err(DescriptorError::Malformed { position, reason: "expected a closing bracket, found the end" });
        }
        if !self.closed {
            return Err(DescriptorError::Malformed { position: 0, reason: "expected a function, such as wpkh(..)" });
        }
        if self.token_start != position {
            return Err(DescriptorError::Malformed {
                position: self.token_start,
                reason: "expected the end after the outermost function",
            });
        }
        Ok(self.keys)
    }

    /// Ends a token that is no function: a key where the function takes one in this place.
    fn end_token(&mut self, position: usize) -> Result<(), DescriptorError> {
        let span = self.token_start..position;
        let token = self.token(position);
        self.token_start = position.saturating_add(1);
        let Some(frame) = self.open.last() else { return Ok(()) };
        if frame.nested {
            if token.is_empty() {
                return Ok(());
            }
            return Err(DescriptorError::Malformed { position: span.start, reason: "expected a comma or a bracket" });
        }
        // Wrappers may stand before `0` and `1` too.
        let wrappers = token.rsplit_once(':').map_or(0, |(wrappers, _)| wrappers.len());
        if frame.depth.saturating_add(wrappers) > NESTING_MAX {
            return Err(DescriptorError::TooDeep { position: span.start, max: NESTING_MAX });
        }
        let is_key = match frame.function {
            "pk" | "pkh" | "pk_k" | "pk_h" | "wpkh" | "combo" | "rawtr" | "tr" => frame.argument == 0,
            "multi" | "multi_a" | "sortedmulti" => frame.argument > 0,
            _ => false,
        };
        if is_key {
            let key = parse_key(token, span.start)?;
            self.check_key(&key, span.start)?;
            self.keys.push(PlacedKey { span, key });
        }
        Ok(())
    }

    fn token(&self, end: usize) -> &'a str {
        self.body.get(self.token_start..end).unwrap_or_default()
    }

    fn check_function(&self, function: &str, position: usize) -> Result<(), DescriptorError> {
        let listed = |names: &[&'static str]| names.iter().find(|name| **name == function).copied();
        if self.closed {
            let reason = "expected the end after the outermost function";
            return Err(DescriptorError::Malformed { position, reason });
        }
        if let Some(function) = listed(UNSUPPORTED) {
            return Err(DescriptorError::Unsupported { function, position });
        }
        if let Some(function) = listed(OUTERMOST) {
            return if self.open.is_empty() {
                Ok(())
            } else {
                Err(DescriptorError::NotOutermost { function, position })
            };
        }
        match listed(FUNCTIONS) {
            Some(_) => Ok(()),
            None => Err(DescriptorError::UnknownFunction { name: shown(function, NAME_LENGTH_MAX), position }),
        }
    }

    /// Checks what a key may be in the place where it stands.
    fn check_key(&self, key: &DescriptorPublicKey, position: usize) -> Result<(), DescriptorError> {
        let inside = |names: &[&'static str]| {
            names.iter().find(|name| self.open.iter().any(|frame| frame.function == **name)).copied()
        };
        if key.is_uncompressed()
            && let Some(function) = inside(&["wpkh", "wsh", "tr", "rawtr"])
        {
            return Err(DescriptorError::UncompressedKey { position, function });
        }
        if key.is_x_only_key() && inside(&["tr", "rawtr"]).is_none() {
            return Err(DescriptorError::XOnlyKey { position });
        }
        let wildcard = match key {
            DescriptorPublicKey::Single(_) => return Ok(()),
            DescriptorPublicKey::XPub(xpub) => xpub.wildcard,
            DescriptorPublicKey::MultiXPub(xpub) => xpub.wildcard,
        };
        if wildcard == Wildcard::Hardened || key.has_hardened_step() {
            return Err(DescriptorError::Hardened { position });
        }
        if depth_of_children(key) > BIP32_DEPTH_MAX {
            return Err(DescriptorError::BadKey { position, reason: "its derivation is deeper than 255 levels" });
        }
        Ok(())
    }
}

/// How deep below its master key the keys lie that this one stands for.
fn depth_of_children(key: &DescriptorPublicKey) -> usize {
    let (depth, steps) = match key {
        DescriptorPublicKey::Single(_) => return 0,
        DescriptorPublicKey::XPub(xpub) => (xpub.xkey.depth, xpub.derivation_path.len()),
        DescriptorPublicKey::MultiXPub(xpub) => {
            let steps = xpub.derivation_paths.paths().iter().map(DerivationPath::len).max();
            (xpub.xkey.depth, steps.unwrap_or(0))
        }
    };
    usize::from(depth).saturating_add(steps).saturating_add(usize::from(key.has_wildcard()))
}

fn parse_key(token: &str, position: usize) -> Result<DescriptorPublicKey, DescriptorError> {
    // The parser's own error is dropped for the safety promise of this module's errors.
    match DescriptorPublicKey::from_str(token) {
        Ok(key) => Ok(key),
        Err(_) => Err(DescriptorError::BadKey { position, reason: fault(token) }),
    }
}

/// What is wrong with a key that does not parse.
fn fault(token: &str) -> &'static str {
    if token.is_empty() {
        return "expected a key, found nothing";
    }
    let key = if token.starts_with('[') {
        match token.split_once(']') {
            Some((_, key)) if XOnlyPublicKey::from_str(key).is_ok() || Xpub::from_str(key).is_ok() => {
                return "expected its origin as [fingerprint/path], the fingerprint being 8 hex digits";
            }
            Some((_, key)) => key,
            None => return "expected its origin to end with ]",
        }
    } else {
        token
    };
    let (base, path) = key.split_once('/').unwrap_or((key, ""));
    match base.get(1..4) {
        Some("pub") if !base.starts_with(['x', 't']) => {
            "its prefix is one of SLIP 132; convert it to xpub or tpub, which descriptors use"
        }
        Some("pub") if Xpub::from_str(base).is_err() => "the extended key does not decode; a character is wrong",
        Some("pub") if path.contains('*') && !path.ends_with("/*") && path != "*" => {
            "expected * as the last step of its path only"
        }
        Some("pub") => "its origin or derivation path does not parse",
        _ => "expected an extended public key, or 66, 130 or (in taproot) 64 hex digits of a point on the curve",
    }
}
