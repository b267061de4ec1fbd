//! A watch set on the server that any number of scans are made of, one after the other or at once.
//!
//! It is uploaded and sealed once, as soon as it is sent, by a task on the connection's thread. Dropping the handle lets
//! go of it on the server; scans that run go on.

use tokio::sync::mpsc;

use crate::connection::{self, Connection};
use crate::error::CallError;
use crate::request::ScanRequest;
use crate::scan_stream::{self, ScanStream};
use crate::scan_task::{Order, Terms};

/// Scans on their way to the task, which takes each at once.
const ORDERS_MAX: usize = 4;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct WatchedSet {
    connection: Connection,
    orders: mpsc::Sender<Order>,
}

impl WatchedSet {
    /// What `request` watches. What cannot be watched is said by each of its scans.
    pub(crate) async fn send(connection: &Connection, request: ScanRequest) -> Result<Self, CallError> {
        let (orders, waiting) = mpsc::channel(ORDERS_MAX);
        connection.watch(request, waiting).await?;
        Ok(Self { connection: connection.clone(), orders })
    }

    /// Scans for it.
    pub(crate) async fn scan(&self, terms: Terms) -> Result<ScanStream, CallError> {
        let (inflow, pipe) = scan_stream::open(&self.connection);
        let taken = self.orders.send(Order { terms, pipe }).await;
        taken.map_err(|_order| connection::thread_gone())?;
        Ok(ScanStream::new(inflow))
    }
}
