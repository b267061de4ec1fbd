//! The bodies of JSON-RPC 2.0: one request, one response.
//!
//! Before version 28, Bitcoin Core answers as JSON-RPC 1.1: `error` is null beside a result. Both
//! forms are read.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// A call.
#[derive(Serialize)]
pub(crate) struct Request<'a> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: &'a RawValue,
}

impl<'a> Request<'a> {
    pub(crate) fn new(id: u64, method: &'a str, params: &'a RawValue) -> Self {
        Self { jsonrpc: "2.0", id, method, params }
    }
}

/// The node's answer to a call.
#[derive(Deserialize)]
pub(crate) struct Response<'a> {
    /// Null where the node could not read the request.
    pub(crate) id: Option<u64>,
    /// A result may be null; `None` means that there is none.
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) result: Option<&'a RawValue>,
    pub(crate) error: Option<ErrorObject>,
}

/// The error of a response.
#[derive(Deserialize)]
pub(crate) struct ErrorObject {
    pub(crate) code: i32,
    #[serde(default)]
    pub(crate) message: String,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}
