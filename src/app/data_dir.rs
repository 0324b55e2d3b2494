//! Where a gateway keeps what must outlive it: the private database, the vault key, first-start keys.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::unistd::geteuid;

/// The folder that is configured, or the default of this user; made if absent.
pub(crate) fn prepare(configured: &str) -> anyhow::Result<PathBuf> {
    let dir = if configured.is_empty() { default_for_this_user()? } else { PathBuf::from(configured) };
    // Others may pass through (the private PostgreSQL of a root gateway runs as another user) but not look.
    let mode = if geteuid().is_root() { 0o711 } else { 0o700 };
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(&dir)
        .with_context(|| format!("the data folder {} cannot be made", dir.display()))?;
    Path::canonicalize(&dir).with_context(|| format!("the data folder {} cannot be found", dir.display()))
}

fn default_for_this_user() -> anyhow::Result<PathBuf> {
    if geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/wagate"));
    }
    let non_empty = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    match (non_empty("XDG_DATA_HOME"), non_empty("HOME")) {
        (Some(data), _) => Ok(data.join("wagate")),
        (None, Some(home)) => Ok(home.join(".local/share/wagate")),
        (None, None) => bail!("there is no home folder to keep data in: set data.dir or --data-dir"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_is_made_with_its_parents_and_closed_to_others() {
        let scratch = tempfile::tempdir().unwrap();
        let made = prepare(scratch.path().join("a/b").to_str().unwrap()).unwrap();
        assert_eq!(made.metadata().unwrap().permissions().mode() & 0o066, 0);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error = format!("{:#}", prepare("/proc/nowhere/wagate").unwrap_err());
        assert!(error.contains("/proc/nowhere/wagate"), "{error}");
    }
}
