//! `rescan scan`: one scan, or the rest of one that an earlier run left in a checkpoint.

use std::path::Path;

use rescan_client::{Checkpoint, Client};

use super::checkpoint_file::{CheckpointFile, mark_every};
use super::interrupts::Interrupts;
use super::reader::{Reader, State};
use super::source::{Event, Source};
use crate::args::ScanArgs;
use crate::error::{CliError, Exit};
use crate::output::{Form, Printer};
use crate::request::{WatchRequest, check_birthday, connect_beside};

pub(super) async fn run(args: &ScanArgs, request: WatchRequest, interrupts: &mut Interrupts) -> Result<Exit, CliError> {
    let reader = match &args.resumed.checkpoint {
        Some(path) => resume(args, path, request, interrupts).await?,
        None => begin(args, request, interrupts).await?,
    };
    reader.run(interrupts).await
}

async fn begin(args: &ScanArgs, request: WatchRequest, interrupts: &mut Interrupts) -> Result<Reader, CliError> {
    let form = match (args.json, args.stream) {
        (false, _) => Form::Tables,
        (true, false) => Form::Json,
        (true, true) => Form::JsonStream,
    };
    let deliver = request.scan.deliver;
    let started = async {
        let client = connect_checked(args, &request).await?;
        let stream = client.scan(request.scan.clone()).await?;
        Ok((client, stream))
    };
    let (client, stream) = interrupts.abort(started).await?;
    let handle = stream.handle();
    let mut reader = Reader {
        client,
        source: Source::Scan(stream),
        printer: Printer::new(form, deliver, request.wallets),
        file: None,
        reconnection: None,
        state: State::default(),
    };
    reader.handle(Event::Began(handle))?;
    Ok(reader)
}

async fn resume(
    args: &ScanArgs,
    path: &Path,
    request: WatchRequest,
    interrupts: &mut Interrupts,
) -> Result<Reader, CliError> {
    let file = CheckpointFile::lock(path, args.resumed.checkpoint_every)?;
    let saved = file.load()?;
    let client = interrupts.abort(connect_checked(args, &request)).await?;
    let WatchRequest { mut scan, wallets, .. } = request;
    scan.mark_every = Some(mark_every(args.resumed.checkpoint_every));
    let deliver = scan.deliver;
    let checkpoint = saved.unwrap_or_else(|| Checkpoint::new(client.server_info().chain.genesis, &scan));
    let source = Source::Resumed(Box::new(client.resume(scan, checkpoint)?));
    let printer = Printer::new(Form::JsonStream, deliver, wallets);
    Ok(Reader { client, source, printer, file: Some(file), reconnection: None, state: State::default() })
}

async fn connect_checked(args: &ScanArgs, request: &WatchRequest) -> Result<Client, CliError> {
    let client = connect_beside(&args.socket, &args.node).await?;
    request.check_network(client.server_info().network)?;
    check_birthday(&client, args.watch.start.birthday).await?;
    Ok(client)
}
