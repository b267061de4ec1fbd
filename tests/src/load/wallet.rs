//! Wallets that behave: a scan again and again, whose answer and duration are looked at.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use rescan_client::{Client, ScanEvent, ScanRequest};

use super::behaviour::{Against, Tally};

/// A well-behaved wallet's scans.
#[derive(Clone, Debug, Default)]
pub struct Scans {
    /// How long each took.
    pub durations: Vec<Duration>,
    /// The errors.
    pub broken: Vec<String>,
}

impl Scans {
    /// The duration that half of them stayed below; zero without any.
    #[must_use]
    pub fn median(&self) -> Duration {
        let mut sorted = self.durations.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    /// The longest; zero without any.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.durations.iter().max().copied().unwrap_or_default()
    }
}

/// Scans while `continues` returns true, each time on a new connection, at least once.
pub(super) fn scans(against: &Against<'_>, continues: impl Fn(&Scans) -> bool) -> Scans {
    block_on(async {
        let mut scans = Scans::default();
        loop {
            let began = Instant::now();
            match Client::connect(against.socket).await {
                Ok(client) => match scan(&client, against.request).await {
                    Ok(found) if found == against.transactions => scans.durations.push(began.elapsed()),
                    Ok(found) => scans.broken.push(format!("{found} of {} transactions", against.transactions)),
                    Err(error) => scans.broken.push(error),
                },
                Err(error) => scans.broken.push(format!("cannot connect: {error}")),
            }
            if !continues(&scans) || scans.broken.len() > 3 {
                return scans;
            }
        }
    })
}

/// Clients with this many concurrent scans each, all of which must return the right answer.
pub(super) fn many(against: &Against<'_>, (clients, scans_each): (usize, usize)) -> Tally {
    let client = async |_number: usize| {
        let mut tally = Tally::default();
        let Ok(client) = Client::connect(against.socket).await else {
            tally.broken.push("a client is not taken".to_owned());
            return tally;
        };
        while Instant::now() < against.deadline && tally.broken.is_empty() {
            for found in join_all((0..scans_each).map(|_| scan(&client, against.request))).await {
                tally.times += 1;
                match found {
                    Ok(found) if found == against.transactions => {}
                    Ok(found) => tally.broken.push(format!("{found} of {} transactions", against.transactions)),
                    Err(error) => tally.broken.push(error),
                }
            }
        }
        tally
    };
    together((0..clients).map(client).collect())
}

/// Runs clients beside one another, and adds up their counts.
pub(super) fn together(clients: Vec<impl Future<Output = Tally>>) -> Tally {
    block_on(join_all(clients)).into_iter().fold(Tally::default(), |mut all, one| {
        all.times += one.times;
        all.broken.extend(one.broken);
        all
    })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

/// The number of transactions that a scan reports; its summary must have the same count.
async fn scan(client: &Client, request: &ScanRequest) -> Result<u64, String> {
    let mut stream = client.scan(request.clone()).await.map_err(|error| error.to_string())?;
    let mut found = 0;
    while let Some(event) = stream.next().await {
        match event.map_err(|error| error.to_string())? {
            ScanEvent::Report(report) => found += report.transactions.len() as u64, // usize has at most 64 bits
            ScanEvent::Finished(summary) if summary.transactions == found => return Ok(found),
            ScanEvent::Finished(summary) => {
                return Err(format!("{} in the summary, {found} reported", summary.transactions));
            }
            _ => {}
        }
    }
    Err("the scan has no end".to_owned())
}
