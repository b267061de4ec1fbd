//! Bytes that are not what the chain says they are, and requests to stop.

use std::sync::Arc;

use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{FailureKind, FailurePlace, Outcome};
use rescan_core::request::Verify;
use rescan_fixtures::chain_builder::{ChainBuilder, Record};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_server::block_file::Access;
use rescan_server::cancel::Cancel;
use rescan_server::scan::{BlockReader, Scan, ScanPlan, SegmentSize, WorkerPool};

use crate::{Manner, ReadChain, scan, watch_scripts};
