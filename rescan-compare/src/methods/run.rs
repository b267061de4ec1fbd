//! One run of one method.

use super::{
    Context, Outcome, blocks_decoded, blocks_matched, node_get_block, node_scan_blocks, request_per_block, summaries,
};
use crate::error::CompareError;
use crate::method::Method;
use crate::node::Node;

/// A method with its context.
#[derive(Clone, Copy)]
pub(crate) enum MethodRun<'c> {
    Summaries(Context<'c>),
    BlocksMatched(Context<'c>),
    BlocksDecoded(Context<'c>),
    RequestPerBlock(Context<'c>),
    NodeScanBlocks(Context<'c, &'c Node>),
    NodeGetBlock(Context<'c, &'c Node>),
}

impl<'c> MethodRun<'c> {
    /// [`Method::OF_SERVER`].
    pub(crate) fn of_server(context: Context<'c>) -> [Self; 4] {
        [Self::Summaries, Self::BlocksMatched, Self::BlocksDecoded, Self::RequestPerBlock].map(|method| method(context))
    }

    /// [`Method::OF_NODE`].
    pub(crate) fn of_node(context: Context<'c, &'c Node>) -> [Self; 2] {
        [Self::NodeScanBlocks, Self::NodeGetBlock].map(|method| method(context))
    }

    pub(crate) fn method(self) -> Method {
        match self {
            Self::Summaries(_) => Method::Summaries,
            Self::BlocksMatched(_) => Method::BlocksMatched,
            Self::BlocksDecoded(_) => Method::BlocksDecoded,
            Self::RequestPerBlock(_) => Method::RequestPerBlock,
            Self::NodeScanBlocks(_) => Method::NodeScanBlocks,
            Self::NodeGetBlock(_) => Method::NodeGetBlock,
        }
    }

    /// Runs the method once.
    ///
    /// # Errors
    /// [`CompareError`] if there is no answer over the pinned blocks, for another reason than a
    /// method that the server or node lacks: that is [`Outcome::LeftOut`].
    pub(crate) async fn run(self) -> Result<Outcome, CompareError> {
        let outcome = match self {
            Self::Summaries(context) => summaries::run(context).await,
            Self::BlocksMatched(context) => blocks_matched::run(context).await,
            Self::BlocksDecoded(context) => blocks_decoded::run(context).await,
            Self::RequestPerBlock(context) => request_per_block::run(context).await,
            Self::NodeScanBlocks(context) => node_scan_blocks::run(context).await,
            Self::NodeGetBlock(context) => node_get_block::run(context).await,
        };
        match outcome {
            Err(CompareError::Node(error)) if error.is_lack() => Ok(Outcome::LeftOut(error.to_string())),
            outcome => outcome,
        }
    }
}
