//! Configuration: defaults < file < environment < flags.
//!
//! `config/default.toml` is the only place a default is written; it is compiled in and parsed like any other file, so
//! every key is commented there and a key that is not there does not exist.

pub mod duration;
mod load;
mod sections;
mod validate;

pub use load::{ConfigError, Origin, Overrides, load};
pub use sections::{
    Config, Data, Database, Engine, Events, Limits, Log, LogFormat, MAX_LOOKUPS, Media, Messages, Node, Operator,
    Server, Session, Vault, Webhook,
};

/// The defaults, as the text users see.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

impl Config {
    /// The defaults alone.
    pub fn defaults() -> Self {
        toml::from_str(DEFAULTS).expect("a test parses config/default.toml")
    }
}
