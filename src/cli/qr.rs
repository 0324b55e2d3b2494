//! `wagate qr INSTANCE`: the live code in the terminal, redrawn when it rotates, until a phone has scanned it.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::Args;
use secrecy::SecretString;

use super::client::{Client, CodeAnswer, number_of, secret};
use crate::domain::clock::{Clock, SystemClock};
use crate::qr::{self, Matrix};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The instance's 12 characters.
    #[arg(value_name = "INSTANCE")]
    instance: String,
    /// Where the gateway listens.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A file that holds an account key or the instance's token; otherwise the variable WAGATE_KEY is read.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl Arguments {
    fn key(&self) -> anyhow::Result<SecretString> {
        secret(self.key_file.as_deref(), "WAGATE_KEY", "an account key or the instance's token")
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let client = Client::new(&arguments.url, arguments.key()?)?;
    let mut screen = Screen::new();
    let linked = super::runtime()?.block_on(async {
        tokio::select! {
            linked = follow(&client, &arguments.instance, &mut screen) => linked,
            stopped = tokio::signal::ctrl_c() => { stopped?; bail!("stopped before the code was scanned") }
        }
    });
    screen.wipe()?;
    println!("Linked: {}", linked?);
    Ok(())
}

/// Draws the instance's codes until it is linked; the linked number.
pub(super) async fn follow(client: &Client, instance: &str, screen: &mut Screen) -> anyhow::Result<String> {
    loop {
        match client.code(instance).await? {
            CodeAnswer::AlreadyLinked => return linked(client, instance, screen).await,
            CodeAnswer::Later { message, after } => {
                screen.note(&message)?;
                tokio::time::sleep(after).await;
            }
            CodeAnswer::Live(code) => {
                let expires_at = DateTime::from_timestamp_millis(code.expiry).context("the expiry is out of range")?;
                screen.draw(&draw(&code.value)?, expires_at)?;
                while screen.count_down(expires_at)? {
                    let info = client.info(instance).await?;
                    if info["linked"] == true || info["reason"] == "pairing" {
                        return linked(client, instance, screen).await;
                    }
                    if info["qr"]["expires_at"].as_i64().is_none_or(|live| live != code.expiry) {
                        break;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

/// Waits for WORKING; the linked number.
async fn linked(client: &Client, instance: &str, screen: &mut Screen) -> anyhow::Result<String> {
    loop {
        let info = client.info(instance).await?;
        match info["status"].as_str() {
            Some("FAILED") => bail!("linking failed: {}", info["reason"].as_str().unwrap_or("no reason given")),
            Some("STARTING") if info["linked"] != true && info["reason"] != "pairing" => {
                bail!("linking did not complete; ask for a new code")
            }
            _ => {}
        }
        if let Some(number) = number_of(&info).filter(|_| info["status"] == "WORKING" || info["status"] == "STOPPED") {
            return Ok(number);
        }
        screen.note("scanned; WhatsApp is finishing")?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// A terminal that a code is redrawn on in place, or a plain stream that codes follow each other on.
pub(super) struct Screen {
    in_place: bool,
    drawn: usize,
    noted: String,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { in_place: std::io::stdout().is_terminal(), drawn: 0, noted: String::new() }
    }

    fn draw(&mut self, code: &str, expires_at: DateTime<Utc>) -> anyhow::Result<()> {
        self.wipe()?;
        let mut out = std::io::stdout().lock();
        write!(out, "{code}")?;
        writeln!(out, "Open WhatsApp, Linked devices, Link a device, and scan.")?;
        self.drawn = code.lines().count() + 1;
        if !self.in_place {
            writeln!(out, "The code lives for {} s.", seconds_left(expires_at))?;
        }
        Ok(())
    }

    /// Shows the seconds left; `false` once there are none.
    fn count_down(&mut self, expires_at: DateTime<Utc>) -> anyhow::Result<bool> {
        let left = seconds_left(expires_at);
        if self.in_place {
            let mut out = std::io::stdout().lock();
            write!(out, "\r\x1b[K{left:>3} s left")?;
            out.flush()?;
        }
        Ok(left > 0)
    }

    /// Says a sentence, once.
    fn note(&mut self, sentence: &str) -> anyhow::Result<()> {
        if self.noted != sentence {
            self.wipe()?;
            writeln!(std::io::stdout().lock(), "{sentence}")?;
            sentence.clone_into(&mut self.noted);
        }
        Ok(())
    }

    /// Takes the last drawing off the terminal.
    fn wipe(&mut self) -> anyhow::Result<()> {
        if self.in_place && self.drawn > 0 {
            write!(std::io::stdout().lock(), "\r\x1b[{}A\x1b[J", self.drawn)?;
        }
        self.drawn = 0;
        Ok(())
    }
}

/// The code as terminal text.
pub(super) fn draw(value: &str) -> anyhow::Result<String> {
    Ok(qr::render::text(&Matrix::encode(value)?))
}

fn seconds_left(expires_at: DateTime<Utc>) -> i64 {
    (expires_at - SystemClock.now()).num_seconds().max(0)
}
