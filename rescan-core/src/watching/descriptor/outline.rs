//! The outline of a descriptor: its functions, their nesting, and its keys.
//!
//! It is one pass over the text with a stack on the heap. All recursive code (the `miniscript`
//! parser, and the drop of its result) then sees only text of bounded depth. Refusals name a
//! function or a position, where the parser would quote the key. The outline does not decide
//! whether the script is valid.

use std::ops::Range;

use miniscript::MiniscriptKey;

use super::placed_key::PlacedKey;
use super::text::shown;
use super::{DescriptorError, NESTING_MAX, TREE_DEPTH_MAX, slip132};

/// Functions of the descriptor language, except those listed below.
const FUNCTIONS: &[&str] = &["pk", "pkh", "wpkh", "sh", "wsh", "tr", "multi", "multi_a", "sortedmulti"];

/// Further fragments of miniscript, which stand inside `wsh` and `tr` only.
const FRAGMENTS: &[&str] = &[
    "pk_k",
    "pk_h",
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

/// Functions that make a whole scriptPubKey, and are allowed only as the outermost one.
const OUTERMOST: &[&str] = &["addr", "raw", "combo", "rawtr"];

/// Functions of Bitcoin Core whose scripts are not derived.
const UNSUPPORTED: &[&str] = &["musig", "sortedmulti_a", "unused"];

/// Length of the longest name above, and of the longest unknown name that is shown.
const NAME_LENGTH_MAX: usize = 13;

/// The keys of a descriptor without checksum, in the order of the text.
///
/// # Errors
///
/// If a function is unknown, unsupported or misplaced, brackets do not match, nesting is too deep,
/// or a key is bad for its place.
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

/// An open bracket.
struct Frame<'a> {
    /// Its function; empty for a brace.
    function: &'a str,
    bracket: u8,
    /// Depth of functions and wrappers, this one included.
    depth: usize,
    /// Depth of braces.
    tree_depth: usize,
    /// Index of the current argument.
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
            self.check_miniscript(token, function, start)?;
        } else if !token.is_empty() || self.open.is_empty() {
            return Err(DescriptorError::Malformed { position, reason: "a brace belongs inside tr(KEY,..)" });
        }
        let (mut depth, mut tree_depth) = self.open.last().map_or((0, 0), |frame| (frame.depth, frame.tree_depth));
        if bracket == b'(' {
            depth = check_depth(depth, wrappers, start)?;
        } else if tree_depth < TREE_DEPTH_MAX {
            tree_depth = tree_depth.saturating_add(1);
        } else {
            return Err(DescriptorError::TooDeep { position, max: TREE_DEPTH_MAX });
        }
        if let Some(frame) = self.open.last_mut() {
            if frame.nested {
                return Err(DescriptorError::Malformed { position, reason: "expected a comma or a closing bracket" });
            }
            frame.nested = true;
        }
        self.open.push(Frame { function, bracket, depth, tree_depth, argument: 0, nested: false });
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
            _ => {
                return Err(DescriptorError::Malformed {
                    position,
                    reason: "a closing bracket without an opening one",
                });
            }
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

    /// Ends a token that is no function: a key, if the function takes one here.
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
        if frame.function == "sh" {
            return Err(DescriptorError::Malformed { position: span.start, reason: "expected a function inside sh()" });
        }
        // Wrappers may precede `0` and `1` too.
        check_depth(frame.depth, token.rsplit_once(':').map_or("", |(wrappers, _)| wrappers), span.start)?;
        let is_key = match frame.function {
            "pk" | "pkh" | "pk_k" | "pk_h" | "wpkh" | "combo" | "rawtr" | "tr" => frame.argument == 0,
            "multi" | "multi_a" | "sortedmulti" => frame.argument > 0,
            _ => false,
        };
        if is_key {
            let placed = self.key(token, span)?;
            self.check_place(&placed)?;
            self.keys.push(placed);
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
        match listed(FUNCTIONS).or_else(|| listed(FRAGMENTS)) {
            Some(_) => Ok(()),
            None => Err(DescriptorError::UnknownFunction { name: shown(function, NAME_LENGTH_MAX), position }),
        }
    }

    /// Checks that fragments and wrappers of miniscript are in a place for them.
    fn check_miniscript(&self, token: &str, function: &str, position: usize) -> Result<(), DescriptorError> {
        let is_miniscript = FRAGMENTS.contains(&function) || token.contains(':');
        let is_place = self.open.iter().any(|frame| matches!(frame.function, "wsh" | "tr"));
        if is_miniscript && !is_place {
            return Err(DescriptorError::MisplacedMiniscript { position });
        }
        Ok(())
    }

    /// A key, with `xpub` or `tpub` in place of a prefix of SLIP 132.
    fn key(&self, token: &str, span: Range<usize>) -> Result<PlacedKey, DescriptorError> {
        let position = span.start;
        let Some((plain, prefix)) = slip132::converted(token) else { return PlacedKey::parse(token, span) };
        let around = self.open.iter().map(|frame| frame.function);
        let is_exact = prefix.is_multisig || self.open.len() == prefix.functions.len();
        if !is_exact || !around.take(prefix.functions.len()).eq(prefix.functions.iter().copied()) {
            let (prefix, expected) = (prefix.name, prefix.descriptor);
            return Err(DescriptorError::OtherFunction { position, prefix, expected });
        }
        let key = PlacedKey::parse(&plain, span)?;
        Ok(PlacedKey { plain: Some(plain), ..key })
    }

    /// Checks that a key is allowed in its place.
    fn check_place(&self, placed: &PlacedKey) -> Result<(), DescriptorError> {
        let (key, position) = (&placed.key, placed.span.start);
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
        Ok(())
    }
}

/// The depth of a function, or of `0` or `1`, and its wrappers, one for each letter.
fn check_depth(above: usize, wrappers: &str, position: usize) -> Result<usize, DescriptorError> {
    let depth = above.saturating_add(wrappers.len()).saturating_add(1);
    if depth > NESTING_MAX { Err(DescriptorError::TooDeep { position, max: NESTING_MAX }) } else { Ok(depth) }
}
