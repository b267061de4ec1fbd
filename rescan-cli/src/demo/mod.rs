//! `rescan demo`: the whole of rescan with nothing but its own two programs.
//!
//! It serves a datadir that Bitcoin Core wrote, rescans every wallet in it over a private socket, and compares each with
//! what Core itself said. Then it ships the same blocks whole, to count what that costs.

mod answers;
mod datadir;
mod server;

use futures::StreamExt;
use rescan_client::coins::Coin;
use rescan_client::position::Height;
use rescan_client::report::{BlockReport, TransactionReport};
use rescan_client::{
    BlockEvent, Client, Deliver, GAP_LIMIT_DEFAULT, History, RangeEnd, RangeRequest, RangeStart, ScanEvent, ScanRequest,
};

use crate::args::DemoArgs;
use crate::exit_code::Exit;
use crate::output::{Output, human, units};
use crate::parties::Party;
use crate::settled::Part;
use crate::trouble::Trouble;
use crate::watch;
use answers::{Answers, Found};
use datadir::DemoDir;
use server::Server;

pub(crate) async fn run(args: &DemoArgs) -> Result<Exit, Trouble> {
    let program = server::find(args.server.as_deref())?;
    // Declared before the server, and so removed after it has ended.
    let dir = DemoDir::unpack()?;
    let answers = dir.answers()?;
    let selected = select(&answers, args.wallet.as_deref())?;
    let mut server = Server::start(&program, &dir)?;
    let client = server.connect().await?;
    let mut output = Output::stdout();
    output.text(&format!(
        "A regtest chain of {} that Bitcoin Core {} wrote,\nserved by {} on {}\n\n",
        units::counted(u64::from(answers.tip_height) + 1, "block"),
        answers.core_version(),
        client.server_info().software,
        dir.socket().display(),
    ))?;
    output.flush()?;
    let work = async { Ok((rescan_wallets(&client, &answers, &selected).await?, ship_blocks(&client).await?)) };
    let (wallets, blocks) = work.await.map_err(|trouble| server.explain(trouble))?;
    server.stop()?;
    match &wallets[..] {
        [only] if args.wallet.is_some() => output.text(&history(only))?,
        all => {
            output.text(&wallet_table(all))?;
            output.text("\n")?;
            output.text(&latest_table(all))?;
        }
    }
    output.text(&verdict(&wallets, &answers))?;
    output.text(&cost(&wallets, &blocks))?;
    output.finish()?;
    let all_equal = wallets.iter().all(|wallet| wallet.differences.is_empty());
    Ok(if all_equal { Exit::Complete } else { Exit::Failed })
}

/// The names of the wallets to rescan: the named one, or all.
fn select(answers: &Answers, named: Option<&str>) -> Result<Vec<String>, Trouble> {
    let all: Vec<String> = answers.wallets.keys().cloned().collect();
    match named {
        None => Ok(all),
        Some(name) if answers.wallets.contains_key(name) => Ok(vec![name.to_owned()]),
        // Not repeated: a key may have landed here.
        Some(_) => Err(Trouble::usage(
            "--wallet takes the name of a demo wallet",
            format!("the wallets are {}", all.join(", ")),
        )),
    }
}

/// One wallet's rescan.
struct Rescanned {
    name: String,
    party: Party,
    found: Found,
    differences: Vec<String>,
    bytes_received: u64,
}

async fn rescan_wallets(client: &Client, answers: &Answers, names: &[String]) -> Result<Vec<Rescanned>, Trouble> {
    let mut rescanned = Vec::with_capacity(names.len());
    for (name, wallet) in answers.wallets.iter().filter(|(name, _)| names.contains(name)) {
        let descriptors: Vec<String> = wallet.descriptors.iter().map(|it| it.descriptor.clone()).collect();
        let mut request = ScanRequest::new();
        let (keychains, labels) = watch::keychains(&descriptors, GAP_LIMIT_DEFAULT, None)?;
        request.keychains = keychains;
        let before = client.bytes_received();
        let found = rescan(client, request).await?;
        rescanned.push(Rescanned {
            name: name.clone(),
            party: Party::alone(labels),
            differences: found.differences(answers, wallet),
            found,
            bytes_received: client.bytes_received().saturating_sub(before),
        });
    }
    Ok(rescanned)
}

async fn rescan(client: &Client, request: ScanRequest) -> Result<Found, Trouble> {
    let mut stream = client.scan(request).await?;
    let mut history = History::new();
    while let Some(event) = stream.next().await.transpose()? {
        match event {
            ScanEvent::Report(report) => history.add(report),
            ScanEvent::Finished(summary) => {
                let part = Part { reports: history.into_reports().collect(), coins: Vec::new() };
                return Ok(Found { coins: part.ledger(), part, summary });
            }
            _ => {}
        }
    }
    Err(Trouble::failed("a scan ended without a summary", "this is a defect of rescan"))
}

/// What the same chain costs when its blocks are shipped whole.
struct Shipped {
    blocks: u64,
    bytes_received: u64,
}

async fn ship_blocks(client: &Client) -> Result<Shipped, Trouble> {
    let before = client.bytes_received();
    let range = RangeRequest { from: RangeStart::Height(Height::GENESIS), to: RangeEnd::Tip };
    let mut stream = client.blocks(range).await?;
    let mut blocks = 0;
    while let Some(event) = stream.next().await.transpose()? {
        if let BlockEvent::Block(_) = event {
            blocks += 1;
        }
    }
    Ok(Shipped { blocks, bytes_received: client.bytes_received().saturating_sub(before) })
}

/// All that one wallet did.
fn history(wallet: &Rescanned) -> String {
    let found = &wallet.found;
    let section = human::section(&wallet.party, &found.part, Deliver::History, &found.summary);
    human::scan(&[section], &found.summary, wallet.bytes_received)
}

fn wallet_table(wallets: &[Rescanned]) -> String {
    let header = ["wallet", "transactions", "in blocks", "from", "to", "coins", "total BTC", "received", "equals Core"];
    let mut table = human::table(&header, &[1, 2, 3, 4, 5, 6, 7]);
    for wallet in wallets {
        let found = &wallet.found;
        let height = |report: Option<&BlockReport>| report.map_or_else(String::new, |it| it.height.to_string());
        table.add_row([
            wallet.name.clone(),
            units::grouped(found.summary.transactions),
            found.part.reports.len().to_string(),
            height(found.part.reports.first()),
            height(found.part.reports.last()),
            found.coins.count().to_string(),
            units::bitcoin(i128::try_from(found.coins.total_sat()).unwrap_or(i128::MAX)),
            units::bytes(wallet.bytes_received),
            if wallet.differences.is_empty() {
                "yes".to_owned()
            } else {
                format!("NO: {}", wallet.differences.join(", "))
            },
        ]);
    }
    human::lines(&table)
}

/// Transactions of each wallet that are shown when all are.
const LATEST: usize = 2;

/// The end of each wallet's history: what its last transactions changed, and where.
fn latest_table(wallets: &[Rescanned]) -> String {
    let mut table = human::table(&["the last of", "height", "transaction", "change BTC", "unspent of it"], &[1, 3, 4]);
    for wallet in wallets {
        let found = &wallet.found;
        let transactions =
            found.part.reports.iter().flat_map(|report| report.transactions.iter().map(move |tx| (report, tx)));
        let transactions: Vec<_> = transactions.collect();
        for (report, transaction) in transactions.iter().rev().take(LATEST).rev() {
            let is_left = |coin: &&Coin| coin.outpoint.txid == transaction.txid;
            table.add_row([
                wallet.name.clone(),
                report.height.to_string(),
                transaction.txid.to_string(),
                units::bitcoin(change_sat(transaction)),
                units::counted(found.coins.sorted().into_iter().filter(is_left).count() as u64, "coin"),
            ]);
        }
    }
    human::lines(&table)
}

/// What a transaction added to a wallet, or took from it, in satoshi. Spends of a demo wallet are of coins that it received.
fn change_sat(transaction: &TransactionReport) -> i128 {
    let received: i128 = transaction.received.iter().map(|output| i128::from(output.value.to_sat())).sum();
    let spent: i128 = transaction.spent.iter().filter_map(|input| input.value).map(|it| i128::from(it.to_sat())).sum();
    received - spent
}

fn verdict(wallets: &[Rescanned], answers: &Answers) -> String {
    let differ: Vec<String> = wallets
        .iter()
        .filter(|wallet| !wallet.differences.is_empty())
        .map(|wallet| format!("{} ({})", wallet.name, wallet.differences.join(", ")))
        .collect();
    let core = answers.core_version();
    if differ.is_empty() {
        let equal = match wallets {
            [only] => format!("{} equals", only.name),
            all => format!("All {} wallets equal", all.len()),
        };
        format!("\n{equal} what Bitcoin Core {core} says: each transaction with its block and place, each coin.\n")
    } else {
        format!("\nNot what Bitcoin Core {core} says: {}.\n", differ.join("; "))
    }
}

fn cost(wallets: &[Rescanned], shipped: &Shipped) -> String {
    let summaries: u64 = wallets.iter().map(|wallet| wallet.bytes_received).sum();
    let rescans = u64::try_from(wallets.len()).unwrap_or(u64::MAX);
    format!(
        "\nThrough the socket: {} for {} by summaries, {} by shipping its {} whole ({} each time).\n\
         These wallets touch most blocks of a tiny chain; on a real one summaries stay this size, and blocks do not.\n\
         rescan demo --wallet NAME prints all that one of them did.\n",
        units::bytes(summaries),
        units::counted(rescans, "rescan"),
        units::bytes(shipped.bytes_received.saturating_mul(rescans)),
        units::counted(shipped.blocks, "block"),
        units::bytes(shipped.bytes_received),
    )
}
