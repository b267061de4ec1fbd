//! Errors of a comparison, each with the next step.

use rescan_compare::report::ReportError;
use rescan_compare::{CompareError, NodeError};
use rescan_core::causes::with_causes;

use super::CliError;

impl From<CompareError> for CliError {
    fn from(error: CompareError) -> Self {
        let hint = match error {
            CompareError::Scan(error) => return error.into(),
            CompareError::Node(error) => return error.into(),
            CompareError::NoBlocks => {
                "is the node still at its first blocks? `rescan info` shows the server's tip".to_owned()
            }
            CompareError::Pruned { lowest } => format!("compare from there: --from-height {lowest}"),
            CompareError::Reorganised { .. } => {
                "no result; run it again, or with --to-height a few blocks below the tip".to_owned()
            }
            CompareError::Thread(_) => "the operating system refused; check its limits (ulimit -a)".to_owned(),
            _ => "this is a bug in rescan or rescan-server; please report it: if results differ, a scan may be wrong"
                .to_owned(),
        };
        Self::failed(with_causes(&error), hint)
    }
}

impl From<NodeError> for CliError {
    fn from(error: NodeError) -> Self {
        Self::failed(
            with_causes(&error),
            "without an option of a node (--datadir, --bitcoin-rpc), only the methods over the server's socket are compared",
        )
    }
}

impl From<ReportError> for CliError {
    fn from(error: ReportError) -> Self {
        Self::failed(with_causes(&error), "name another folder with --report; an older report there was not changed")
    }
}
