//! `wagate vault`: the keys that instance keys are wrapped by.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::ConfigArguments;
use crate::app::data_dir;
use crate::config::Config;
use crate::store::Store;
use crate::store::vault::Vault;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Wrap every instance's key by the key that vault.active names, while gateways run.
    ///
    /// First give every gateway both keys in vault.keys, with the new one as vault.active, and start it again. When this
    /// has ended, the old key may leave vault.keys. If it is broken off, run it again: it goes on where it stopped.
    Rotate(ConfigArguments),
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Rotate(arguments) => {
            let config = super::prepare(arguments)?;
            super::runtime()?.block_on(rotate(&config))
        }
    }
}

async fn rotate(config: &Config) -> anyhow::Result<()> {
    // Before anything is opened: with no key configured, an empty data folder would be taken for a first start.
    if config.vault.keys.len() < 2 {
        bail!(
            "vault.keys must name two keys, each with its file: the present one, and the new one that vault.active names \
             (the key of a first start is \"local\", in vault.key of the data folder)"
        );
    }
    let data_dir = data_dir::prepare(&config.data.dir)?;
    let (store, embedded) = Store::open(&config.database, &data_dir).await?;
    let vault = Vault::open(&config.vault, &data_dir, store.pool()).await?;
    let outcome = rewrap(&vault, &store).await;
    store.pool().close().await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    outcome
}

async fn rewrap(vault: &Vault, store: &Store) -> anyhow::Result<()> {
    let mut conn = store.acquire().await?;
    let (all, others) = vault.count(&mut conn).await?;
    drop(conn);
    println!("{others} of {all} instance keys are wrapped by another key than {:?}", vault.active());
    let rotation = vault
        .rotate(store, |rotation| println!("{} of {others} rewrapped", rotation.rewrapped))
        .await
        .context("not every instance key is rewrapped; run it again to go on")?;
    if !rotation.damaged.is_empty() {
        bail!(
            "{} instance keys do not open with the key they name and stay as they are: {:?}. Keep the old key; these \
             instances must be linked again, or deleted",
            rotation.damaged.len(),
            rotation.damaged
        );
    }
    println!(
        "Every instance key is wrapped by {:?}. The other keys may leave vault.keys, once no gateway runs with one of them \
         as vault.active",
        vault.active()
    );
    Ok(())
}
