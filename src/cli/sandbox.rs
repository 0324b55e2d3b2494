//! `wagate sandbox`: the stand-in WhatsApp network in a process of its own.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use tracing::info;

use crate::config::Config;
use crate::lifecycle::Signals;
use crate::telemetry;

/// Where a sandbox listens unless told otherwise.
pub(super) const DEFAULT_LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8090));

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where clients and the control API connect; loopback only.
    #[arg(long, value_name = "ADDRESS", default_value_t = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// Where phones and devices are kept; without it they live as long as the process.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Once ready, print one line of JSON with the address on standard output.
    #[arg(long)]
    ready_json: bool,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<()> {
    telemetry::init(&Config::defaults().log, crate::engine::whatsapp::SILENCED_TARGETS)?;
    super::runtime()?.block_on(async {
        let mut signals = Signals::install().context("signals cannot be taken over")?;
        let sandbox = crate::app::start_sandbox(arguments.listen, arguments.data_dir).await?;
        if arguments.ready_json {
            println!("{}", json!({ "sandbox_url": sandbox.url() }));
        } else {
            info!(url = sandbox.url(), "the sandbox network is ready");
        }
        signals.next().await;
        sandbox.shutdown().await;
        Ok(())
    })
}
