//! `rescan follow`: a scan, and then every block as the chain gains or loses it, until Ctrl-C.

use std::path::PathBuf;

use rescan_client::{Checkpoint, Client};

use super::checkpoint_file::{CheckpointFile, mark_every};
use super::interrupts::Interrupts;
use super::reader::{Reader, State};
use super::reconnection::Reconnection;
use super::source::Source;
use crate::args::FollowArgs;
use crate::error::{CliError, Exit};
use crate::output::{Form, Printer};
use crate::request::{WatchRequest, check_birthday, socket_path_beside};

pub(super) async fn run(
    args: &FollowArgs,
    request: WatchRequest,
    interrupts: &mut Interrupts,
) -> Result<Exit, CliError> {
    let lock = |path: &PathBuf| CheckpointFile::lock(path, args.resumed.checkpoint_every);
    let file = args.resumed.checkpoint.as_ref().map(lock).transpose()?;
    let saved = file.as_ref().map(CheckpointFile::load).transpose()?.flatten();
    let socket = socket_path_beside(&args.socket, &args.node)?;
    let client = interrupts.abort(async { Ok(Client::connect(&socket).await?) }).await?;
    request.check_network(client.server_info().network)?;
    interrupts.abort(check_birthday(&client, args.watch.start.birthday)).await?;
    let WatchRequest { mut scan, wallets, .. } = request;
    scan.mark_every = Some(mark_every(args.resumed.checkpoint_every));
    let form = if args.json { Form::JsonStream } else { Form::TextStream };
    let printer = Printer::new(form, scan.deliver, wallets);
    let checkpoint = saved.unwrap_or_else(|| Checkpoint::new(client.server_info().chain.genesis, &scan));
    let source = Source::Followed(Box::new(client.follow(scan, checkpoint)?));
    let reconnection = Some(Reconnection::new(socket));
    Reader { client, source, printer, file, reconnection, state: State::default() }.run(interrupts).await
}
