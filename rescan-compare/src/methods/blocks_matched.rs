//! The server sends whole blocks, and the wallet filters them as the server would.

use rescan_core::blocks::obfuscation::{ObfuscationKey, RawBlock};
use rescan_core::position::Height;
use rescan_core::report::TransactionReport;
use rescan_core::watching::coin_map::CoinMap;
use rescan_core::watching::matching::{BlockPlace, Matcher};

use super::{Context, Outcome, shipped_blocks};
use crate::answer::Answer;
use crate::error::CompareError;
use crate::inputs::WatchedScripts;
use crate::method::Method;

pub(super) async fn run(context: Context<'_>) -> Result<Outcome, CompareError> {
    let mut wallet = MatchingWallet::new(context.watched);
    let run = shipped_blocks::run(context, |block| {
        Ok(!wallet.take(block.height, &block.data, Method::BlocksMatched)?.is_empty())
    })
    .await?;
    Ok(Outcome::Answered(run, wallet.answer))
}

/// A wallet with the server's matcher, and its answer so far.
pub(super) struct MatchingWallet<'w> {
    matcher: Matcher<'w>,
    coins: CoinMap,
    pub(super) answer: Answer,
}

impl<'w> MatchingWallet<'w> {
    pub(super) fn new(watched: &'w WatchedScripts) -> Self {
        let compiled = &watched.compiled;
        Self { matcher: Matcher::new(compiled), coins: CoinMap::new(compiled), answer: Answer::default() }
    }

    /// Filters the next block; returns its matches.
    ///
    /// # Errors
    /// [`CompareError::Malformed`] if it is no block.
    pub(super) fn take(
        &mut self,
        height: Height,
        data: &[u8],
        method: Method,
    ) -> Result<Vec<TransactionReport>, CompareError> {
        let place = if height == Height::GENESIS { BlockPlace::Genesis } else { BlockPlace::Later };
        let block = RawBlock::new(data, ObfuscationKey::CLEAR);
        let matches = self.matcher.match_block(block, place, &mut self.coins);
        let matches = matches.map_err(CompareError::malformed(method, height))?;
        matches.iter().for_each(|transaction| self.answer.add(height, transaction));
        Ok(matches)
    }
}
