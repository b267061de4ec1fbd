//! Descriptors by their outermost function: those that `miniscript` parses, and Bitcoin Core's
//! further ones (`addr`, `raw`: BIP 385; `combo`: BIP 384; `sortedmulti` outermost: BIP 383;
//! `rawtr`: Core's doc/descriptors.md).
//!
//! The text must have passed the outline. Scripts are compiled elsewhere.

use std::str::FromStr;

use bitcoin::address::NetworkUnchecked;
use bitcoin::hex::FromHex;
use bitcoin::{Address, Network, NetworkKind, ScriptBuf};
use miniscript::descriptor::{DescriptorPublicKey, ShInner};
use miniscript::{Descriptor, Error};

use super::{DescriptorError, outline, sanity};
use crate::watching::watch_set::SCRIPT_BYTES_MAX;

/// Most keys of a bare multisig scriptPubKey (Bitcoin Core: `MAX_BARE_MULTISIG_PUBKEYS_NUM`).
const BARE_MULTISIG_KEYS_MAX: usize = 3;

/// A parsed single-path descriptor.
pub(super) enum Form {
    /// `addr(ADDRESS)`: its script and network.
    Address(ScriptBuf, NetworkKind),
    /// `raw(HEX)`.
    Raw(ScriptBuf),
    /// `combo(KEY)`.
    Combo(DescriptorPublicKey),
    /// `rawtr(KEY)`: the output key, untweaked.
    RawTr(DescriptorPublicKey),
    /// `sortedmulti(k,KEY,..)` outermost.
    BareSortedMulti(usize, Vec<DescriptorPublicKey>),
    /// Any descriptor of `miniscript`.
    Miniscript(Box<Descriptor<DescriptorPublicKey>>),
}

impl Form {
    /// Whether rules of miniscript apply.
    pub(super) fn is_miniscript(&self) -> bool {
        match self {
            Self::Miniscript(descriptor) => match &**descriptor {
                Descriptor::Wsh(_) => true,
                Descriptor::Sh(sh) => matches!(sh.as_inner(), ShInner::Wsh(_)),
                Descriptor::Tr(tr) => tr.tap_tree().is_some(),
                _ => false,
            },
            _ => false,
        }
    }

    /// Parses text without checksum and multipath keys, whose outline is sound.
    pub(super) fn parse(body: &str) -> Result<Self, DescriptorError> {
        let (function, arguments) = body
            .strip_suffix(')')
            .and_then(|open| open.split_once('('))
            .ok_or(DescriptorError::Malformed { position: 0, reason: "expected a function, such as wpkh(..)" })?;
        match function {
            "addr" | "raw" if arguments.contains('*') => {
                Err(DescriptorError::Ranged { function: if function == "addr" { "addr" } else { "raw" } })
            }
            "addr" => parse_address(arguments),
            "raw" => parse_raw(arguments).map(Self::Raw),
            "combo" => only_key(body).map(Self::Combo),
            "rawtr" => only_key(body).map(Self::RawTr),
            "sortedmulti" => parse_bare_sortedmulti(body),
            _ => Descriptor::from_str(body).map(|parsed| Self::Miniscript(Box::new(parsed))).map_err(invalid),
        }
    }
}

/// Whether it is `addr(..)`.
pub(super) fn is_address(body: &str) -> bool {
    body.starts_with("addr(")
}

fn parse_address(text: &str) -> Result<Form, DescriptorError> {
    // The cause would quote the text.
    let address = Address::<NetworkUnchecked>::from_str(text).or(Err(DescriptorError::BadAddress))?;
    let network = if address.is_valid_for_network(Network::Bitcoin) { NetworkKind::Main } else { NetworkKind::Test };
    Ok(Form::Address(address.assume_checked().script_pubkey(), network))
}

fn parse_raw(hex: &str) -> Result<ScriptBuf, DescriptorError> {
    if hex.is_empty() {
        return Err(DescriptorError::BadRaw { reason: "expected the hex of a script, found nothing" });
    }
    let bytes = Vec::<u8>::from_hex(hex)
        .or(Err(DescriptorError::BadRaw { reason: "expected an even number of hex digits and nothing else" }))?;
    if bytes.len() > SCRIPT_BYTES_MAX {
        return Err(DescriptorError::BadRaw { reason: "expected at most 10000 bytes: longer scripts are unspendable" });
    }
    Ok(ScriptBuf::from_bytes(bytes))
}

/// The key of a function that takes exactly one argument.
fn only_key(body: &str) -> Result<DescriptorPublicKey, DescriptorError> {
    let reason = "expected exactly one key";
    if body.contains(',') {
        return Err(DescriptorError::InvalidScript { reason });
    }
    outline::keys(body)?.pop().map(|placed| placed.key).ok_or(DescriptorError::InvalidScript { reason })
}

fn parse_bare_sortedmulti(body: &str) -> Result<Form, DescriptorError> {
    // `miniscript` has it only inside sh(), where the same keys are allowed.
    let Descriptor::Sh(sh) = Descriptor::<DescriptorPublicKey>::from_str(&format!("sh({body})")).map_err(invalid)?
    else {
        return Err(DescriptorError::InvalidScript { reason: "expected sortedmulti(k,KEY,..)" });
    };
    match sh.into_inner() {
        ShInner::SortedMulti(multi) if multi.n() <= BARE_MULTISIG_KEYS_MAX => {
            Ok(Form::BareSortedMulti(multi.k(), multi.pks().to_vec()))
        }
        _ => {
            Err(DescriptorError::InvalidScript { reason: "expected at most 3 keys in sortedmulti() outside sh or wsh" })
        }
    }
}

/// The message of `miniscript`, without the parts of the text that it quotes.
fn invalid(error: Error) -> DescriptorError {
    let reason = match error {
        Error::TypeCheck(_) | Error::NonTopLevel(_) | Error::Trailing(_) => {
            "its fragments do not fit together by miniscript's types"
        }
        Error::ContextError(_) => {
            "it breaks a rule of its place: multi() outside tr() and multi_a() inside, or it is too large to be spent"
        }
        Error::CmsTooManyKeys(_) | Error::MultiATooManyKeys(_) => "too many keys in a multisig",
        Error::Threshold(_) | Error::ParseThreshold(_) => "expected a threshold from 1 to the number of its arguments",
        Error::AbsoluteLockTime(_) | Error::RelativeLockTime(_) => "a lock time is out of its range",
        Error::UnknownWrapper(_) | Error::MultiColon(_) | Error::AtOutsideOr(_) => "unknown miniscript wrapper",
        Error::NonStandardBareScript => {
            "outside sh, wsh and tr, expected a key, a key hash or a multisig of up to 3 keys"
        }
        Error::MaxRecursiveDepthExceeded => "its taproot tree or its fragments are nested too deep",
        Error::MultipathDescLenMismatch => "its multipath keys differ in their number of paths",
        Error::ImpossibleSatisfaction => "it can never be spent",
        Error::AnalysisError(analysis) => sanity::fault(&analysis),
        _ => "a function has unexpected arguments",
    };
    DescriptorError::InvalidScript { reason }
}
