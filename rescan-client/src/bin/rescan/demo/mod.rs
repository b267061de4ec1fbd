//! `rescan demo`: the whole of rescan with nothing but its own two programs.
//!
//! It serves a datadir that Bitcoin Core wrote, rescans every wallet in it over a private socket, and compares each with
//! what Core itself said. Then it ships the same blocks whole, to count what that costs.

mod answers;
mod datadir;
mod server;

use futures::StreamExt;
use rescan_client::coins::CoinLedger;
use rescan_client::position::Height;
use rescan_client::{BlockEvent, Client, RangeEnd, RangeRequest, RangeStart, ScanEvent, ScanRequest};

use crate::args::DemoArgs;
use crate::exit_code::Exit;
use crate::output::{Output, human, units};
use crate::trouble::Trouble;
use crate::watch;
use answers::{Answers, Found, Wallet};
use datadir::DemoDir;
use server::Server;

pub(crate) async fn run(args: &DemoArgs) -> Result<Exit, Trouble> {
    let program = server::find(args.server.as_deref())?;
    // Declared before the server, and so removed after it has ended.
    let dir = DemoDir::unpack()?;
    let answers = dir.answers()?;
    let mut server = Server::start(&program, &dir)?;
    let client = server.connect().await?;
    let mut output = Output::stdout();
    output.text(&format!(
        "A regtest chain of {} that Bitcoin Core {} wrote,\nserved by {} on {}\n\n",
        units::counted(u64::from(answers.tip_height) + 1, "block"),
        answers.core_version(),
        client.greeting().software,
        dir.socket().display(),
    ))?;
    output.flush()?;
    let wallets = rescan_wallets(&client, &answers).await?;
    let blocks = ship_blocks(&client).await?;
    server.stop()?;
    output.text(&wallet_table(&wallets, &answers))?;
    output.text(&verdict(&wallets, &answers))?;
    output.text(&cost(&wallets, &blocks))?;
    output.finish()?;
    let all_equal = wallets.iter().all(|wallet| wallet.differences.is_empty());
    Ok(if all_equal { Exit::Complete } else { Exit::Failed })
}

/// One wallet's rescan.
struct Rescanned {
    name: String,
    found: Found,
    differences: Vec<String>,
    bytes_received: u64,
}

async fn rescan_wallets(client: &Client, answers: &Answers) -> Result<Vec<Rescanned>, Trouble> {
    let mut rescanned = Vec::with_capacity(answers.wallets.len());
    for (name, wallet) in &answers.wallets {
        let before = client.bytes_received();
        let found = rescan(client, wallet).await?;
        rescanned.push(Rescanned {
            name: name.clone(),
            differences: found.differences(answers, wallet),
            found,
            bytes_received: client.bytes_received().saturating_sub(before),
        });
    }
    Ok(rescanned)
}

async fn rescan(client: &Client, wallet: &Wallet) -> Result<Found, Trouble> {
    let mut request = ScanRequest::new();
    let descriptors: Vec<String> = wallet.descriptors.iter().map(|it| it.descriptor.clone()).collect();
    watch::add_descriptors(&mut request, &descriptors)?;
    let mut stream = client.scan(request).await?;
    let (mut reports, mut coins) = (Vec::new(), CoinLedger::new());
    while let Some(event) = stream.next().await.transpose()? {
        match event {
            ScanEvent::Report(report) => {
                coins.apply(&report);
                reports.push(report);
            }
            ScanEvent::Finished(summary) => return Ok(Found { reports, coins, summary }),
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

fn wallet_table(wallets: &[Rescanned], answers: &Answers) -> String {
    let header =
        ["wallet", "descriptors", "transactions", "blocks with any", "coins", "total BTC", "received", "equals Core"];
    let mut table = human::table(&header, &[1, 2, 3, 4, 5, 6]);
    for wallet in wallets {
        let found = &wallet.found;
        let descriptors = answers.wallets.get(&wallet.name).map_or(0, |wallet| wallet.descriptors.len());
        table.add_row([
            wallet.name.clone(),
            descriptors.to_string(),
            units::grouped(found.summary.transactions),
            found.reports.len().to_string(),
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

fn verdict(wallets: &[Rescanned], answers: &Answers) -> String {
    let equal = wallets.iter().filter(|wallet| wallet.differences.is_empty()).count();
    let core = answers.core_version();
    if equal == wallets.len() {
        format!(
            "\nAll {equal} equal what Bitcoin Core {core} says: each transaction with its block and place, each coin, each total.\n"
        )
    } else {
        format!("\n{} of {} differ from what Bitcoin Core {core} says.\n", wallets.len() - equal, wallets.len())
    }
}

fn cost(wallets: &[Rescanned], shipped: &Shipped) -> String {
    let quietest = wallets.iter().min_by_key(|wallet| wallet.bytes_received);
    let busiest = wallets.iter().max_by_key(|wallet| wallet.bytes_received);
    let (Some(quietest), Some(busiest)) = (quietest, busiest) else { return String::new() };
    format!(
        "\nWhat crossed the socket for one rescan:\n  the {} whole: {}\n  their summaries: {} ({}) to {} ({})\n\
         These wallets touch nearly every block of a tiny chain; on a real one summaries stay this size, and blocks do not.\n",
        units::counted(shipped.blocks, "block"),
        units::bytes(shipped.bytes_received),
        units::bytes(quietest.bytes_received),
        quietest.name,
        units::bytes(busiest.bytes_received),
        busiest.name,
    )
}
