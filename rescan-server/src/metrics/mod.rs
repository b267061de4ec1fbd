//! Metrics: live counters, and their export to Prometheus over a Unix socket or the loopback interface.

mod address;
pub(crate) mod counters;
mod exporter;
mod http;
mod text;

pub use self::address::{MetricsAddress, MetricsAddressError};
pub(crate) use self::exporter::MetricsListener;
pub use self::exporter::{MetricsError, REQUEST_BYTES_MAX, RESPONSE_TIME_MAX, SCRAPERS_MAX};
