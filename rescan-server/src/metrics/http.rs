//! As little HTTP as a scraper needs: one request a connection, and `GET /metrics` is the only one that is answered.
//!
//! It keeps no connection open, reads no body, and looks at no header: `httparse` only says where they end. How long it
//! may take is the caller's to say.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::REQUEST_BYTES_MAX;

/// How many headers a request may have. Prometheus sends six.
const HEADERS_MAX: usize = 64;

/// What `prometheus-client` writes (OpenMetrics 1.0), by the name that Prometheus knows it by.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

/// What came of reading a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Its end is still to come.
    More,
    Metrics,
    /// For another page.
    Elsewhere,
    /// By another method than GET.
    OtherMethod,
    /// It is not HTTP.
    Malformed,
    /// It has no end within what is read of it.
    TooLarge,
}

/// Reads one request and answers it. Whatever goes wrong ends this connection.
pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, metrics: impl FnOnce() -> String) {
    let mut request = Vec::with_capacity(1 << 10);
    let asked = loop {
        match asked(&request) {
            Asked::More => {}
            asked => break asked,
        }
        match stream.read_buf(&mut request).await {
            // It left before it had asked.
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    };
    let response = match asked {
        Asked::Metrics => response("200 OK", METRICS_TYPE, "", &metrics()),
        Asked::OtherMethod => response("405 Method Not Allowed", TEXT_TYPE, "Allow: GET\r\n", "only GET is answered\n"),
        Asked::Elsewhere => response("404 Not Found", TEXT_TYPE, "", "metrics are at /metrics\n"),
        Asked::TooLarge => response("431 Request Header Fields Too Large", TEXT_TYPE, "", "the request is too large\n"),
        Asked::Malformed | Asked::More => response("400 Bad Request", TEXT_TYPE, "", "expected an HTTP request\n"),
    };
    // One that does not take its answer has none.
    if stream.write_all(response.as_bytes()).await.is_ok() {
        let _taken = stream.shutdown().await;
    }
}

fn asked(request: &[u8]) -> Asked {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(request.get(..REQUEST_BYTES_MAX).unwrap_or(request)) {
        Ok(httparse::Status::Partial) if request.len() < REQUEST_BYTES_MAX => Asked::More,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => Asked::TooLarge,
        Ok(httparse::Status::Complete(_)) => match (parsed.method, parsed.path) {
            (Some("GET"), Some(path)) if path.split('?').next() == Some("/metrics") => Asked::Metrics,
            (Some("GET"), _) => Asked::Elsewhere,
            _ => Asked::OtherMethod,
        },
        Err(_not_http) => Asked::Malformed,
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
    fn metrics_are_what_a_get_of_their_page_asks_for_and_nothing_else() {
        for (request, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", Asked::Metrics),
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", Asked::Metrics),
            ("GET / HTTP/1.1\r\n\r\n", Asked::Elsewhere),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", Asked::Elsewhere),
            ("POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", Asked::OtherMethod),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n", Asked::More),
            ("", Asked::More),
            ("\0\0\0\0", Asked::Malformed),
            ("GET /metrics SMTP/1.1\r\n\r\n", Asked::Malformed),
        ] {
            assert_eq!(asked(request.as_bytes()), expected, "{request:?}");
        }
    }

    #[test]
    fn a_request_without_end_is_too_large_once_enough_of_it_is_here() {
        let endless = format!("GET /metrics HTTP/1.1\r\nX: {}", "y".repeat(2 * REQUEST_BYTES_MAX));
        assert_eq!(asked(&endless.as_bytes()[..REQUEST_BYTES_MAX - 1]), Asked::More);
        assert_eq!(asked(&endless.as_bytes()[..REQUEST_BYTES_MAX]), Asked::TooLarge);
        assert_eq!(asked(endless.as_bytes()), Asked::TooLarge);
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(asked(many.as_bytes()), Asked::TooLarge);
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
                let is_finished = asked(&request[..end]) != Asked::More;
                prop_assert!(is_finished || !finished);
                finished = is_finished;
            }
        }
    }
}
