//! The minimal HTTP for a scraper: one request per connection, of which only `GET /metrics` succeeds.
//!
//! It keeps no connection open, reads no body, and uses no header: `httparse` only finds their end. The caller limits the
//! time.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::exporter::REQUEST_BYTES_MAX;

/// The most headers of a request. Prometheus sends six.
const HEADERS_MAX: usize = 64;

/// The format of `prometheus-client`, OpenMetrics 1.0, under the name that Prometheus expects.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

/// The state of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// Its end has not arrived.
    Incomplete,
    Metrics,
    /// Another page.
    OtherPage,
    /// A method other than GET.
    OtherMethod,
    /// Not HTTP.
    Malformed,
    /// No end within [`REQUEST_BYTES_MAX`].
    TooLarge,
}

/// Reads one request and answers it. Every error ends the connection.
pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, metrics: impl FnOnce() -> String) {
    let mut bytes = Vec::with_capacity(1 << 10);
    let request = loop {
        match parse(&bytes) {
            Request::Incomplete => {}
            request => break request,
        }
        match stream.read_buf(&mut bytes).await {
            // The peer left before the end of its request.
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    };
    let response = match request {
        Request::Metrics => response("200 OK", METRICS_TYPE, "", &metrics()),
        Request::OtherMethod => {
            response("405 Method Not Allowed", TEXT_TYPE, "Allow: GET\r\n", "only GET is answered\n")
        }
        Request::OtherPage => response("404 Not Found", TEXT_TYPE, "", "metrics are at /metrics\n"),
        Request::TooLarge => {
            response("431 Request Header Fields Too Large", TEXT_TYPE, "", "the request is too large\n")
        }
        Request::Malformed | Request::Incomplete => {
            response("400 Bad Request", TEXT_TYPE, "", "expected an HTTP request\n")
        }
    };
    // A failed write needs no answer.
    if stream.write_all(response.as_bytes()).await.is_ok() {
        let _taken = stream.shutdown().await;
    }
}

fn parse(request: &[u8]) -> Request {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(request.get(..REQUEST_BYTES_MAX).unwrap_or(request)) {
        Ok(httparse::Status::Partial) if request.len() < REQUEST_BYTES_MAX => Request::Incomplete,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => Request::TooLarge,
        Ok(httparse::Status::Complete(_)) => match (parsed.method, parsed.path) {
            (Some("GET"), Some(path)) if path.split('?').next() == Some("/metrics") => Request::Metrics,
            (Some("GET"), _) => Request::OtherPage,
            _ => Request::OtherMethod,
        },
        Err(_not_http) => Request::Malformed,
    }
}

fn response(status: &str, content_type: &str, more: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{more}Connection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_get_of_the_metrics_page_succeeds() {
        for (request, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", Request::Metrics),
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", Request::Metrics),
            ("GET / HTTP/1.1\r\n\r\n", Request::OtherPage),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", Request::OtherPage),
            ("POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", Request::OtherMethod),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n", Request::Incomplete),
            ("", Request::Incomplete),
            ("\0\0\0\0", Request::Malformed),
            ("GET /metrics SMTP/1.1\r\n\r\n", Request::Malformed),
        ] {
            assert_eq!(parse(request.as_bytes()), expected, "{request:?}");
        }
    }

    #[test]
    fn a_request_without_end_is_too_large_at_the_limit() {
        let endless = format!("GET /metrics HTTP/1.1\r\nX: {}", "y".repeat(2 * REQUEST_BYTES_MAX));
        assert_eq!(parse(&endless.as_bytes()[..REQUEST_BYTES_MAX - 1]), Request::Incomplete);
        assert_eq!(parse(&endless.as_bytes()[..REQUEST_BYTES_MAX]), Request::TooLarge);
        assert_eq!(parse(endless.as_bytes()), Request::TooLarge);
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(parse(many.as_bytes()), Request::TooLarge);
    }

    #[test]
    fn a_response_is_as_long_as_it_says() {
        let response = response("200 OK", TEXT_TYPE, "", "fünf\n");
        assert!(response.contains("Content-Length: 6\r\n") && response.ends_with("\r\n\r\nfünf\n"), "{response}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_more_bytes_never_make_a_request_unfinished_again(
            request in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut finished = false;
            for end in 0..=request.len() {
                let is_finished = parse(&request[..end]) != Request::Incomplete;
                prop_assert!(is_finished || !finished);
                finished = is_finished;
            }
        }
    }
}
