//! `wagate events INSTANCE`: an instance's events as they happen, one JSON line each. Cut off, it comes back and goes on at
//! the next.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::client::{Client, secret};

/// A pause before a gateway that is gone is asked again.
const PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The instance's 12 characters.
    #[arg(value_name = "INSTANCE")]
    instance: String,
    /// Begin behind the event of this number, 0 for the first [default: what happens from now on].
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// Only these kinds, separated by commas.
    #[arg(long, value_name = "KINDS")]
    events: Option<String>,
    /// Where the gateway listens.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A file that holds an account key or the instance's token; otherwise the variable WAGATE_KEY is read.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let key = secret(arguments.key_file.as_deref(), "WAGATE_KEY", "an account key or the instance's token")?;
    let client = Client::new(&arguments.url, key)?;
    super::runtime()?.block_on(async {
        tokio::select! {
            ended = follow(&client, arguments) => ended,
            stopped = tokio::signal::ctrl_c() => Ok(stopped?),
        }
    })
}

/// Prints events until they can be had no more: the key was revoked, or the instance deleted.
async fn follow(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    let mut lines = Lines { last: arguments.after.map(|seq| seq.to_string()), ..Lines::default() };
    let mut was_answered = false;
    loop {
        match client.events(&arguments.instance, arguments.events.as_deref(), lines.last.as_deref()).await {
            Ok(Some(mut response)) => {
                was_answered = true;
                // However it ends, it is asked for again: a refusal then says whether that was for good.
                while let Ok(Some(chunk)) = response.chunk().await {
                    lines.take(&chunk, &mut std::io::stdout().lock())?;
                }
                lines.unread.clear();
            }
            Ok(None) => {}
            Err(error) if was_answered && error.is::<reqwest::Error>() => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What came of a stream.
#[derive(Default)]
struct Lines {
    unread: Vec<u8>,
    /// Where to go on after a cut: known once the event that it names was printed.
    last: Option<String>,
}

impl Lines {
    /// Prints the data of each whole event.
    fn take(&mut self, chunk: &[u8], out: &mut impl Write) -> anyhow::Result<()> {
        self.unread.extend_from_slice(chunk);
        while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
            let frame: Vec<u8> = self.unread.drain(..end + 2).collect();
            let frame = String::from_utf8(frame).context("the stream is not text")?;
            let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            if let Some(data) = field("data") {
                writeln!(out, "{data}").and_then(|()| out.flush()).context("standard output is closed")?;
            }
            if let Some(id) = field("id") {
                self.last = Some(id.to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_printed_once_it_is_whole_and_remembered_once_it_is_printed() {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        lines.take(b"retry: 2000\nid: 4\n\nid: 5\nevent: message\ndata: {\"a\":1}\n", &mut out).unwrap();
        assert_eq!((out.as_slice(), lines.last.as_deref()), (&b""[..], Some("4")));
        lines.take(b"\n:\n\nid: 9\n\n", &mut out).unwrap();
        assert_eq!((out.as_slice(), lines.last.as_deref()), (&b"{\"a\":1}\n"[..], Some("9")));
    }
}
