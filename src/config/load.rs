//! Placeholder of the skeleton.

use super::Config;

/// Why the configuration was refused.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is not valid")]
pub struct ConfigError;

/// What the command line says.
#[derive(Debug, Default)]
pub struct Overrides;

/// Reads the configuration.
pub fn load(_: &Overrides) -> Result<Config, ConfigError> {
    Ok(Config::defaults())
}
