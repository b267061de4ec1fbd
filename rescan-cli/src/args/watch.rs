//! Arguments of both `scan` and `follow`: descriptors, outpoints, and the first block.

use clap::Args;
use rescan_client::GivenOutpoint;
use rescan_client::bitcoin::{Amount, OutPoint, ScriptBuf, TxOut};

use super::{StartArgs, WATCHED, WatchedArgs};

/// The position in the help for a subcommand's own option that follows `--birthday`. `clap` counts options from 0; of two
/// with the same position, the name decides.
pub(super) const AFTER_BIRTHDAY: usize = 7;

/// Descriptors and outpoints to watch, and the first block.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) watched: WatchedArgs,
    /// A coin from before the range, to find its spend; can be given more than once
    ///
    /// With its amount in satoshi and its script in hex, the spend is printed with its value.
    #[arg(long = "outpoint", value_name = "TXID:VOUT[:SAT:SCRIPT]", value_parser = parse_outpoint, help_heading = WATCHED)]
    #[arg(group = "watched", conflicts_with = "wallets")]
    pub(crate) outpoints: Vec<GivenOutpoint>,
    #[command(flatten)]
    pub(crate) start: StartArgs,
}

fn parse_outpoint(text: &str) -> Result<GivenOutpoint, String> {
    let fields: Vec<&str> = text.split(':').collect();
    let (txid, vout, output) = match fields[..] {
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
    struct Line {
        #[command(flatten)]
        watch: WatchArgs,
    }

    fn watch(line: &str) -> WatchArgs {
        Line::try_parse_from(format!("rescan {line}").split(' ')).expect("a good line").watch
    }

    #[test]
    fn an_outpoint_may_have_its_amount_and_script() {
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
}
