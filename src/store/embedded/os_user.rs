//! Which user the server runs as. PostgreSQL refuses root, so as root we switch: to `postgres`, which its packages
//! create, else to `nobody`.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use nix::unistd::{Uid, User};

use super::EmbeddedError;

/// The user of the server's processes and files.
#[derive(Debug, Clone)]
pub(super) struct OsUser {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) name: String,
    /// Whether that is not us: only root switches.
    pub(super) switch: bool,
}

impl OsUser {
    pub(super) fn for_server() -> Result<Self, EmbeddedError> {
        let own = Uid::effective();
        if !own.is_root() {
            let name = User::from_uid(own).ok().flatten().map_or_else(|| own.to_string(), |user| user.name);
            return Ok(Self { uid: own.as_raw(), gid: nix::unistd::Gid::effective().as_raw(), name, switch: false });
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), name: user.name, switch: true })
            .ok_or(EmbeddedError::NoUser)
    }

    /// Makes `dir` a folder that only this user enters, or checks that it is one.
    pub(super) fn make_private(&self, dir: &Path) -> Result<(), EmbeddedError> {
        match DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => self.own(dir)?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(EmbeddedError::io("make the folder", dir)(error)),
        }
        // Not following links: in a folder that others may write, somebody may have put one here before us.
        let metadata = fs::symlink_metadata(dir).map_err(EmbeddedError::io("look at", dir))?;
        if metadata.is_dir() && metadata.uid() != self.uid && self.switch && metadata.uid() == 0 {
            // Made by root on a first start that did not get further.
            self.own(dir)?;
        } else if !metadata.is_dir() || metadata.uid() != self.uid {
            return Err(EmbeddedError::ForeignFolder { dir: dir.to_owned(), user: self.name.clone() });
        }
        if metadata.mode() & 0o777 != 0o700 {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
                .map_err(EmbeddedError::io("close to others", dir))?;
        }
        Ok(())
    }

    /// Hands a file or folder of ours to this user.
    pub(super) fn own(&self, path: &Path) -> Result<(), EmbeddedError> {
        if !self.switch {
            return Ok(());
        }
        std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))
            .map_err(EmbeddedError::io("hand over to PostgreSQL's user", path))
    }

    /// Whether this user gets to `dir`, an absolute path: every folder above must let it pass.
    pub(super) fn check_path_to(&self, dir: &Path) -> Result<(), EmbeddedError> {
        if !self.switch {
            return Ok(());
        }
        for ancestor in dir.ancestors().skip(1) {
            let metadata = fs::metadata(ancestor).map_err(EmbeddedError::io("look at", ancestor))?;
            let needed = if metadata.uid() == self.uid {
                0o100
            } else if metadata.gid() == self.gid {
                0o010
            } else {
                0o001
            };
            if metadata.mode() & needed == 0 {
                return Err(EmbeddedError::NotTraversable { dir: ancestor.to_owned(), user: self.name.clone() });
            }
        }
        Ok(())
    }
}
