//! The server's socket: the one named by the arguments, or the only one in Bitcoin Core's default datadir.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rescan_client::Client;
use rescan_node::network_dir;

use crate::args::{NetworkName, NodeArgs, SocketArgs, refuse_key};
use crate::error::CliError;

const SOCKET_NAME: &str = "rescan.sock";

/// Connects to the server of the arguments.
pub(crate) async fn connect(args: &SocketArgs) -> Result<Client, CliError> {
    Ok(Client::connect(socket_path(args)?).await?)
}

/// Connects to the server of the arguments, beside their node.
pub(crate) async fn connect_beside(args: &SocketArgs, node: &NodeArgs) -> Result<Client, CliError> {
    Ok(Client::connect(socket_path_beside(args, node)?).await?)
}

/// The path of its socket.
pub(crate) fn socket_path(args: &SocketArgs) -> Result<PathBuf, CliError> {
    choose(args, None, std::env::home_dir().as_deref())
}

/// The path of its socket: in the node's datadir, if one is named and has a socket.
pub(crate) fn socket_path_beside(args: &SocketArgs, node: &NodeArgs) -> Result<PathBuf, CliError> {
    node.datadir.as_ref().map_or(Ok(()), |path| refuse_key("--datadir", "the path of a directory", path))?;
    choose(args, node.datadir.as_deref(), std::env::home_dir().as_deref())
}

/// The named socket; else the one in the named datadir; else the one in Bitcoin Core's default datadir below `home`.
fn choose(args: &SocketArgs, datadir: Option<&Path>, home: Option<&Path>) -> Result<PathBuf, CliError> {
    if let Some(path) = &args.socket {
        refuse_key("--socket", "the path of a socket", path)?;
        return Ok(path.clone());
    }
    let default = home.map(|home| home.join(".bitcoin"));
    let searched: Vec<&Path> = [datadir, default.as_deref()].into_iter().flatten().collect();
    for datadir in &searched {
        let found = sockets_in(datadir, args.network);
        match &found[..] {
            [] => {}
            [only] => return Ok(only.clone()),
            several => {
                return Err(CliError::usage(
                    format!("{} servers have a socket in {}", several.len(), datadir.display()),
                    "choose one: --network NAME, or --socket PATH",
                ));
            }
        }
    }
    match (searched[..].first(), args.network) {
        (None, _) => Err(CliError::usage("no home directory to find a socket in", "name the socket: --socket PATH")),
        // The error of connecting to it says more than that it does not exist.
        (Some(datadir), Some(network)) => Ok(default_socket(datadir, network)),
        (Some(_), None) => {
            let searched: Vec<String> = searched.iter().map(|datadir| datadir.display().to_string()).collect();
            Err(CliError::failed(
                format!("no {SOCKET_NAME} in {} or its network folders", searched.join(", ")),
                "is rescan-server running? if its node has another datadir, name the socket: --socket PATH",
            ))
        }
    }
}

/// The sockets in a datadir and its network folders, or in that of one network.
fn sockets_in(datadir: &Path, network: Option<NetworkName>) -> Vec<PathBuf> {
    let networks = network.map_or_else(|| NetworkName::value_variants().to_vec(), |network| vec![network]);
    let mut found: Vec<PathBuf> = networks.into_iter().map(|network| default_socket(datadir, network)).collect();
    found.retain(|path| path.exists());
    // The folder of a network, given as a datadir, is searched by two names.
    found.dedup();
    found
}

/// The default path of rescan-server's socket for a network of a datadir.
fn default_socket(datadir: &Path, network: NetworkName) -> PathBuf {
    network_dir(datadir, network.chain()).join(SOCKET_NAME)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::error::Exit;

    fn home_with(sockets: &[&str]) -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("a temporary directory");
        for socket in sockets {
            let path = home.path().join(socket);
            fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            fs::write(path, "").expect("written");
        }
        home
    }

    const UNNAMED: SocketArgs = SocketArgs { socket: None, network: None };

    #[test]
    fn a_named_socket_is_used_unchanged() {
        let args = SocketArgs { socket: Some("here".into()), network: None };
        assert_eq!(choose(&args, None, None).expect("named"), Path::new("here"));
    }

    #[test]
    fn the_only_socket_of_the_datadir_is_found() {
        let home = home_with(&[".bitcoin/signet/rescan.sock"]);
        let found = choose(&UNNAMED, None, Some(home.path())).expect("there is one");
        assert_eq!(found, home.path().join(".bitcoin/signet/rescan.sock"));
    }

    #[test]
    fn of_several_sockets_none_is_guessed() {
        let home = home_with(&[".bitcoin/rescan.sock", ".bitcoin/regtest/rescan.sock"]);
        assert_eq!(choose(&UNNAMED, None, Some(home.path())).expect_err("there are two").exit, Exit::Usage);
        let named = SocketArgs { network: Some(NetworkName::Main), ..UNNAMED };
        assert_eq!(choose(&named, None, Some(home.path())).expect("named"), home.path().join(".bitcoin/rescan.sock"));
    }

    #[test]
    fn the_socket_of_a_named_datadir_comes_before_that_of_the_default_one() {
        let home = home_with(&[".bitcoin/rescan.sock", "other/regtest/rescan.sock", "bare/bitcoin.conf"]);
        let choose =
            |datadir: &str, args: &SocketArgs| choose(args, Some(&home.path().join(datadir)), Some(home.path()));
        let socket = home.path().join("other/regtest/rescan.sock");
        let regtest = SocketArgs { network: Some(NetworkName::Regtest), ..UNNAMED };
        for datadir in ["other", "other/regtest"] {
            assert_eq!(choose(datadir, &UNNAMED).expect("there is one"), socket);
            assert_eq!(choose(datadir, &regtest).expect("there is one"), socket);
        }
        assert_eq!(choose("bare", &UNNAMED).expect("there is one"), home.path().join(".bitcoin/rescan.sock"));
        let missing = home.path().join("bare/regtest/rescan.sock");
        assert_eq!(choose("bare", &regtest).expect("its path"), missing, "the error of connecting names it");
    }

    #[test]
    fn a_datadir_without_a_socket_is_an_error() {
        let home = home_with(&[]);
        assert_eq!(choose(&UNNAMED, None, Some(home.path())).expect_err("there is none").exit, Exit::Failed);
    }
}
