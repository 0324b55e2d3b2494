//! `wagate account`: the operator's view, through the operator's listener.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Client, secret};
use super::token::show_once;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Where the gateway's operator listener is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081", global = true)]
    url: String,
    /// A file that holds an operator key; otherwise the variable WAGATE_OPERATOR_KEY is read.
    #[arg(long, value_name = "FILE", global = true)]
    key_file: Option<PathBuf>,
    /// Print the gateway's answer as JSON; `list` prints one line an account.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the accounts.
    List,
    /// Make an account. Its first key is printed once, alone on standard output.
    Create {
        /// What to call it.
        name: String,
        /// Instances it may have [default: unlimited].
        #[arg(long, value_name = "NUMBER")]
        max_instances: Option<u32>,
    },
    /// Show an account, its settings, quota and use.
    Show {
        /// Its id, as `list` shows it.
        account: Uuid,
    },
    /// Change an account.
    Set {
        /// Its id, as `list` shows it.
        account: Uuid,
        /// What to call it.
        #[arg(long)]
        name: Option<String>,
        /// Instances it may have: a number, or `unlimited`.
        #[arg(long, value_name = "NUMBER")]
        max_instances: Option<String>,
    },
    /// Delete an account: its keys end within 5 s.
    Delete {
        /// Its id, as `list` shows it.
        account: Uuid,
        /// Erase its instances too; their phones are unlinked where WhatsApp can be told.
        #[arg(long)]
        force: bool,
    },
    /// Make a key for an account that lost its own. It is printed once, alone on standard output.
    Keys {
        /// Its id, as `list` shows it.
        account: Uuid,
        /// What to call the key.
        #[arg(long)]
        name: Option<String>,
    },
    /// List the nodes and what they own.
    Nodes,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let key = secret(arguments.key_file.as_deref(), "WAGATE_OPERATOR_KEY", "an operator key")?;
    let client = Client::new(&arguments.url, key)?;
    super::runtime()?.block_on(act(&client, arguments))
}

async fn act(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    let ask = async |method, path: &str, body: Option<Value>| client.call(method, path, None, body.as_ref()).await;
    let of = |account: &Uuid| format!("/v2/admin/accounts/{account}");
    match &arguments.command {
        Command::List => return list(client, arguments.json).await,
        Command::Create { name, max_instances } => {
            let body = json!({ "name": name, "max_instances": max_instances });
            let created = ask(Method::POST, "/v2/admin/accounts", Some(body)).await?;
            arguments.print(&created, |created| {
                eprintln!("Account {}.", created["account_id"].as_str().unwrap_or_default());
                show_once(&created["key"]);
            });
        }
        Command::Show { account } => arguments.print(&ask(Method::GET, &of(account), None).await?, show),
        Command::Set { account, name, max_instances } => {
            let body = json!({ "name": name, "max_instances": max_instances });
            arguments.print(&ask(Method::POST, &of(account), Some(body)).await?, show);
        }
        Command::Delete { account, force } => {
            let path = format!("{}?force={force}", of(account));
            arguments.print(&ask(Method::DELETE, &path, None).await?, |deleted| {
                println!("{account} is deleted; instances still to be erased: {}", deleted["instances_left"]);
            });
        }
        Command::Keys { account, name } => {
            let path = format!("{}/keys", of(account));
            arguments.print(&ask(Method::POST, &path, Some(json!({ "name": name }))).await?, show_once);
        }
        Command::Nodes => arguments.print(&ask(Method::GET, "/v2/admin/nodes", None).await?, nodes),
    }
    Ok(())
}

impl Arguments {
    fn print(&self, answer: &Value, for_people: impl FnOnce(&Value)) {
        if self.json { println!("{answer}") } else { for_people(answer) }
    }
}

/// All pages, each printed as it arrives.
async fn list(client: &Client, as_json: bool) -> anyhow::Result<()> {
    if !as_json {
        println!("{:36}  {:>9}  {:>9}  NAME", "ID", "INSTANCES", "QUOTA");
    }
    let mut path = "/v2/admin/accounts".to_owned();
    loop {
        let page = client.call(Method::GET, &path, None, None).await?;
        for account in page["accounts"].as_array().into_iter().flatten() {
            if as_json {
                println!("{account}");
            } else {
                let (id, name) = (account["account_id"].as_str(), account["name"].as_str());
                let instances = account["use"]["instances"].to_string();
                let (id, name) = (id.unwrap_or_default(), name.unwrap_or_default());
                println!("{id:36}  {instances:>9}  {:>9}  {name}", quota(account));
            }
        }
        let Some(cursor) = page["next_cursor"].as_str() else { return Ok(()) };
        path = format!("/v2/admin/accounts?cursor={cursor}");
    }
}

fn show(account: &Value) {
    println!("id                   {}", account["account_id"].as_str().unwrap_or_default());
    println!("name                 {}", account["name"].as_str().unwrap_or_default());
    println!("created              {}", account["created_at"].as_str().unwrap_or_default());
    println!("instances            {} of {}", account["use"]["instances"], quota(account));
    println!("require_header_auth  {}", account["settings"]["require_header_auth"]);
    println!("allow_get_control    {}", account["settings"]["allow_get_control"]);
    println!("allowed_origins      {}", account["settings"]["allowed_origins"]);
}

fn nodes(answer: &Value) {
    println!("{:36}  {:>9}  {:8}  {:21}  NAME", "ID", "INSTANCES", "DRAINING", "ADDRESS");
    for node in answer["nodes"].as_array().into_iter().flatten() {
        println!(
            "{:36}  {:>9}  {:8}  {:21}  {}",
            node["node_id"].as_str().unwrap_or_default(),
            node["instances"].to_string(),
            node["draining"].to_string(),
            node["addr"].as_str().unwrap_or_default(),
            node["name"].as_str().unwrap_or_default(),
        );
    }
}

fn quota(account: &Value) -> String {
    account["quota"]["max_instances"].as_u64().map_or("unlimited".to_owned(), |max| max.to_string())
}
