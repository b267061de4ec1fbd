//! A connection to a node's JSON-RPC port, for measurements in which the start of `bitcoin-cli`
//! would dominate.
//!
//! It speaks as much HTTP as the node's own server needs: one call at a time, on one connection.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::live_node::LiveNode;

/// The base64 alphabet.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A node that takes calls.
#[derive(Debug)]
pub struct JsonRpc {
    stream: BufReader<TcpStream>,
    authorization: String,
}

impl JsonRpc {
    /// Connects with the credentials of the node's cookie file.
    ///
    /// # Errors
    ///
    /// If the operating system fails.
    pub async fn connect(node: &LiveNode) -> Result<Self> {
        let cookie = std::fs::read(node.datadir().join("regtest").join(".cookie"))?;
        let stream = TcpStream::connect(("127.0.0.1", node.rpc_port())).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), authorization: base64(&cookie) })
    }

    /// The whole answer to a call, whose parameters are a JSON array.
    ///
    /// # Errors
    ///
    /// If the operating system fails, or the answer is an error or malformed.
    pub async fn call(&mut self, method: &str, parameters: &str) -> Result<String> {
        let body = format!(r#"{{"jsonrpc":"1.0","id":0,"method":"{method}","params":{parameters}}}"#);
        let (authorization, length) = (&self.authorization, body.len());
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {authorization}\r\nContent-Length: {length}\r\n\r\n"
        );
        self.stream.write_all((head + &body).as_bytes()).await?;
        let (mut status, mut length) = (String::new(), None);
        self.stream.read_line(&mut status).await?;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).await?;
            match line.trim().split_once(": ") {
                Some(("Content-Length", bytes)) => length = bytes.parse().ok(),
                Some(_) => {}
                None => break,
            }
        }
        let not_understood = || Error::new(ErrorKind::InvalidData, format!("no length in the answer: {status}"));
        let mut answer = vec![0; length.ok_or_else(not_understood)?];
        self.stream.read_exact(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        if status.starts_with("HTTP/1.1 200") { Ok(answer) } else { Err(Error::other(answer)) }
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    let four = |three: &[u8]| {
        let bits = (0..3).fold(0_usize, |bits, at| bits << 8 | usize::from(three.get(at).copied().unwrap_or(0)));
        (0..4).map(move |at| (at, bits >> (18 - 6 * at) & 63)).map({
            let len = three.len();
            move |(at, digit)| if at > len { '=' } else { char::from(DIGITS[digit]) }
        })
    };
    bytes.chunks(3).flat_map(four).collect()
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_the_standard() {
        // Its section 10.
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
