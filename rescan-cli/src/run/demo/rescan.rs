//! Serves a datadir that Bitcoin Core wrote, rescans every wallet in it over a private socket, and compares each with
//! Core's own result. Then receives the same blocks whole, to measure their cost.

use futures::StreamExt;
use rescan_client::history::History;
use rescan_client::position::Height;
use rescan_client::{BlockEvent, Client, RangeEnd, RangeRequest, RangeStart, ScanEvent, ScanRequest};
use rescan_compare::units;

use super::core_result::{CoreResult, Found};
use super::datadir::DemoDir;
use super::server::{self, Server};
use super::tables;
use crate::args::DemoArgs;
use crate::error::{CliError, Exit};
use crate::output::Output;
use crate::request::{GivenDescriptor, Keychains};
use crate::wallets::{Wallet, WalletResult};

pub(in crate::run) async fn run(args: &DemoArgs) -> Result<Exit, CliError> {
    let program = server::find(args.server.as_deref())?;
    // Declared before the server, so it is removed after the server has ended.
    let dir = DemoDir::unpack()?;
    let core = dir.core_result()?;
    let selected = select(&core, args.wallet.as_deref())?;
    let mut server = Server::start(&program, &dir)?;
    let client = server.connect().await?;
    let mut output = Output::stdout();
    output.text(&format!(
        "A regtest chain of {} written by Bitcoin Core {},\nserved by {} on {}\n\n",
        units::counted(u64::from(core.tip_height) + 1, "block"),
        core.version(),
        client.server_info().software,
        dir.socket().display(),
    ))?;
    output.flush()?;
    let work = async { Ok((rescan_wallets(&client, &core, &selected).await?, receive_blocks(&client).await?)) };
    let (wallets, blocks) = work.await.map_err(|error| server.explain(error))?;
    server.stop()?;
    match &wallets[..] {
        [only] if args.wallet.is_some() => output.text(&tables::history(only))?,
        all => {
            output.text(&tables::totals(all))?;
            output.text("\n")?;
            output.text(&tables::latest(all))?;
        }
    }
    output.text(&tables::verdict(&wallets, &core))?;
    output.text(&tables::cost(&wallets, &blocks))?;
    output.finish()?;
    let all_equal = wallets.iter().all(|wallet| wallet.differences.is_empty());
    Ok(if all_equal { Exit::Complete } else { Exit::Failed })
}

/// The names of the wallets to rescan: the given one, or all.
fn select(core: &CoreResult, name: Option<&str>) -> Result<Vec<String>, CliError> {
    let all: Vec<String> = core.wallets.keys().cloned().collect();
    match name {
        None => Ok(all),
        Some(name) if core.wallets.contains_key(name) => Ok(vec![name.to_owned()]),
        // Not repeated: it could be a key.
        Some(_) => Err(CliError::usage(
            "--wallet takes the name of a demo wallet",
            format!("the wallets are {}", all.join(", ")),
        )),
    }
}

/// One wallet's rescan.
pub(super) struct Rescanned {
    pub(super) name: String,
    pub(super) wallet: Wallet,
    pub(super) found: Found,
    /// From Core's result.
    pub(super) differences: Vec<String>,
    pub(super) bytes_received: u64,
}

async fn rescan_wallets(client: &Client, core: &CoreResult, names: &[String]) -> Result<Vec<Rescanned>, CliError> {
    let mut rescanned = Vec::with_capacity(names.len());
    for (name, expected) in core.wallets.iter().filter(|(name, _)| names.contains(name)) {
        let descriptors: Vec<String> = expected.descriptors.iter().map(|it| it.descriptor.clone()).collect();
        let mut request = ScanRequest::new();
        let given = GivenDescriptor::arguments(&descriptors);
        let Keychains { list: keychains, labels, .. } = Keychains::of(&given, None)?;
        request.keychains = keychains;
        let before = client.bytes_received();
        let found = rescan(client, request).await?;
        rescanned.push(Rescanned {
            name: name.clone(),
            wallet: Wallet::unnamed(labels),
            differences: found.differences(core, expected),
            found,
            bytes_received: client.bytes_received().saturating_sub(before),
        });
    }
    Ok(rescanned)
}

async fn rescan(client: &Client, request: ScanRequest) -> Result<Found, CliError> {
    let mut stream = client.scan(request).await?;
    let mut history = History::new();
    while let Some(event) = stream.next().await.transpose()? {
        match event {
            ScanEvent::Report(report) => history.add(report),
            ScanEvent::Finished(summary) => {
                let result = WalletResult { reports: history.into_reports().collect(), coins: Vec::new() };
                return Ok(Found { coins: result.ledger(), result, summary });
            }
            _ => {}
        }
    }
    Err(CliError::no_summary())
}

/// The cost of receiving the same chain as whole blocks.
pub(super) struct WholeBlocks {
    pub(super) blocks: u64,
    pub(super) bytes_received: u64,
}

async fn receive_blocks(client: &Client) -> Result<WholeBlocks, CliError> {
    let before = client.bytes_received();
    let range = RangeRequest { from: RangeStart::Height(Height::GENESIS), to: RangeEnd::Tip };
    let mut stream = client.blocks(range).await?;
    let mut blocks = 0;
    while let Some(event) = stream.next().await.transpose()? {
        if let BlockEvent::Block(_) = event {
            blocks += 1;
        }
    }
    Ok(WholeBlocks { blocks, bytes_received: client.bytes_received().saturating_sub(before) })
}
