//! The vault, the client's storage, and the client itself against the sandbox.

use wagate::config;

use crate::support::house::House;

mod backend;
#[cfg(feature = "sandbox")]
mod client;
mod conformance;
#[cfg(feature = "sandbox")]
mod files;
#[cfg(feature = "sandbox")]
mod silence;
mod vault;

fn no_keys() -> config::Vault {
    config::Config::defaults().vault
}
