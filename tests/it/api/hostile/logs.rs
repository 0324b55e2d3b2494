//! A token is nowhere in the logs, wherever it stood in the request, at the most talkative level.

use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::filter::LevelFilter;

use super::super::gateway::{Created, Gateway};
use super::exchange;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_token_is_in_no_log_line_wherever_it_stood() {
    let lines = Lines::default();
    let writer = lines.clone();
    // For the whole process: the server's workers are threads of their own.
    let subscriber = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false);
    subscriber.with_writer(move || writer.clone()).try_init().expect("each test is a process of its own");

    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    let unknown = format!("{}x", &token[..token.len() - 1]);
    for token in [&token, &unknown] {
        for (head, body) in [
            (format!("GET /v2/session/info?access_token={token} HTTP/1.1"), String::new()),
            (format!("GET /v2/session/info?access_token={token}&access_token=other HTTP/1.1"), String::new()),
            (format!("GET /v2/{token}?access_token={token} HTTP/1.1"), String::new()),
            (format!("PUT /v2/session/info?access_token={token} HTTP/1.1"), String::new()),
            (format!("GET /v2/session/info?{token}={token} HTTP/1.1"), String::new()),
            (format!("GET /v2/session/info HTTP/1.1\r\nAuthorization: Bearer {token}"), String::new()),
            (format!("GET /v2/session/info HTTP/1.1\r\nX-Api-Key: {token}"), String::new()),
            (format!("GET /v2/session/info HTTP/1.1\r\nX-Request-Id: {token}"), String::new()),
            ("POST /v2/session/info HTTP/1.1".to_owned(), format!("{{\"access_token\":\"{token}\"}}")),
            ("POST /v2/session/info HTTP/1.1".to_owned(), format!("{{\"access_token\":\"{token}\"")),
            (format!("GET /v2/session/info?access_token={token} HTTP/9.9"), String::new()),
            (format!("GET /v2/session/info?access_token={token} HTTP/1.1\r\nHost: y"), String::new()),
        ] {
            let length = body.len();
            let request = format!("{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
            let answer = exchange(gateway.address, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 "), "{head}: {answer}");
            assert!(!answer.contains(token.as_str()), "{head}: {answer}");
        }
    }
    let printed = String::from_utf8_lossy(&lines.0.lock()).into_owned();
    assert!(printed.contains(id.as_str()), "the lines are captured");
    for token in [token, unknown] {
        // Not even half of it.
        let half = &token[..token.len() / 2];
        let line = printed.lines().find(|line| line.contains(half));
        assert!(line.is_none(), "{line:?}");
    }
}
