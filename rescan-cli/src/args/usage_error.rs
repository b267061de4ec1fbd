//! Usage errors. A value is repeated only if it could hold no key: see the module `repeated`.

use std::error::Error;
use std::io::Write;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use rescan_client::GAP_LIMIT_MAX;

use super::birthday::BadValue;
use super::compare::RUNS_MAX;
use super::repeated::{found, is_word};
use crate::error::Exit;

/// The page of help that fits the command line.
fn see_help(subcommand: Option<&str>) -> String {
    let name = subcommand.map_or_else(String::new, |name| format!(" {name}"));
    format!("see `rescan{name} --help`")
}

/// Prints clap's help, version or error, and returns the exit code.
pub(super) fn report(error: &clap::Error, subcommand: Option<&str>) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // If the reader of the help goes away, that is no failure.
            drop(error.print());
            Exit::Complete
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            drop(error.print());
            Exit::Usage
        }
        _ => {
            write_stderr(&message(error, &see_help(subcommand)));
            Exit::Usage
        }
    }
}

/// The message and the hint, each a line or more.
fn message(error: &clap::Error, see_help: &str) -> String {
    match error.kind() {
        ErrorKind::UnknownArgument => unknown_argument(error, see_help),
        ErrorKind::InvalidSubcommand => unknown_subcommand(error, see_help),
        // These name options and subcommands of the program, and repeat no value.
        ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand | ErrorKind::ArgumentConflict => {
            let shown = error.render().to_string();
            let shown = shown.split("\nFor more information").next().unwrap_or(&shown).trim_end();
            format!("{shown}\nhint: {see_help}\n")
        }
        _ => bad_value(error, see_help),
    }
}

fn unknown_subcommand(error: &clap::Error, see_help: &str) -> String {
    let name = text(error, ContextKind::InvalidSubcommand).unwrap_or_default();
    if !is_word(name) {
        return hidden_argument(see_help);
    }
    let hint = match suggestion(error, ContextKind::SuggestedSubcommand) {
        Some(meant) => format!("did you mean `rescan {meant}`?"),
        None => "`rescan --help` lists the subcommands".to_owned(),
    };
    format!("error: unexpected argument: {name} is no subcommand\nhint: {hint}\n")
}

fn unknown_argument(error: &clap::Error, see_help: &str) -> String {
    let argument = text(error, ContextKind::InvalidArg).unwrap_or_default();
    if ["--rpc-password", "--rpcpassword", "--password"].contains(&argument) {
        return format!(
            "error: {argument} is no option: every user of this machine can read arguments\n\
             hint: give the password by --rpc-password-file FILE, or in the environment variable RESCAN_RPC_PASSWORD\n"
        );
    }
    if !is_word(argument) {
        return hidden_argument(see_help);
    }
    let hint = match suggestion(error, ContextKind::SuggestedArg) {
        Some(meant) => format!("did you mean {meant}?"),
        None if argument.starts_with('-') => see_help.to_owned(),
        None => format!("values follow the name of their option, as in --gap-limit 20; {see_help}"),
    };
    format!("error: unexpected argument {argument}\nhint: {hint}\n")
}

/// A descriptor that lost its option may hold a key.
fn hidden_argument(see_help: &str) -> String {
    format!(
        "error: unexpected argument (not repeated here, since it could hold a key)\n\
         hint: put descriptors after --descriptor, in quotes; {see_help}\n"
    )
}

/// The message for a bad value of an option: a key may have landed behind the wrong one.
fn bad_value(error: &clap::Error, see_help: &str) -> String {
    // The option and the name of its value, as in the help.
    let option = text(error, ContextKind::InvalidArg).unwrap_or("an option");
    let expected = expected(error, option);
    if let Some(bad) = error.source().and_then(|source| source.downcast_ref::<BadValue>()) {
        return format!("error: {option} takes {expected}; found {}\nhint: {}\n", bad.found, bad.hint);
    }
    let found = found(text(error, ContextKind::InvalidValue).unwrap_or_default());
    let hint = match text(error, ContextKind::SuggestedValue) {
        Some(meant) => format!("did you mean {meant}?"),
        None => see_help.to_owned(),
    };
    format!("error: {option} takes {expected}; found {found}\nhint: {hint}\n")
}

fn expected(error: &clap::Error, option: &str) -> String {
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(names)) if !names.is_empty() => format!("one of {}", names.join(", ")),
        _ if error.kind() == ErrorKind::TooManyValues => "no value".to_owned(),
        _ if option.contains("--gap-limit") => format!("a number from 1 to {GAP_LIMIT_MAX}"),
        _ if option.contains("--runs") => format!("a number from 1 to {RUNS_MAX}"),
        _ if option.contains("--bitcoin-rpc") => {
            "the address of a node's RPC, http://HOST:PORT without user or password".to_owned()
        }
        _ if option.contains("HEIGHT") => format!("a block height, a number from 0 to {}", u32::MAX),
        _ if option.contains("TIME") => "YYYY-MM-DD or seconds since 1970".to_owned(),
        _ if option.contains("SECONDS") => "a number of seconds, such as 0.5".to_owned(),
        _ if option.contains("TXID") => "TXID:VOUT or TXID:VOUT:SAT:SCRIPT, with txid and script in hex".to_owned(),
        _ => "another form of value".to_owned(),
    }
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// The most similar name of the program's own.
fn suggestion(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(name)) => Some(name),
        Some(ContextValue::Strings(names)) => names.last().map(String::as_str),
        _ => None,
    }
}

pub(super) fn write_stderr(text: &str) {
    // If stderr is gone, only the exit code is left.
    drop(std::io::stderr().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rescan_client::bitcoin::bip32::Xpriv;
    use rescan_client::bitcoin::hex::DisplayHex;
    use rescan_client::bitcoin::secp256k1::SecretKey;
    use rescan_client::bitcoin::{NetworkKind, PrivateKey};

    use super::super::command::command;
    use super::*;

    fn message_of(line: &[&str]) -> Option<String> {
        let error = command().try_get_matches_from([&["rescan"], line].concat()).err()?;
        Some(message(&error, "see `rescan scan --help`"))
    }

    fn refused(line: &str) -> String {
        message_of(&line.split(' ').collect::<Vec<_>>()).expect("it is refused")
    }

    #[test]
    fn a_value_that_could_hold_no_key_is_repeated_and_explained() {
        for (line, expected, hint) in [
            ("scan --descriptor d --gap-limit 0", "--gap-limit <N> takes a number from 1 to 1000000; found 0", "hint"),
            ("scan --descriptor d --gap-limit 1000001", "found 1000001", "hint"),
            ("info --network simnet", "takes one of main, testnet3, testnet4, signet, regtest; found simnet", "hint"),
            ("info --network testnet5", "found testnet5", "did you mean testnet"),
            ("info --network=", "found nothing", "hint"),
            ("scan --descriptor d --verify al", "found al", "did you mean all?"),
            ("scan --descriptor d --from-height ten", "found ten", "hint"),
            ("scan --descriptor d --birthday 2021-02-30", "2021-02-30, and there is no such day", "2021-05-01"),
            ("scan --descriptor d --birthday 800000", "found 800000", "did you mean a height? --from-height 800000"),
            ("scn", "scn is no subcommand", "did you mean `rescan scan`?"),
            ("restore", "restore is no subcommand", "`rescan --help` lists"),
            ("scan --birthdya 2021-05-01", "unexpected argument --birthdya", "did you mean --birthday?"),
            ("scan --descriptor d extra", "unexpected argument extra", "follow the name of their option"),
            ("scan -x", "unexpected argument -x", "hint"),
        ] {
            let message = refused(line);
            assert!(message.contains(expected) && message.contains(hint), "{line}: {message}");
        }
    }

    #[test]
    fn a_password_is_no_argument_and_the_message_names_the_ways_to_give_it() {
        for line in ["compare --rpc-password hunter2", "compare --rpc-password=hunter2", "scan --rpcpassword=hunter2"] {
            let message = refused(line);
            assert!(
                message.contains("every user of this machine") && message.contains("--rpc-password-file"),
                "{message}"
            );
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    /// A private key in each of its encodings.
    fn keys() -> impl Strategy<Value = String> {
        (any::<[u8; 32]>(), any::<bool>(), 0..4).prop_filter_map("a scalar of the curve", |(bytes, is_main, form)| {
            let secret = SecretKey::from_slice(&bytes).ok()?;
            let network = if is_main { NetworkKind::Main } else { NetworkKind::Test };
            let short = PrivateKey { compressed: false, network, inner: secret };
            Some(match form {
                0 => PrivateKey::new(secret, network).to_wif(),
                1 => short.to_wif(),
                2 => Xpriv::new_master(network, &bytes).ok()?.to_string(),
                _ => bytes.to_lower_hex_string(),
            })
        })
    }

    /// Lines with a value behind every option and at every position.
    fn lines(value: &str) -> Vec<Vec<String>> {
        let command = command();
        let owned = |line: &[&str]| line.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>();
        let mut lines = vec![owned(&[value]), owned(&[&format!("--{value}")]), owned(&[&format!("--network={value}")])];
        for subcommand in command.get_subcommands() {
            let name = subcommand.get_name();
            lines.push(owned(&[name, value]));
            lines.push(owned(&[name, "--descriptor", "d", value]));
            lines.push(owned(&[name, &format!("-{value}")]));
            for option in subcommand.get_arguments().filter_map(clap::Arg::get_long) {
                lines.push(owned(&[name, &format!("--{option}={value}")]));
                lines.push(owned(&[name, &format!("--{option}"), value]));
                lines.push(owned(&[name, &format!("--{option}{value}")]));
                lines.push(owned(&[name, &format!("--{option}x={value}")]));
            }
        }
        lines
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn no_part_of_a_private_key_is_ever_repeated(key in keys(), form in 0..6) {
            let value = match form {
                0 => key.clone(),
                1 => format!("wpkh({key}/0/*)"),
                2 => format!("tr([d34db33f/86h/0h/0h]{key}/<0;1>/*)#qqqqqqqq"),
                3 => format!("{key}:0"),
                // Cut off by one, as in a hasty copy.
                4 => key[1..].to_owned(),
                _ => format!(" {key}"),
            };
            let pieces: Vec<&str> = (0..=key.len() - 8).map(|at| &key[at..at + 8]).collect();
            for line in lines(&value) {
                let Some(message) = message_of(&line.iter().map(String::as_str).collect::<Vec<_>>()) else { continue };
                prop_assert!(!pieces.iter().any(|piece| message.contains(piece)), "{line:?}: {message}");
            }
        }
    }
}
