//! Which socket to connect to where none is named.

use std::path::{Path, PathBuf};

use rescan_client::Client;

use crate::args::{self, NetworkName, SocketArgs};
use crate::trouble::Trouble;

const SOCKET_NAME: &str = "rescan.sock";

/// Connects to the server that the arguments mean.
pub(crate) async fn connect(args: &SocketArgs) -> Result<Client, Trouble> {
    Ok(Client::connect(path(args)?).await?)
}

/// The path of its socket.
pub(crate) fn path(args: &SocketArgs) -> Result<PathBuf, Trouble> {
    choose(args, std::env::home_dir().as_deref())
}

/// The named socket; else the one in Bitcoin Core's default datadir below `home`.
fn choose(args: &SocketArgs, home: Option<&Path>) -> Result<PathBuf, Trouble> {
    if let Some(path) = &args.socket {
        if args::could_hold_a_key(path) && !path.exists() {
            return Err(Trouble::no_path(
                "--socket",
                "the path of a socket",
                "descriptors go after --descriptor, in quotes; a socket's path can be written from the root: /..",
            ));
        }
        return Ok(path.clone());
    }
    let datadir = home
        .map(|home| home.join(".bitcoin"))
        .ok_or_else(|| Trouble::usage("no home directory to look for a socket in", "name the socket: --socket PATH"))?;
    if let Some(network) = args.network {
        return Ok(default_socket(&datadir, network));
    }
    let all =
        [NetworkName::Main, NetworkName::Testnet3, NetworkName::Testnet4, NetworkName::Signet, NetworkName::Regtest];
    let mut there: Vec<PathBuf> = all.map(|network| default_socket(&datadir, network)).into();
    there.retain(|path| path.exists());
    match &there[..] {
        [only] => Ok(only.clone()),
        [] => Err(Trouble::failed(
            format!("no {SOCKET_NAME} in {} or its network folders", datadir.display()),
            "is rescan-server running? where its node has another datadir, name the socket: --socket PATH",
        )),
        several => Err(Trouble::usage(
            format!("{} servers have a socket in {}", several.len(), datadir.display()),
            "say which: --network NAME, or --socket PATH",
        )),
    }
}

/// Where rescan-server puts its socket for a network of a datadir.
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
    use crate::exit_code::Exit;

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
    fn a_named_socket_is_taken_as_it_is() {
        let args = SocketArgs { socket: Some("here".into()), network: None };
        assert_eq!(choose(&args, None).expect("named"), Path::new("here"));
    }

    #[test]
    fn the_only_socket_of_the_datadir_is_found() {
        let home = home_with(&[".bitcoin/signet/rescan.sock"]);
        let found = choose(&UNNAMED, Some(home.path())).expect("one is there");
        assert_eq!(found, home.path().join(".bitcoin/signet/rescan.sock"));
    }

    #[test]
    fn of_several_sockets_none_is_guessed() {
        let home = home_with(&[".bitcoin/rescan.sock", ".bitcoin/regtest/rescan.sock"]);
        assert_eq!(choose(&UNNAMED, Some(home.path())).expect_err("two are there").exit, Exit::Usage);
        let named = SocketArgs { network: Some(NetworkName::Main), ..UNNAMED };
        assert_eq!(choose(&named, Some(home.path())).expect("named"), home.path().join(".bitcoin/rescan.sock"));
    }

    #[test]
    fn where_there_is_none_it_says_so() {
        let home = home_with(&[]);
        assert_eq!(choose(&UNNAMED, Some(home.path())).expect_err("none is there").exit, Exit::Failed);
    }
}
