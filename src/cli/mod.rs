//! The command line. One file a command; each parses its flags into a call and ends with an exit code.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "talking to the terminal is what a command line does")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config};
use crate::telemetry;

mod account;
mod client;
#[cfg(feature = "sandbox")]
mod demo;
mod events;
mod healthcheck;
mod openapi;
mod qr;
#[cfg(feature = "sandbox")]
mod sandbox;
mod serve;
mod token;
mod vault;

/// Version, licences and where the source is: the binary links AGPL code (`NOTICE`), so it says so.
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nThe source code is MIT OR Apache-2.0. This binary links wacore-libsignal, most of which is AGPL-3.0-only (Signal),",
    "\nand is therefore distributed under AGPL-3.0: whoever runs it for others must offer them its source. See NOTICE.",
);

/// wagate, a self-hosted multi-tenant WhatsApp gateway.
#[derive(Debug, Parser)]
#[command(name = "wagate", version, long_version = LONG_VERSION)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(serve::Arguments),
    /// See the whole of it without a phone: gateway, sandbox network, a new instance, a scan.
    #[cfg(feature = "sandbox")]
    Demo(demo::Arguments),
    /// Run the stand-in WhatsApp network alone.
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::Arguments),
    /// Draw an instance's live QR code in the terminal until it is linked.
    Qr(qr::Arguments),
    /// Follow what happens to an instance, one line of JSON for each event.
    Events(events::Arguments),
    /// Manage accounts, their quotas and the nodes, with the operator's key.
    Account(account::Arguments),
    /// Manage an instance's tokens or the account's own keys, with an account key.
    Token(token::Arguments),
    /// The keys that secrets at rest are sealed under.
    Vault(vault::Arguments),
    /// Print the OpenAPI document of the API.
    Openapi,
    /// Ask a running gateway whether it is ready; for container health checks.
    Healthcheck(healthcheck::Arguments),
}

/// Flags that stand above the configuration.
#[derive(Debug, Args)]
struct ConfigArguments {
    /// Where clients connect [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where the operator's routes are served [default: 127.0.0.1:8081].
    #[arg(long, value_name = "ADDRESS")]
    operator_listen: Option<String>,
    /// Where the private database, the vault key and first-start keys are kept.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// A configuration file; config/default.toml lists every key.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigArguments {
    fn load(self) -> Result<Config, config::ConfigError> {
        let flags = [
            ("--listen", "server", "listen", self.listen),
            ("--operator-listen", "operator", "listen", self.operator_listen),
            ("--data-dir", "data", "dir", self.data_dir),
        ];
        config::load(&config::Overrides {
            file: self.config,
            environment: std::env::vars().collect(),
            flags: flags.into_iter().filter_map(|(flag, s, k, value)| value.map(|value| (flag, s, k, value))).collect(),
        })
    }
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    crate::app::install_crypto_provider();
    let outcome = match cli.command {
        Command::Serve(arguments) => serve::run(arguments),
        #[cfg(feature = "sandbox")]
        Command::Demo(arguments) => demo::run(arguments),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(arguments) => sandbox::run(arguments),
        Command::Qr(arguments) => qr::run(&arguments),
        Command::Events(arguments) => events::run(&arguments),
        Command::Account(arguments) => account::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::Vault(arguments) => vault::run(arguments),
        Command::Openapi => openapi::run(),
        Command::Healthcheck(arguments) => healthcheck::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes in one line, outermost first.
            eprintln!("wagate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The runtime everything runs on, HTTP workers aside.
///
/// Blocking threads are capped: a staggered start of a thousand clients once spiked to 209 of them.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(32)
        .thread_name("wagate")
        .build()?)
}

/// Loads the configuration and sets logging up by it.
fn prepare(arguments: ConfigArguments) -> anyhow::Result<Config> {
    let config = arguments.load()?;
    telemetry::init(&config.log, crate::engine::whatsapp::SILENCED_TARGETS)?;
    Ok(config)
}
