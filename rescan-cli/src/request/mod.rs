//! From arguments to a scan request: descriptors, wallets, range, and the server to send it to.

mod birthday;
mod birthdays;
mod fill_options;
mod forms;
mod given;
mod interpreted;
mod node;
mod socket;
mod wallets_file;
mod watch_request;

pub(crate) use self::birthday::check_birthday;
pub(crate) use self::fill_options::fill_options;
pub(crate) use self::forms::read_descriptors;
pub(crate) use self::given::{Birthday, GivenDescriptor};
pub(crate) use self::interpreted::Interpreted;
pub(crate) use self::node::rpc_client;
pub(crate) use self::socket::{connect, connect_beside, socket_path};
pub(crate) use self::watch_request::WatchRequest;
