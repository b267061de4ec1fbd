//! From arguments to a scan request: descriptors, wallets, range, and the server to send it to.

mod birthday;
mod birthdays;
mod fill_request;
mod forms;
mod given;
mod imports;
mod keychains;
mod node;
mod node_wallet;
mod socket;
mod wallets_file;
mod watch_request;

pub(crate) use self::birthday::check_birthday;
pub(crate) use self::fill_request::FillRequest;
pub(crate) use self::given::GivenDescriptor;
pub(crate) use self::keychains::Keychains;
pub(crate) use self::node::rpc_client;
pub(crate) use self::socket::{connect, connect_beside, socket_path_beside};
pub(crate) use self::watch_request::WatchRequest;
