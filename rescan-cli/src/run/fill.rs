//! `rescan fill`: a Bitcoin Core wallet gets its history by rescans of the few blocks that match.

use rescan_client::Client;
use rescan_fill::{CoreWallet, FillError, FillEvent, FillOptions, MergeGap, dry_run, fill};
use rescan_node::{ListedDescriptor, RpcClient};

use super::interrupts::Interrupts;
use crate::args::{FillArgs, NetworkName};
use crate::error::{CliError, Exit};
use crate::output::{CallLines, FillPrinter};
use crate::request::{FillRequest, check_birthday, connect_beside, rpc_client};

pub(super) async fn run(args: &FillArgs, interrupts: &mut Interrupts) -> Result<Exit, CliError> {
    let request = FillRequest::of(args)?;
    let (client, node) = interrupts.abort(connect(args)).await?;
    request.check_network(client.server_info().network)?;
    let options = request.options.clone();
    let asked = node.clone();
    let given = interrupts.abort(blocking(move || Ok(request.imports(&asked)?))).await?;
    let mut printer = FillPrinter::new(&args.wallet, args.json);
    if args.dry_run {
        return interrupts.abort(print_calls(args, &client, node, given, &options, &mut printer)).await;
    }
    let wallet = interrupts.abort(open(args, &node, given, &mut printer)).await?;
    let gap = interrupts.abort(merge_gap(node)).await?;
    let filled = {
        let mut announce = |event: FillEvent<'_>| printer.event(event);
        tokio::select! {
            filled = fill(&client, &wallet, &options, gap, &mut announce) => Some(filled),
            () = interrupts.requested() => None,
        }
    };
    match filled {
        Some(Ok(report)) => Ok(printer.result(&report)?),
        Some(Err(error)) => {
            printer.finish()?;
            Err(with_calls_made(error.into(), printer.calls_made()))
        }
        None => {
            // A call under way ends by it, with whatever it has found.
            drop(blocking(move || Ok(wallet.abort_rescan()?)).await);
            printer.interrupted()?;
            Ok(Exit::Interrupted)
        }
    }
}

/// The server, and the node beside it.
async fn connect(args: &FillArgs) -> Result<(Client, RpcClient), CliError> {
    let client = connect_beside(&args.socket, &args.node).await?;
    check_birthday(&client, args.start.birthday).await?;
    let network = client.server_info().network;
    let node = rpc_client(&args.node, args.socket.network.or(NetworkName::of(network)))?;
    let asked = node.clone();
    let found = blocking(move || Ok(asked.blockchain_info()?.chain)).await?;
    let server = network.to_core_arg();
    if found != server {
        return Err(FillError::OtherNetwork { node: found, server: server.to_owned() }.into());
    }
    Ok((client, node))
}

/// The wallet, with the given descriptors in it.
async fn open(
    args: &FillArgs,
    node: &RpcClient,
    given: Vec<ListedDescriptor>,
    printer: &mut FillPrinter,
) -> Result<CoreWallet, CliError> {
    let (node, name, creates) = (node.clone(), args.wallet.clone(), args.create);
    let (wallet, descriptors, has_private_keys) = blocking(move || {
        let wallet = if creates { CoreWallet::create(&node, &name)? } else { CoreWallet::open(&node, &name)? };
        wallet.import(&given)?;
        let (descriptors, info) = (wallet.descriptors()?.len(), wallet.info()?);
        Ok((wallet, descriptors, info.has_private_keys))
    })
    .await?;
    printer.wallet(args.create, descriptors, has_private_keys);
    Ok(wallet)
}

/// Prints the calls that a fill would make.
async fn print_calls(
    args: &FillArgs,
    client: &Client,
    node: RpcClient,
    given: Vec<ListedDescriptor>,
    options: &FillOptions,
    printer: &mut FillPrinter,
) -> Result<Exit, CliError> {
    let wallet = if args.create { None } else { Some(existing(&node, &args.wallet).await?) };
    let mut descriptors = match wallet.clone() {
        Some(wallet) => blocking(move || Ok(wallet.descriptors()?)).await?,
        None => Vec::new(),
    };
    let new: Vec<ListedDescriptor> =
        given.into_iter().filter(|given| !descriptors.iter().any(|has| has.is_same(given))).collect();
    descriptors.extend(new.iter().cloned());
    if descriptors.is_empty() {
        return Err(FillError::NoDescriptors { name: args.wallet.clone() }.into());
    }
    let gap = merge_gap(node).await?;
    let mut announce = |event: FillEvent<'_>| printer.event(event);
    let dry = dry_run(client, wallet.as_ref(), &descriptors, options, gap, &mut announce).await?;
    let calls = CallLines { args, is_new: args.create, imports: &new, dry: &dry };
    printer.calls(&calls)?;
    Ok(Exit::Complete)
}

async fn existing(node: &RpcClient, name: &str) -> Result<CoreWallet, CliError> {
    let (node, name) = (node.clone(), name.to_owned());
    blocking(move || Ok(CoreWallet::open(&node, &name)?)).await
}

async fn merge_gap(node: RpcClient) -> Result<MergeGap, CliError> {
    blocking(move || Ok(MergeGap::of(&node)?)).await
}

/// The error of a fill that has made some of its calls: the request was possible when it began.
fn with_calls_made(error: CliError, calls: u64) -> CliError {
    if calls == 0 {
        return error;
    }
    let kept = format!("the wallet keeps what {calls} calls found so far, and the same command goes on with the rest");
    let hint = error.hint.map_or_else(|| kept.clone(), |hint| format!("{hint}; {kept}"));
    CliError { exit: Exit::Failed, hint: Some(hint), ..error }
}

/// Runs calls of the node on a thread where they may block.
async fn blocking<T: Send + 'static>(
    calls: impl FnOnce() -> Result<T, CliError> + Send + 'static,
) -> Result<T, CliError> {
    match tokio::task::spawn_blocking(calls).await {
        Ok(result) => result,
        Err(error) => Err(CliError::system("cannot run a call of the node", &error.into())),
    }
}
