//! `wagate serve`: the gateway, until it is told to stop.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use secrecy::ExposeSecret;
use serde_json::json;
use tracing::info;

use super::ConfigArguments;
use crate::app::{Application, FirstStart, Network};
use crate::domain::clock::SystemClock;
use crate::lifecycle::Signals;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Run a sandbox network inside, on 127.0.0.1:8090, and talk to it.
    #[cfg(feature = "sandbox")]
    #[arg(long, conflicts_with = "sandbox_at")]
    sandbox: bool,
    /// Talk to a sandbox network that runs elsewhere on this host.
    #[cfg(feature = "sandbox")]
    #[arg(long, value_name = "URL")]
    sandbox_at: Option<url::Url>,
    /// Once ready, print one line of JSON with addresses and new keys on standard output.
    #[arg(long)]
    ready_json: bool,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let config = super::prepare(arguments.config)?;
    super::runtime()?.block_on(async {
        let mut signals = Signals::install().context("signals cannot be taken over")?;
        #[cfg(feature = "sandbox")]
        let network = match (arguments.sandbox, arguments.sandbox_at) {
            (false, Some(url)) => Network::SandboxAt(url),
            (true, _) => Network::SandboxInside(super::sandbox::DEFAULT_LISTEN),
            (false, None) => anyhow::bail!(
                "this build cannot reach WhatsApp: it is the sandbox flavour. Give --sandbox or --sandbox-at URL, or \
                 build without --features sandbox"
            ),
        };
        #[cfg(not(feature = "sandbox"))]
        let network = Network::Live;
        let mut application = Application::build(config, network, Arc::new(SystemClock)).await?;
        announce(&application, arguments.ready_json)?;
        application.run_until(signals.next()).await;
        tokio::select! {
            () = application.drain() => {}
            () = signals.next() => info!("stopped at once by a second signal"),
        }
        Ok(())
    })
}

/// Tells where the gateway is and, once, the keys that its first start made.
fn announce(application: &Application, ready_json: bool) -> anyhow::Result<()> {
    let first = application.first_start();
    if ready_json {
        println!("{}", ready_line(application, first));
        return Ok(());
    }
    info!(url = application.url(), operator_url = application.operator_url(), "ready");
    if let Some(first) = first {
        hand_over(first, application.data_dir())?;
    }
    Ok(())
}

fn ready_line(application: &Application, first: Option<&FirstStart>) -> serde_json::Value {
    json!({
        "url": application.url(),
        "operator_url": application.operator_url(),
        "operator_key": first.map(|keys| keys.operator_key.expose_secret()),
        "account_key": first.map(|keys| keys.account_key.expose_secret()),
        "sandbox_url": application.sandbox_url(),
    })
}

/// Shows the keys on a terminal; where there is none, a file takes them, and the log only its path.
fn hand_over(first: &FirstStart, data_dir: &Path) -> anyhow::Result<()> {
    let text = format!(
        "operator key: {}\naccount key:  {}\n",
        first.operator_key.expose_secret(),
        first.account_key.expose_secret()
    );
    if std::io::stderr().is_terminal() {
        eprintln!("\nThis is the first start. Keep these keys; they are shown only now:\n\n{text}");
        return Ok(());
    }
    let path = write_keys(&text, data_dir)?;
    info!(path = %path.display(), "the keys of the first start were written; keep them and delete the file");
    Ok(())
}

fn write_keys(text: &str, data_dir: &Path) -> anyhow::Result<PathBuf> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let path = data_dir.join("first-start-keys.txt");
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("the keys of the first start could not be written to {}", path.display()))?;
    Ok(path)
}
