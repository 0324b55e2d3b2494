//! Puts the configuration together: defaults < file < environment < flags.
//!
//! Values are laid over the defaults one at a time and the result is deserialised after each, so that a refused value
//! is blamed on the line, variable or flag it came from.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use toml::{Table, Value};

use super::{Config, DEFAULTS, validate};

/// What stands above the file: the environment and the command line.
#[derive(Debug, Default)]
pub struct Overrides {
    /// The file to read, if any.
    pub file: Option<PathBuf>,
    /// The environment, as `std::env::vars` gives it.
    pub environment: Vec<(String, String)>,
    /// Flags that were given, as (flag, section, key, value).
    pub flags: Vec<(&'static str, &'static str, &'static str, String)>,
}

/// Why the configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}, line {line}: {message}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        message: String,
    },
    /// There is no such section or key.
    #[error("{origin}: there is no key `{key}`{}", suggestion.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// As it was written.
        key: String,
        /// The nearest key there is.
        suggestion: Option<String>,
    },
    /// The value does not fit its key.
    #[error("{origin}: `{key}` is refused: {message}")]
    Invalid {
        /// Where it stands.
        origin: Origin,
        /// Section and key.
        key: String,
        /// What would fit.
        message: String,
    },
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `config/default.toml`, compiled in.
    Defaults,
    /// A line of the file, counted from 1.
    File(PathBuf, usize),
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("config/default.toml"),
            Self::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::Flag(flag) => write!(f, "the flag {flag}"),
        }
    }
}

/// Reads and checks the configuration.
pub fn load(overrides: &Overrides) -> Result<Config, ConfigError> {
    let mut layers = Layers::new();
    if let Some(path) = &overrides.file {
        layers.file(path)?;
    }
    layers.environment(&overrides.environment)?;
    for (flag, section, key, value) in &overrides.flags {
        layers.text(section, key, value, Origin::Flag(flag))?;
    }
    layers.finish()
}

struct Layers {
    table: Table,
    config: Config,
    origins: HashMap<String, Origin>,
}

impl Layers {
    fn new() -> Self {
        let table = DEFAULTS.parse().expect("a test parses config/default.toml");
        Self { table, config: Config::defaults(), origins: HashMap::new() }
    }

    fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let line_of = |offset: usize| 1 + text[..offset.min(text.len())].matches('\n').count();
        let syntax = |error: &toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            line: line_of(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        };
        let spans = DeTable::parse(&text).map_err(|error| syntax(&error))?;
        let values: Table = text.parse().map_err(|error| syntax(&error))?;
        for (section, entries) in spans.get_ref() {
            let name = section.get_ref().as_ref();
            let origin = |offset: usize| Origin::File(path.to_owned(), line_of(offset));
            let Some(keys) = entries.get_ref().as_table().filter(|_| self.table.contains_key(name)) else {
                return Err(self.unknown(name.to_owned(), origin(section.span().start)));
            };
            for key in keys.keys() {
                let value = values[name][key.get_ref().as_ref()].clone();
                self.set(name, key.get_ref(), value, origin(key.span().start))?;
            }
        }
        Ok(())
    }

    fn environment(&mut self, variables: &[(String, String)]) -> Result<(), ConfigError> {
        if let Some((name, url)) = variables.iter().find(|(name, url)| name == "DATABASE_URL" && !url.is_empty()) {
            self.text("database", "url", url, Origin::Variable(name.clone()))?;
        }
        for (name, value) in variables {
            // A variable without the double underscore names no key: it belongs to somebody else.
            let Some((section, key)) = name.strip_prefix("WAGATE_").and_then(|rest| rest.split_once("__")) else {
                continue;
            };
            self.text(&section.to_lowercase(), &key.to_lowercase(), value, Origin::Variable(name.clone()))?;
        }
        Ok(())
    }

    /// A value given as bare text: a string where the key holds one, otherwise TOML.
    fn text(&mut self, section: &str, key: &str, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let is_string = self.table.get(section).and_then(|table| table.get(key)).is_some_and(Value::is_str);
        let value = if is_string {
            Value::String(text.to_owned())
        } else {
            format!("value = {text}")
                .parse::<Table>()
                .ok()
                .and_then(|mut table| table.remove("value"))
                .unwrap_or_else(|| Value::String(text.to_owned()))
        };
        self.set(section, key, value, origin)
    }

    fn set(&mut self, section: &str, key: &str, value: Value, origin: Origin) -> Result<(), ConfigError> {
        let path = format!("{section}.{key}");
        let Some(slot) = self.table.get_mut(section).and_then(|table| table.get_mut(key)) else {
            return Err(self.unknown(path, origin));
        };
        *slot = value;
        self.config = self.table.clone().try_into().map_err(|error: toml::de::Error| ConfigError::Invalid {
            origin: origin.clone(),
            key: path.clone(),
            message: error.message().to_owned(),
        })?;
        self.origins.insert(path, origin);
        Ok(())
    }

    fn unknown(&self, key: String, origin: Origin) -> ConfigError {
        let known = self.table.iter().flat_map(|(section, entries)| {
            let keys = entries.as_table().into_iter().flat_map(Table::keys);
            std::iter::once(section.clone()).chain(keys.map(move |key| format!("{section}.{key}")))
        });
        let suggestion = known
            .map(|candidate| (distance(&candidate, &key), candidate))
            .min()
            .filter(|(distance, _)| *distance <= 3)
            .map(|(_, candidate)| candidate);
        ConfigError::UnknownKey { origin, key, suggestion }
    }

    fn finish(self) -> Result<Config, ConfigError> {
        match validate::validate(&self.config) {
            Ok(()) => Ok(self.config),
            Err(refused) => Err(ConfigError::Invalid {
                origin: self.origins.get(refused.key).cloned().unwrap_or(Origin::Defaults),
                key: refused.key.to_owned(),
                message: refused.message,
            }),
        }
    }
}

/// Levenshtein distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn with_file(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load(&Overrides { file: Some(file.path().to_owned()), ..Overrides::default() })
    }

    fn with_variables(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load(&Overrides { environment, ..Overrides::default() })
    }

    #[test]
    fn the_defaults_are_valid() {
        load(&Overrides::default()).unwrap();
    }

    #[test]
    fn flags_stand_above_the_environment_and_the_environment_above_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[server]\nlisten = \"127.0.0.1:1\"\nworkers = 7\n[limits]\napi_burst = 5\n")
            .unwrap();
        let config = load(&Overrides {
            file: Some(file.path().to_owned()),
            environment: vec![
                ("WAGATE_SERVER__LISTEN".into(), "127.0.0.1:2".into()),
                ("WAGATE_SERVER__WORKERS".into(), "3".into()),
            ],
            flags: vec![("--listen", "server", "listen", "127.0.0.1:3".into())],
        })
        .unwrap();
        assert_eq!(config.server.listen.port(), 3);
        assert_eq!(config.server.workers, 3);
        assert_eq!(config.limits.api_burst, 5);
    }

    #[test]
    fn a_wrong_key_is_named_with_file_line_and_the_nearest_key() {
        let error = with_file("[server]\n\nlisten = \"127.0.0.1:1\"\nlistn = 1\n").unwrap_err().to_string();
        assert!(
            error.contains("line 4") && error.contains("`server.listn`") && error.contains("`server.listen`"),
            "{error}"
        );
        let error = with_file("[sever]\nlisten = 1\n").unwrap_err().to_string();
        assert!(error.contains("line 1") && error.contains("did you mean `server`"), "{error}");
        let error = with_file("stray = 1\n").unwrap_err().to_string();
        assert!(error.contains("line 1") && error.contains("`stray`"), "{error}");
    }

    #[test]
    fn a_wrong_value_is_named_with_file_and_line() {
        for (text, line, says) in [
            ("[server]\nlisten = \"nowhere\"\n", "line 2", "server.listen"),
            ("[session]\nmax_stalls = -1\n", "line 2", "session.max_stalls"),
            ("[session]\n\n\nmax_stalls = \"many\"\n", "line 4", "session.max_stalls"),
            ("[session]\nliveness_timeout = \"60\"\n", "line 2", "write 250ms"),
            ("[session]\nbreaker_share = 1.5\n", "line 2", "between 0 and 1"),
            ("[log]\nformat = \"xml\"\n", "line 2", "log.format"),
            ("[server]\nlisten = \n", "line 2", ""),
            ("[server\n", "line 1", ""),
        ] {
            let error = with_file(text).unwrap_err().to_string();
            assert!(error.contains(line) && error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let error = with_variables(&[("WAGATE_SERVER__LISTN", "x")]).unwrap_err().to_string();
        assert!(error.contains("WAGATE_SERVER__LISTN"), "{error}");
        let error = with_variables(&[("WAGATE_SERVER__WORKERS", "two")]).unwrap_err().to_string();
        assert!(error.contains("WAGATE_SERVER__WORKERS"), "{error}");
    }

    #[test]
    fn variables_of_others_are_left_alone_and_database_url_is_read() {
        let config = with_variables(&[("WAGATE_HOME", "x"), ("DATABASE_URL", "postgres://localhost/a")]).unwrap();
        assert_eq!(config.database.url.expose_secret(), "postgres://localhost/a");
        let own = with_variables(&[
            ("WAGATE_DATABASE__URL", "postgres://localhost/b"),
            ("DATABASE_URL", "postgres://localhost/a"),
        ]);
        assert_eq!(own.unwrap().database.url.expose_secret(), "postgres://localhost/b");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let overrides = Overrides { file: Some("/nowhere/wagate.toml".into()), ..Overrides::default() };
        assert!(load(&overrides).unwrap_err().to_string().contains("/nowhere/wagate.toml"));
    }

    #[test]
    fn no_error_repeats_a_database_password() {
        let error = with_variables(&[("DATABASE_URL", "mysql://me:hunter2@host/db")]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}
