//! The arguments of the command line.
//!
//! Checks the form of each and their combinations; the module `request` turns them into a scan request. No message repeats a
//! value that could hold a key.

mod birthday;
mod checkpoint;
mod command;
mod compare;
mod fill;
mod follow;
mod node;
mod repeated;
mod scan;
mod server;
mod start;
mod usage_error;
mod watch;
mod watched;

pub(crate) use self::checkpoint::CheckpointArgs;
pub use self::command::command;
pub(crate) use self::command::{Command, DemoArgs, InfoArgs, parse};
pub(crate) use self::compare::CompareArgs;
pub(crate) use self::fill::FillArgs;
pub(crate) use self::follow::FollowArgs;
pub(crate) use self::node::NodeArgs;
pub(crate) use self::repeated::{refuse_descriptor, refuse_key};
pub(crate) use self::scan::ScanArgs;
pub(crate) use self::server::{NetworkName, SocketArgs};
pub(crate) use self::start::StartArgs;
pub(crate) use self::watch::WatchArgs;
pub(crate) use self::watched::WatchedArgs;

/// Headings of the help, in the order of its options.
const WATCHED: &str = "Watched scripts";
const BLOCKS: &str = "Blocks";
const PRINTED: &str = "Output";
const SERVER: &str = "Server";
const NODE: &str = "Node";
