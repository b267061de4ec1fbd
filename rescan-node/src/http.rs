//! HTTP/1.1 as Bitcoin Core's server speaks it (`src/httpserver.cpp`), on `ureq`: no TLS, no proxy,
//! no redirect.

use std::sync::Arc;
use std::time::Duration;
use std::{error, fmt, io};

use ureq::config::{AutoHeaderValue, Config};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport};
use ureq::{Agent, Timeout};

use crate::address::Address;
use crate::traffic::{Counters, RpcTraffic};

/// The time that connecting may take. A node is mostly on the same machine or network.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The longest body read, in bytes. A block in hexadecimal has up to 8 million; the activity of a
/// busy wallet in thousands of blocks stays far below this. A larger body would fill memory on the
/// word of another program.
const BODY_BYTES_MAX: u64 = 512 << 20;

/// How connections are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connections {
    /// A connection for each call, closed with its response: the faster with Bitcoin Core's server
    /// of 2026.
    #[default]
    PerCall,
    /// One connection for call after call.
    Kept,
}

/// An exchange without a response.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// No connection.
    Connect(io::Error),
    /// The connection broke, or time ran out.
    Broken(io::Error),
    /// The response is not HTTP, or too large.
    Malformed(String),
}

/// A response: its status and its body, which may be empty.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Requests to one address.
#[derive(Debug)]
pub(crate) struct Http {
    agent: Agent,
    address: Address,
    authorization: Authorization,
    connections: Connections,
    counters: Arc<Counters>,
}

impl Http {
    pub(crate) fn new(address: Address, authorization: String, connections: Connections) -> Self {
        let counters = Arc::default();
        let config = Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // Else the environment's proxy would see the password.
            .proxy(None)
            .user_agent(AutoHeaderValue::None)
            .accept(AutoHeaderValue::None)
            .max_idle_connections(usize::from(connections == Connections::Kept))
            .timeout_connect(Some(CONNECT_MAX))
            .build();
        let connector = CountedConnector { counters: Arc::clone(&counters) };
        let agent = Agent::with_parts(config, connector, NamedResolver(DefaultResolver::default()));
        Self { agent, address, authorization: Authorization(authorization), connections, counters }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn traffic(&self) -> RpcTraffic {
        self.counters.snapshot()
    }

    pub(crate) fn post(&self, path: &str, body: &[u8], timeout: Duration) -> Result<Reply, HttpError> {
        let url = format!("{}{path}", self.address);
        let mut request = self
            .agent
            .post(url)
            .config()
            .timeout_recv_response(Some(timeout))
            .timeout_recv_body(Some(timeout))
            .build()
            .header("Authorization", &self.authorization.0)
            .content_type("application/json");
        if self.connections == Connections::PerCall {
            request = request.header("Connection", "close");
        }
        self.counters.request();
        let mut response = request.send(body).map_err(http_error)?;
        if let Some(bytes) = response.body().content_length().filter(|bytes| *bytes > BODY_BYTES_MAX) {
            let detail = format!("an answer of {bytes} bytes, expected at most {BODY_BYTES_MAX}");
            return Err(HttpError::Malformed(detail));
        }
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_vec().map_err(http_error)?;
        self.counters.response();
        Ok(Reply { status, body })
    }
}

/// The value of the `Authorization` header, which `Debug` must not show.
struct Authorization(String);

impl fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Authorization(..)")
    }
}

fn http_error(error: ureq::Error) -> HttpError {
    match error {
        ureq::Error::Other(error) => match error.downcast::<ConnectFailed>() {
            Ok(failed) => HttpError::Connect(io_error(failed.0)),
            Err(other) => HttpError::Malformed(other.to_string()),
        },
        error @ (ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) | ureq::Error::HostNotFound) => {
            HttpError::Connect(io_error(error))
        }
        error @ (ureq::Error::Io(_) | ureq::Error::Timeout(_)) => HttpError::Broken(io_error(error)),
        ureq::Error::BodyExceedsLimit(limit) => HttpError::Malformed(format!("an answer of more than {limit} bytes")),
        error => HttpError::Malformed(format!("it does not speak HTTP: {error}")),
    }
}

fn io_error(error: ureq::Error) -> io::Error {
    match error {
        ureq::Error::Io(error) => error,
        ureq::Error::Timeout(_) => io::Error::new(io::ErrorKind::TimedOut, error),
        ureq::Error::HostNotFound => io::Error::new(io::ErrorKind::NotFound, "the host has no address"),
        error => io::Error::other(error),
    }
}

/// A failure before there was a connection, told apart from one of the connection.
#[derive(Debug)]
struct ConnectFailed(ureq::Error);

impl ConnectFailed {
    fn wrap(error: ureq::Error) -> ureq::Error {
        ureq::Error::Other(Box::new(Self(error)))
    }
}

impl fmt::Display for ConnectFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl error::Error for ConnectFailed {}

/// The operating system's resolver.
#[derive(Debug)]
struct NamedResolver(DefaultResolver);

impl Resolver for NamedResolver {
    fn resolve(
        &self,
        uri: &ureq::http::Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        self.0.resolve(uri, config, timeout).map_err(ConnectFailed::wrap)
    }
}

/// Connects by TCP, and counts the bytes of each socket.
#[derive(Debug)]
struct CountedConnector {
    counters: Arc<Counters>,
}

impl Connector for CountedConnector {
    type Out = CountedTransport;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Self::Out>, ureq::Error> {
        let connected = TcpConnector::default().connect(details, None::<()>).map_err(ConnectFailed::wrap)?;
        Ok(connected.map(|inner| CountedTransport { inner, counters: Arc::clone(&self.counters) }))
    }
}

#[derive(Debug)]
struct CountedTransport {
    inner: <TcpConnector as Connector>::Out,
    counters: Arc<Counters>,
}

impl Transport for CountedTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.inner.transmit_output(amount, timeout)?;
        self.counters.sent(amount);
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let before = self.inner.buffers().input().len();
        let grew = self.inner.await_input(timeout)?;
        self.counters.received(self.inner.buffers().input().len().saturating_sub(before));
        Ok(grew)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }
}
