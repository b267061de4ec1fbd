//! The server looks, and what matched crosses.

use futures::StreamExt;

use super::{Gone, Ground, unsaid};
use crate::answer::Answer;
use crate::error::CompareError;
use rescan_client::ScanEvent;
use rescan_client::ScanRequest;

pub(super) async fn go(ground: Ground<'_>) -> Result<Gone, CompareError> {
    let Ground { asked: client, meter, pinned, watched } = ground;
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
                return Ok(Gone::Came(run, answer));
            }
            Some(_) => {}
            None => return Err(unsaid()),
        }
    }
}
