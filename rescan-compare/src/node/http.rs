//! HTTP to a node's RPC, with every byte counted: one connection that is kept, one request after another.
//!
//! It speaks what Bitcoin Core's server does (`src/httpserver.cpp`): bodies with their length told, no chunks, no TLS. The
//! transport of `jsonrpc` itself does not let its socket be counted, and reads a block's megabytes one byte at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{error, fmt};

use jsonrpc::base64::Engine;
use jsonrpc::base64::engine::general_purpose::STANDARD;
use jsonrpc::{Request, Response, Transport, serde_json};

use super::address::Address;
use rescan_client::{ByteCount, Traffic};

/// How long a node may take to accept a connection: it is mostly on the same machine.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long a node may say nothing. It scans all its filters within one call, which takes minutes.
const SILENCE_MAX: Duration = Duration::from_secs(3_600);

/// The longest line of a response's head, in bytes.
const LINE_BYTES_MAX: u64 = 16 << 10;

/// The longest body, in bytes: a block in hexadecimal digits has 8 million, what a busy wallet did in a thousand blocks less
/// than that.
const BODY_BYTES_MAX: u64 = 512 << 20;

/// What is set aside for a body before it has come.
const BODY_BYTES_RESERVED_MAX: u64 = 16 << 20;

/// Why there was no response to speak of.
#[derive(Debug)]
pub(super) enum HttpError {
    /// No connection.
    Connect(io::Error),
    /// The connection broke.
    Broken(io::Error),
    /// A response with this status and without an answer in it.
    Status(u16),
    /// A response that is none.
    Malformed(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) | Self::Broken(error) => write!(formatter, "{error}"),
            Self::Status(status) => write!(formatter, "status {status}"),
            Self::Malformed(detail) => write!(formatter, "{detail}"),
        }
    }
}

impl error::Error for HttpError {}

/// What crossed so far; raised by the transport, read by anyone.
#[derive(Debug, Default)]
pub(super) struct HttpTraffic {
    received_bytes: AtomicU64,
    responses: AtomicU64,
    sent_bytes: AtomicU64,
    requests: AtomicU64,
}

impl HttpTraffic {
    /// A request and a response count as a message each.
    pub(super) fn get(&self) -> Traffic {
        // Relaxed: the counts order nothing.
        let crossed = |bytes: &AtomicU64, messages: &AtomicU64| ByteCount {
            bytes: bytes.load(Ordering::Relaxed),
            messages: messages.load(Ordering::Relaxed),
        };
        Traffic {
            received: crossed(&self.received_bytes, &self.responses),
            sent: crossed(&self.sent_bytes, &self.requests),
        }
    }
}

/// The connection to a node.
#[derive(Debug)]
pub(super) struct HttpTransport {
    address: Address,
    /// What stands behind `Authorization: `.
    credentials: String,
    connection: Mutex<Option<BufReader<Counted>>>,
    traffic: Arc<HttpTraffic>,
}

impl HttpTransport {
    /// To that address, as whoever the cookie names. It connects with the first request.
    pub(super) fn new(address: Address, cookie: &str, traffic: Arc<HttpTraffic>) -> Self {
        let credentials = format!("Basic {}", STANDARD.encode(cookie));
        Self { address, credentials, connection: Mutex::default(), traffic }
    }

    fn exchange(&self, body: &[u8]) -> Result<Response, HttpError> {
        let request = self.request(body);
        let mut kept = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        // A node closes connections that say nothing for half a minute; a request that met that is made again.
        let mut reader = match kept.take().map(|reader| self.ask(reader, &request)) {
            Some(Ok(reader)) => reader,
            Some(Err(_closed)) => self.ask(self.connect()?, &request).map_err(HttpError::Broken)?,
            None => self.ask(self.connect()?, &request).map_err(HttpError::Broken)?,
        };
        let head = Head::read(&mut reader)?;
        let body = head.body(&mut reader)?;
        if !head.closes {
            *kept = Some(reader);
        }
        self.traffic.responses.fetch_add(1, Ordering::Relaxed);
        // A refused call has its reason in the body, whatever the status.
        serde_json::from_slice(&body).map_err(|error| match head.status {
            200 => HttpError::Malformed(format!("the answer is no JSON-RPC: {error}")),
            status => HttpError::Status(status),
        })
    }

    fn request(&self, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address.authority(),
            self.credentials,
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    /// Sends, and waits for the first byte of the response.
    fn ask(&self, mut reader: BufReader<Counted>, request: &[u8]) -> io::Result<BufReader<Counted>> {
        reader.get_mut().stream.write_all(request)?;
        self.traffic.sent_bytes.fetch_add(request.len() as u64, Ordering::Relaxed); // usize has at most 64 bits
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        if reader.fill_buf()?.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(reader)
    }

    fn connect(&self) -> Result<BufReader<Counted>, HttpError> {
        let Address { host, port } = &self.address;
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (host.as_str(), *port).to_socket_addrs().map_err(HttpError::Connect)? {
            match TcpStream::connect_timeout(&address, CONNECT_MAX).and_then(prepared) {
                Ok(stream) => {
                    return Ok(BufReader::new(Counted { stream, traffic: Arc::clone(&self.traffic) }));
                }
                Err(error) => failure = error,
            }
        }
        Err(HttpError::Connect(failure))
    }
}

fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    Ok(stream)
}

impl Transport for HttpTransport {
    fn send_request(&self, request: Request<'_>) -> Result<Response, jsonrpc::Error> {
        let body = serde_json::to_vec(&request)?;
        self.exchange(&body).map_err(|error| jsonrpc::Error::Transport(Box::new(error)))
    }

    fn send_batch(&self, _requests: &[Request<'_>]) -> Result<Vec<Response>, jsonrpc::Error> {
        // Nobody here asks for more than one thing at a time.
        Err(jsonrpc::Error::EmptyBatch)
    }

    fn fmt_target(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.address)
    }
}

/// A socket whose incoming bytes are counted.
#[derive(Debug)]
struct Counted {
    stream: TcpStream,
    traffic: Arc<HttpTraffic>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(into)?;
        self.traffic.received_bytes.fetch_add(read as u64, Ordering::Relaxed); // usize has at most 64 bits
        Ok(read)
    }
}

/// What of a response's head matters.
struct Head {
    status: u16,
    body_bytes: Option<u64>,
    closes: bool,
}

impl Head {
    fn read(reader: &mut impl BufRead) -> Result<Self, HttpError> {
        let first = line(reader)?;
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .or_else(|| first.strip_prefix("HTTP/1.0 "))
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .ok_or_else(|| HttpError::Malformed("it does not speak HTTP".to_owned()))?;
        let mut head = Self { status, body_bytes: None, closes: false };
        loop {
            let line = line(reader)?.to_ascii_lowercase();
            let Some((name, value)) = line.split_once(':') else { break };
            match (name, value.trim()) {
                ("content-length", length) => head.body_bytes = length.parse().ok(),
                ("connection", "close") => head.closes = true,
                ("transfer-encoding", coding) => {
                    return Err(HttpError::Malformed(format!("its answer comes {coding}")));
                }
                _ => {}
            }
        }
        Ok(head)
    }

    fn body(&self, reader: &mut impl Read) -> Result<Vec<u8>, HttpError> {
        let expected = match self.body_bytes {
            Some(bytes) if bytes > BODY_BYTES_MAX => {
                let detail = format!("an answer of {bytes} bytes, more than the {BODY_BYTES_MAX} that are read");
                return Err(HttpError::Malformed(detail));
            }
            Some(bytes) => bytes,
            // A 401 has none.
            None => 0,
        };
        let reserved = usize::try_from(expected.min(BODY_BYTES_RESERVED_MAX)).unwrap_or(0);
        let mut body = Vec::with_capacity(reserved);
        reader.take(expected).read_to_end(&mut body).map_err(HttpError::Broken)?;
        if (body.len() as u64) < expected {
            return Err(HttpError::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(body)
    }
}

/// The next line of a head, without its end.
fn line(reader: &mut impl BufRead) -> Result<String, HttpError> {
    let mut line = Vec::new();
    reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(HttpError::Broken)?;
    let text = std::str::from_utf8(&line).ok().and_then(|line| line.strip_suffix("\r\n"));
    text.map(str::to_owned).ok_or_else(|| HttpError::Malformed("it does not speak HTTP".to_owned()))
}
