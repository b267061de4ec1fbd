//! The node's RPC: at the address of the arguments, or found in a data directory.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rescan_node::{ChainSource, Credentials, Datadir, NodeSearch, RpcClient};

use crate::args::{NetworkName, NodeArgs, refuse_key};
use crate::error::CliError;
use crate::output::notice;

/// The environment variable with the password of `--rpc-user`.
const PASSWORD_VARIABLE: &str = "RESCAN_RPC_PASSWORD";

/// Longer passwords than any person has; the rest of a larger file is not read.
const PASSWORD_BYTES_MAX: u64 = 4_096;

/// A client of the node that the arguments name, or else of the one in Bitcoin Core's default
/// datadir. The network is needed only to find a node in a datadir.
pub(crate) fn rpc_client(args: &NodeArgs, network: Option<NetworkName>) -> Result<RpcClient, CliError> {
    refuse_keys(args)?;
    let credentials = credentials(args)?;
    if let (Some(address), Some(credentials)) = (&args.bitcoin_rpc, &credentials) {
        return Ok(RpcClient::new(address.clone(), credentials.clone())?);
    }
    let datadir = match (&args.datadir, std::env::home_dir()) {
        (Some(datadir), _) => Datadir::Given(datadir.clone()),
        (None, Some(home)) => Datadir::Default(home.join(".bitcoin")),
        (None, None) => {
            let hint = "name the node's data directory: --datadir DIR";
            return Err(CliError::usage("no home directory to find a node in", hint));
        }
    };
    let search = NodeSearch { datadir, chain: network.map(NetworkName::chain), credentials };
    let node = search.find()?;
    if node.chain_source == ChainSource::OnlyCookie {
        notice(&format!("no --network was given: the only node with a cookie is that of {}", node.chain));
    }
    Ok(RpcClient::new(node.address, node.credentials)?)
}

/// Messages repeat these values.
fn refuse_keys(args: &NodeArgs) -> Result<(), CliError> {
    let user = args.rpc_user.as_ref().map(Into::into);
    for (option, expected, value) in [
        ("--datadir", "the path of a directory", args.datadir.as_ref()),
        ("--cookie", "the path of a file", args.cookie.as_ref()),
        ("--rpc-password-file", "the path of a file", args.rpc_password_file.as_ref()),
        ("--rpc-user", "the name of a user", user.as_ref()),
    ] {
        value.map_or(Ok(()), |value| refuse_key(option, expected, value))?;
    }
    Ok(())
}

fn credentials(args: &NodeArgs) -> Result<Option<Credentials>, CliError> {
    if let Some(cookie) = &args.cookie {
        return Ok(Some(Credentials::Cookie(cookie.clone())));
    }
    let Some(user) = &args.rpc_user else { return Ok(None) };
    let password = match (&args.rpc_password_file, std::env::var_os(PASSWORD_VARIABLE)) {
        (Some(path), _) => password_of(path)?,
        (None, Some(password)) => password.into_string().map_err(|_password| {
            CliError::usage(format!("{PASSWORD_VARIABLE} is no UTF-8 text"), "give the password by --rpc-password-file")
        })?,
        (None, None) => {
            return Err(CliError::usage(
                "--rpc-user was given, and no password",
                format!("give it by --rpc-password-file FILE, or in the environment variable {PASSWORD_VARIABLE}"),
            ));
        }
    };
    Ok(Some(Credentials::Password { user: user.clone(), password }))
}

/// The first line of a file.
fn password_of(path: &Path) -> Result<String, CliError> {
    let hint = "it holds the password of --rpc-user as its first line";
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|error| CliError::failed(format!("cannot read {}: {error}", path.display()), hint))?;
    // A pipe, as of `<(pass show node)`, has no other readers.
    let others_read = fs::metadata(path).is_ok_and(|of| of.is_file() && of.permissions().mode() & 0o044 != 0);
    if others_read {
        notice(&format!("warning: other users can read the password in {}: chmod 600 protects it", path.display()));
    }
    match text.lines().next() {
        Some(password) if !password.is_empty() => Ok(password.to_owned()),
        _ => Err(CliError::usage(format!("{} has an empty first line; expected a password", path.display()), hint)),
    }
}
