//! The server filters, and sends summaries of matches.

use futures::StreamExt;
use rescan_client::{ScanEvent, ScanRequest};

use super::{Context, Outcome};
use crate::answer::Answer;
use crate::error::CompareError;
use crate::inputs::missing_summary;

pub(super) async fn run(context: Context<'_>) -> Result<Outcome, CompareError> {
    let Context { peer: client, meter, pinned, watched } = context;
    let mut request = ScanRequest::new();
    request.scripts = watched.scripts.clone();
    let watch_set = client.watch(request).await?;
    watch_set.ready().await?;
    let mut answer = Answer::default();
    let mut running = meter.start(pinned.range.count()).await?;
    let mut stream = watch_set.scan(pinned.request()).await?;
    loop {
        match stream.next().await.transpose()? {
            Some(ScanEvent::Report(report)) => {
                running.matched();
                running.reached(report.height);
                report.transactions.iter().for_each(|transaction| answer.add(report.height, transaction));
            }
            Some(ScanEvent::Finished(summary)) => {
                let run = running.finish(pinned.range.last());
                pinned.check(&summary)?;
                return Ok(Outcome::Answered(run, answer));
            }
            Some(_) => {}
            None => return Err(missing_summary()),
        }
    }
}
