//! Logs: one subscriber for the process, on standard error. Metrics: [`metrics`].
//!
//! Three things keep secrets out at any level. Our own lines carry none (`docs/conventions`, and a test greps a whole
//! run at `trace`). The WhatsApp library speaks through the `log` facade, whole stanzas included, and no `log` backend
//! is installed, so nothing of it can be printed. Whatever still comes by way of `tracing` from a target on the
//! deny list is dropped, whatever the configured filter says.

pub mod metrics;

use tracing_subscriber::filter::{EnvFilter, FilterFn, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Log, LogFormat};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log.filter` is not a filter.
    #[error("`log.filter` is refused: {0}; write a level such as info, or directives such as wagate=debug,info")]
    Filter(#[from] ParseError),
    /// The process has a subscriber already.
    #[error("logging was set up twice")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets the process's subscriber up.
pub fn init(config: &Log, silenced: &'static [&'static str]) -> Result<(), TelemetryError> {
    subscriber(config, silenced, std::io::stderr)?.try_init()?;
    Ok(())
}

/// The subscriber, writing to `writer`.
fn subscriber<W>(
    config: &Log,
    silenced: &'static [&'static str],
    writer: W,
) -> Result<impl tracing::Subscriber + Send + Sync + use<W>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.filter)?;
    let allowed = FilterFn::new(move |metadata| !silenced.iter().any(|target| metadata.target().starts_with(target)));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok(Registry::default().with(lines.with_filter(allowed).with_filter(filter)))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

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

    #[test]
    fn a_silenced_target_stays_silent_at_trace() {
        let lines = Lines::default();
        let writer = lines.clone();
        let config = Log { filter: "trace".into(), format: LogFormat::Text };
        let subscriber = subscriber(&config, &["Client/Recv", "wacore"], move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "Client/Recv", "a stanza");
            tracing::error!(target: "wacore::noise", "a key");
            tracing::trace!(target: "wagate", "our own line");
        });
        let printed = String::from_utf8(lines.0.lock().clone()).unwrap();
        assert!(printed.contains("our own line"), "{printed}");
        assert!(!printed.contains("stanza") && !printed.contains("a key"), "{printed}");
    }

    #[test]
    fn a_filter_that_does_not_read_is_named() {
        let config = Log { filter: "wagate=loud=x".into(), format: LogFormat::Json };
        let error = init(&config, &[]).unwrap_err().to_string();
        assert!(error.contains("log.filter"), "{error}");
    }
}
