//! `wagate healthcheck`: exit code 0 if a running gateway is ready, 1 with one sentence if it is not.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the gateway listens.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let url = format!("{}/health/ready", arguments.url.trim_end_matches('/'));
    super::runtime()?.block_on(async {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
        let response = http.get(&url).send().await.with_context(|| format!("no gateway answers at {url}"))?;
        if response.status().is_success() {
            return Ok(());
        }
        bail!("not ready: {}", response.text().await.unwrap_or_default())
    })
}
