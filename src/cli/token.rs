//! `wagate token`: an instance's tokens, or, where no instance is named, the account's own keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Client, secret};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The instance whose tokens are meant; without it, the account's own keys are.
    #[arg(long, value_name = "INSTANCE", global = true)]
    instance: Option<String>,
    /// Where the gateway listens.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", global = true)]
    url: String,
    /// A file that holds an account key; otherwise the variable WAGATE_KEY is read.
    #[arg(long, value_name = "FILE", global = true)]
    key_file: Option<PathBuf>,
    /// Print the gateway's answer as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them by their last four characters.
    List,
    /// Make one. It is printed once, alone on standard output.
    Mint {
        /// What it may do, out of read, link, send, control [default: all of them; an account key may do everything].
        #[arg(long, value_name = "SCOPES", value_delimiter = ',')]
        scopes: Vec<String>,
        /// What to call it.
        #[arg(long)]
        name: Option<String>,
        /// When it ends [default: never].
        #[arg(long, value_name = "SECONDS")]
        expires_in: Option<u32>,
    },
    /// End one at once.
    Revoke {
        /// Its id, as `list` shows it.
        token_id: Uuid,
    },
    /// Replace one by a new one, which is printed once, alone on standard output.
    Rotate {
        /// Its id, as `list` shows it.
        token_id: Uuid,
        /// How long the old one goes on; 0 if it leaked.
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
        overlap: u32,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let key = secret(arguments.key_file.as_deref(), "WAGATE_KEY", "an account key")?;
    let client = Client::new(&arguments.url, key)?;
    let answer = super::runtime()?.block_on(ask(&client, arguments))?;
    if arguments.json {
        println!("{answer}");
        return Ok(());
    }
    match &arguments.command {
        Command::List => list(&answer[if arguments.instance.is_some() { "tokens" } else { "keys" }]),
        Command::Mint { .. } | Command::Rotate { .. } => show_once(&answer),
        Command::Revoke { token_id } => println!("{token_id} is revoked; every node refuses it within 5 s"),
    }
    Ok(())
}

async fn ask(client: &Client, arguments: &Arguments) -> anyhow::Result<Value> {
    let instance = arguments.instance.as_deref();
    let path = if instance.is_some() { "/v2/session/token" } else { "/v2/account/keys" };
    match &arguments.command {
        Command::List => client.call(Method::GET, path, instance, None).await,
        Command::Mint { scopes, name, expires_in } => {
            let scopes = (!scopes.is_empty()).then_some(scopes);
            let body = json!({ "scopes": scopes, "name": name, "expires_in": expires_in });
            client.call(Method::POST, path, instance, Some(&body)).await
        }
        Command::Revoke { token_id } => {
            client.call(Method::DELETE, &format!("{path}?token_id={token_id}"), instance, None).await
        }
        Command::Rotate { token_id, overlap } => {
            let body = json!({ "token_id": token_id, "overlap": overlap });
            client.call(Method::POST, &format!("{path}/rotate"), instance, Some(&body)).await
        }
    }
}

fn list(tokens: &Value) {
    println!("{:36}  {:5}  {:8}  {:20}  {:24}  NAME", "ID", "LAST4", "STATE", "EXPIRES", "SCOPES");
    for token in tokens.as_array().into_iter().flatten() {
        let scopes = token["scopes"].as_array().map_or_else(
            || "everything".to_owned(),
            |scopes| scopes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        );
        let text = |field: &str, absent: &str| token[field].as_str().unwrap_or(absent).to_owned();
        println!(
            "{:36}  {:5}  {:8}  {:20}  {scopes:24}  {}",
            text("token_id", ""),
            text("last4", ""),
            text("state", ""),
            text("expires_at", "never"),
            text("name", ""),
        );
    }
}

/// The secret alone on standard output, so that it can be piped; what to know of it on standard error.
pub(super) fn show_once(minted: &Value) {
    let id = minted["token_id"].as_str().unwrap_or_default();
    match minted["expires_at"].as_str() {
        Some(expiry) => eprintln!("Keep it; it is shown only now. Its id is {id}, it ends at {expiry}."),
        None => eprintln!("Keep it; it is shown only now. Its id is {id}."),
    }
    if let Some(expiry) = minted["replaces"]["expires_at"].as_str() {
        eprintln!("The token it replaces ends at {expiry}.");
    }
    println!("{}", minted["access_token"].as_str().unwrap_or_default());
}
