//! The server's socket: the one named by the arguments, or the only one in Bitcoin Core's default datadir.

use std::path::{Path, PathBuf};

use rescan_client::Client;

use crate::args::{NetworkName, SocketArgs, refuse_key};
use crate::error::CliError;

const SOCKET_NAME: &str = "rescan.sock";

/// Connects to the server of the arguments.
pub(crate) async fn connect(args: &SocketArgs) -> Result<Client, CliError> {
    Ok(Client::connect(socket_path(args)?).await?)
}

/// The path of its socket.
pub(crate) fn socket_path(args: &SocketArgs) -> Result<PathBuf, CliError> {
    choose(args, std::env::home_dir().as_deref())
}

/// The named socket; else the one in Bitcoin Core's default datadir below `home`.
fn choose(args: &SocketArgs, home: Option<&Path>) -> Result<PathBuf, CliError> {
    if let Some(path) = &args.socket {
        refuse_key("--socket", "the path of a socket", path)?;
        return Ok(path.clone());
    }
    let datadir = home
        .map(|home| home.join(".bitcoin"))
        .ok_or_else(|| CliError::usage("no home directory to find a socket in", "name the socket: --socket PATH"))?;
    if let Some(network) = args.network {
        return Ok(default_socket(&datadir, network));
    }
    let all =
        [NetworkName::Main, NetworkName::Testnet3, NetworkName::Testnet4, NetworkName::Signet, NetworkName::Regtest];
    let mut found: Vec<PathBuf> = all.map(|network| default_socket(&datadir, network)).into();
    found.retain(|path| path.exists());
    match &found[..] {
        [only] => Ok(only.clone()),
        [] => Err(CliError::failed(
            format!("no {SOCKET_NAME} in {} or its network folders", datadir.display()),
            "is rescan-server running? if its node has another datadir, name the socket: --socket PATH",
        )),
        several => Err(CliError::usage(
            format!("{} servers have a socket in {}", several.len(), datadir.display()),
            "choose one: --network NAME, or --socket PATH",
        )),
    }
}

/// The default path of rescan-server's socket for a network of a datadir.
fn default_socket(datadir: &Path, network: NetworkName) -> PathBuf {
    let folder = match network {
        NetworkName::Main => "",
        NetworkName::Testnet3 => "testnet3",
        NetworkName::Testnet4 => "testnet4",
        NetworkName::Signet => "signet",
        NetworkName::Regtest => "regtest",
    };
    datadir.join(folder).join(SOCKET_NAME)
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
        assert_eq!(choose(&args, None).expect("named"), Path::new("here"));
    }

    #[test]
    fn the_only_socket_of_the_datadir_is_found() {
        let home = home_with(&[".bitcoin/signet/rescan.sock"]);
        let found = choose(&UNNAMED, Some(home.path())).expect("there is one");
        assert_eq!(found, home.path().join(".bitcoin/signet/rescan.sock"));
    }

    #[test]
    fn of_several_sockets_none_is_guessed() {
        let home = home_with(&[".bitcoin/rescan.sock", ".bitcoin/regtest/rescan.sock"]);
        assert_eq!(choose(&UNNAMED, Some(home.path())).expect_err("there are two").exit, Exit::Usage);
        let named = SocketArgs { network: Some(NetworkName::Main), ..UNNAMED };
        assert_eq!(choose(&named, Some(home.path())).expect("named"), home.path().join(".bitcoin/rescan.sock"));
    }

    #[test]
    fn a_datadir_without_a_socket_is_an_error() {
        let home = home_with(&[]);
        assert_eq!(choose(&UNNAMED, Some(home.path())).expect_err("there is none").exit, Exit::Failed);
    }
}
