//! What `scan` and `follow` look for, and from where on: the options that both have.

use clap::{Args, ValueEnum};
use rescan_client::bitcoin::{Amount, OutPoint, ScriptBuf, TxOut};
use rescan_client::{GAP_LIMIT_DEFAULT, GAP_LIMIT_MAX, GivenOutpoint, Verify};

use super::{BLOCKS, WATCHED};
use crate::output::units;

/// Places in a help, for options of a command's own that follow one of these; `clap` counts options from 0, and of two in
/// one place the name decides.
pub(super) const AFTER_GAP_LIMIT: usize = 1;
pub(super) const AFTER_BIRTHDAY: usize = 4;

/// What to look for, and from where on.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// An output descriptor with public keys only; can be given more than once
    ///
    /// In what is printed, `descriptor` is its position from 0; of a multipath one (<0;1>), `branch` tells the paths apart.
    #[arg(long = "descriptor", value_name = "DESC", help_heading = WATCHED)]
    pub(crate) descriptors: Vec<String>,
    /// How many indexes of a ranged descriptor beyond its last used one are watched, 1 to 1000000
    ///
    /// The answer is that of a wallet which knew from the first block on what it knows at the end: an index that is used
    /// before the one that reveals it is found too. The default is Bitcoin Core's keypool; many wallets have 20.
    #[arg(long, value_name = "N", default_value_t = GAP_LIMIT_DEFAULT, help_heading = WATCHED,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(GAP_LIMIT_MAX)))]
    pub(crate) gap_limit: u32,
    /// A coin from before the range, whose spend is wanted; can be given more than once
    ///
    /// With its amount in satoshi and its script in hex, the spend comes with its value.
    #[arg(long = "outpoint", value_name = "TXID:VOUT[:SAT:SCRIPT]", value_parser = parse_outpoint, help_heading = WATCHED)]
    pub(crate) outpoints: Vec<GivenOutpoint>,
    /// The first block to scan [default: 0]
    #[arg(long, value_name = "HEIGHT", conflicts_with = "birthday", help_heading = BLOCKS)]
    pub(crate) from_height: Option<u32>,
    /// When the wallet was made, as YYYY-MM-DD or seconds since 1970: in place of a first block
    ///
    /// Scans from two hours before, as Bitcoin Core does, since block times may be off by that much.
    #[arg(long, value_name = "TIME", value_parser = parse_birthday, help_heading = BLOCKS)]
    pub(crate) birthday: Option<u32>,
    /// Which blocks must hash to the merkle root of their header before they are believed
    #[arg(long, value_enum, default_value_t = VerifyName::Reported, help_heading = BLOCKS)]
    pub(crate) verify: VerifyName,
}

/// Which blocks are proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifyName {
    /// Those with something to report
    Reported,
    /// Every block, so that a flipped bit on disk cannot hide a match either: slower
    All,
    /// No block: the disk is trusted, as Bitcoin Core's own rescan trusts it
    None,
}

impl From<VerifyName> for Verify {
    fn from(name: VerifyName) -> Self {
        match name {
            VerifyName::Reported => Self::Reported,
            VerifyName::All => Self::All,
            VerifyName::None => Self::None,
        }
    }
}

fn parse_birthday(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .or_else(|| units::day_start(text))
        .ok_or_else(|| "expected seconds since 1970 or YYYY-MM-DD".to_owned())
}

fn parse_outpoint(text: &str) -> Result<GivenOutpoint, String> {
    let words: Vec<&str> = text.split(':').collect();
    let (txid, vout, output) = match words[..] {
        [txid, vout] => (txid, vout, None),
        [txid, vout, sat, script] => (txid, vout, Some((sat, script))),
        _ => return Err("expected TXID:VOUT or TXID:VOUT:SAT:SCRIPT".to_owned()),
    };
    let txid = txid.parse().map_err(|error| format!("txid: {error}"))?;
    let vout = vout.parse().map_err(|error| format!("vout: {error}"))?;
    let output = output.map(|(sat, script)| parse_output(sat, script)).transpose()?;
    Ok(GivenOutpoint { outpoint: OutPoint { txid, vout }, output })
}

fn parse_output(sat: &str, script: &str) -> Result<TxOut, String> {
    let value = Amount::from_sat(sat.parse().map_err(|error| format!("satoshi: {error}"))?);
    if value > Amount::MAX_MONEY {
        return Err(format!("satoshi: {sat} is more than all bitcoin"));
    }
    let script_pubkey = ScriptBuf::from_hex(script).map_err(|error| format!("script: {error}"))?;
    Ok(TxOut { value, script_pubkey })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        watch: WatchArgs,
    }

    fn watch(line: &str) -> WatchArgs {
        Words::try_parse_from(format!("words {line}").split(' ')).expect("a good line").watch
    }

    #[test]
    fn an_outpoint_may_say_what_it_holds() {
        let txid = "11".repeat(32);
        let args = watch(&format!("--outpoint {txid}:1 --outpoint {txid}:2:700:0014aa"));
        assert_eq!(args.outpoints[0].output, None);
        assert_eq!(args.outpoints[1].outpoint.vout, 2);
        let output = args.outpoints[1].output.as_ref().expect("it was given");
        assert_eq!((output.value.to_sat(), output.script_pubkey.to_hex_string()), (700, "0014aa".to_owned()));
    }

    #[test]
    fn a_malformed_outpoint_is_refused() {
        let txid = "11".repeat(32);
        for text in [
            "x:1".to_owned(),
            txid.clone(),
            format!("{txid}:-1"),
            format!("{txid}:1:5"),
            format!("{txid}:1:5:zz"),
            format!("{txid}:1:2100000000000001:51"),
        ] {
            assert!(parse_outpoint(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_birthday_is_seconds_or_a_day() {
        assert_eq!(watch("--birthday 1700000000").birthday, Some(1_700_000_000));
        assert_eq!(watch("--birthday 2023-11-14").birthday, Some(1_699_920_000));
    }
}
