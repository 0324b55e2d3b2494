//! `wagate demo`: what a newcomer sees first. Everything goes through the public REST API and a phone of the sandbox.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::DateTime;
use clap::Args;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::ConfigArguments;
use super::client::{Client, CodeAnswer, number_of};
use crate::app::{Application, Network};
use crate::domain::clock::{Clock, SystemClock};
use crate::lifecycle::Signals;
use crate::{config, engine, telemetry};

/// Seconds for which the link page works: as long as a link can.
const LINK_TTL: u32 = 72 * 60 * 60;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// End once the instance is WORKING instead of staying up.
    #[arg(long)]
    exit: bool,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let config = arguments.config.load()?;
    let scratch = Scratch::new()?;
    telemetry::init(&quiet(&config.log), engine::whatsapp::SILENCED_TARGETS)?;
    let config = isolated(config, &scratch);
    super::runtime()?.block_on(async {
        let mut signals = Signals::install().context("signals cannot be taken over")?;
        say("Starting a private PostgreSQL, the gateway and the sandbox network ...");
        let network = Network::SandboxInside(super::sandbox::DEFAULT_LISTEN);
        let mut application = Application::build(config, network, Arc::new(SystemClock)).await?;
        let (url, sandbox) = (application.url().to_owned(), application.sandbox_url().unwrap_or_default().to_owned());
        let first = application.first_start().context("a demo starts from nothing, so its start makes keys")?;
        let key = first.account_key.clone();
        say(&format!("Gateway at {url}, sandbox network at {sandbox}."));
        let stay = !arguments.exit;
        let mut outcome = Ok(());
        let story = async {
            outcome = tell(&url, &sandbox, &key, stay).await;
            if outcome.is_ok() && stay {
                std::future::pending::<()>().await;
            }
        };
        application
            .run_until(async {
                tokio::select! {
                    () = story => {}
                    () = signals.next() => {}
                }
            })
            .await;
        say("Stopping ...");
        application.drain().await;
        outcome
    })
}

/// The whole onboarding, told as it happens.
async fn tell(url: &str, sandbox: &str, key: &secrecy::SecretString, stay: bool) -> anyhow::Result<()> {
    let client = Client::new(url, key.clone())?;
    say("\n1. POST /v2/session/create makes an instance.");
    let created = client.create("demo").await?;
    let instance = created["instance_id"].as_str().context("the answer names no instance")?.to_owned();
    let token = created["access_token"].as_str().unwrap_or_default().to_owned();
    say(&format!("   instance {instance} is {}", created["status"].as_str().unwrap_or("?")));

    say("\n2. POST /v2/auth/qr waits for its code.");
    let code = loop {
        match client.code(&instance).await? {
            CodeAnswer::Live(code) => break code,
            CodeAnswer::AlreadyLinked => bail!("the new instance is linked already"),
            CodeAnswer::Later { message, after } => {
                say(&format!("   {message}"));
                tokio::time::sleep(after).await;
            }
        }
    };
    let left = DateTime::from_timestamp_millis(code.expiry).map_or(0, |at| (at - SystemClock.now()).num_seconds());
    say(&format!("   SCAN_QR_CODE; this code lives for {left} s\n\n{}", super::qr::draw(&code.value)?));

    say("3. A phone of the sandbox scans that very value.");
    let http = reqwest::Client::new();
    let phone = control(&http, &format!("{sandbox}/phones"), &json!({ "name": "Demo phone" })).await?;
    let number = phone["number"].as_str().context("the sandbox names no number")?;
    control(&http, &format!("{sandbox}/phones/{number}/scan"), &json!({ "value": code.value })).await?;

    let mut last = String::new();
    let linked = loop {
        let info = client.info(&instance).await?;
        let status = info["status"].as_str().unwrap_or("?");
        let state = info["reason"].as_str().map_or_else(|| status.to_owned(), |reason| format!("{status} ({reason})"));
        if state != last {
            say(&format!("   {state}"));
            last = state;
        }
        match status {
            "WORKING" => break info,
            "FAILED" => bail!("the instance failed: {last}"),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    say(&format!("   linked with {}", number_of(&linked).unwrap_or_default()));
    if stay {
        let page = link_page(&client).await?;
        say(&in_a_browser(url, &page));
        say(&next_steps(url, sandbox, key.expose_secret(), &instance, &token));
    }
    Ok(())
}

/// A page on which the newcomer links a second instance. It rests until then: the page starts it.
async fn link_page(client: &Client) -> anyhow::Result<String> {
    let created = json!({ "name": "your turn", "start": false });
    let created = client.call(Method::POST, "/v2/session/create", None, Some(&created)).await?;
    let instance = created["instance_id"].as_str().context("the answer names no instance")?;
    let shown = json!({ "ttl": LINK_TTL });
    let shown = client.call(Method::POST, "/v2/session/temp-link", Some(instance), Some(&shown)).await?;
    Ok(shown["link"].as_str().context("the answer holds no link")?.to_owned())
}

fn in_a_browser(url: &str, page: &str) -> String {
    format!(
        "
Now your turn, in a browser. No phone is needed: the page offers to scan with a sandbox phone.

  link page  {page}
  dashboard  {url}/dashboard      # asks for the account key below"
    )
}

fn next_steps(url: &str, sandbox: &str, key: &str, instance: &str, token: &str) -> String {
    let wagate = std::env::current_exe().map_or_else(|_| "wagate".to_owned(), |path| path.display().to_string());
    format!(
        "
This demo stays up until Ctrl-C; its data goes with it. Try, in another terminal:

  export WAGATE_KEY={key}          # the account key
  curl -X POST {url}/v2/session/create -H \"Authorization: Bearer $WAGATE_KEY\" -d name=shop-2
  curl {url}/v2/session/list -H \"Authorization: Bearer $WAGATE_KEY\"
  curl {url}/v2/session/info -H \"Authorization: Bearer {token}\"      # the token of {instance} alone
  curl -X POST {url}/v2/auth/qr-image -H \"Authorization: Bearer $WAGATE_KEY\" -d instance_id=NEW_INSTANCE
  {wagate} qr NEW_INSTANCE      # the live code in a terminal
  curl {sandbox}/devices                                       # what the sandbox network sees

To link real phones with WhatsApp itself: make serve
"
    )
}

async fn control(http: &reqwest::Client, url: &str, body: &Value) -> anyhow::Result<Value> {
    let response = http.post(url).json(body).send().await.context("the sandbox does not answer")?;
    let status = response.status();
    let answer: Value = response.json().await.context("the sandbox's answer is not JSON")?;
    if !status.is_success() {
        bail!("the sandbox answered {status}: {answer}");
    }
    Ok(answer)
}

fn say(sentence: &str) {
    println!("{sentence}");
}

/// The story is on standard output; of the log only what goes wrong, unless the user chose a filter.
fn quiet(log: &config::Log) -> config::Log {
    let mut log = log.clone();
    if log.filter == config::Config::defaults().log.filter {
        // The key of a vault that goes with the demo needs no backup.
        "warn,wagate::store::vault=error".clone_into(&mut log.filter);
    }
    log
}

/// A demo touches nobody's data: its own folder, and the private database in it, whatever is configured.
fn isolated(mut config: config::Config, scratch: &Scratch) -> config::Config {
    config.data.dir = scratch.0.display().to_string();
    config.database.url = String::new().into();
    config
}

/// A folder of this process that goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("wagate-demo-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the demo's folder could not be removed");
        }
    }
}
