//! Whole blocks cross, and the wallet looks through them as the server would.

use rescan_core::blocks::obfuscation::{ObfuscationKey, RawBlock};
use rescan_core::position::Height;
use rescan_core::report::TransactionReport;
use rescan_core::watching::coin_map::CoinMap;
use rescan_core::watching::matching::{BlockPlace, Matcher};

use super::{Gone, Ground, look_through_shipment};
use crate::answer::Answer;
use crate::comparison::WayId;
use crate::error::CompareError;
use crate::watched::Watched;

pub(super) async fn go(ground: Ground<'_>) -> Result<Gone, CompareError> {
    let mut wallet = MatchingWallet::new(ground.watched);
    let run = look_through_shipment(ground, |block| {
        Ok(!wallet.take(block.height, &block.data, WayId::BlocksMatched)?.is_empty())
    })
    .await?;
    Ok(Gone::Came(run, wallet.answer))
}

/// A wallet with the server's matcher, and what it has found.
pub(super) struct MatchingWallet<'w> {
    matcher: Matcher<'w>,
    coins: CoinMap,
    pub(super) answer: Answer,
}

impl<'w> MatchingWallet<'w> {
    pub(super) fn new(watched: &'w Watched) -> Self {
        let compiled = &watched.compiled;
        Self { matcher: Matcher::new(compiled), coins: CoinMap::new(compiled), answer: Answer::default() }
    }

    /// Looks through the next block; what in it matched.
    pub(super) fn take(
        &mut self,
        height: Height,
        data: &[u8],
        way: WayId,
    ) -> Result<Vec<TransactionReport>, CompareError> {
        let place = if height == Height::GENESIS { BlockPlace::Genesis } else { BlockPlace::Later };
        let block = RawBlock::new(data, ObfuscationKey::CLEAR);
        let matches = self.matcher.match_block(block, place, &mut self.coins);
        let matches = matches.map_err(CompareError::malformed(way, height))?;
        matches.iter().for_each(|transaction| self.answer.add(height, transaction));
        Ok(matches)
    }
}
