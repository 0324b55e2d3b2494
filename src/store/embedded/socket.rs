//! Where the server's Unix socket is: beside the data, unless its path would be too long for the kernel.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::EmbeddedError;
use super::os_user::OsUser;

/// No TCP port is opened; the number only names the socket.
pub(super) const PORT: u16 = 5432;
/// `sockaddr_un.sun_path` is 108 bytes with its closing zero (unix(7)).
const LONGEST_PATH: usize = 107;

/// The socket inside such a folder.
pub(super) fn path_in(folder: &Path) -> PathBuf {
    folder.join(format!(".s.PGSQL.{PORT}"))
}

/// The socket's folder, made 0700 for the server's user.
pub(super) fn folder(data_dir: &Path, user: &OsUser) -> Result<PathBuf, EmbeddedError> {
    let beside = data_dir.join("run");
    let folder = if fits(&beside) { beside } else { runtime_folder(user).join(short_name(data_dir)) };
    user.make_private(&folder)?;
    Ok(folder)
}

/// Removes what a server that was killed left in such a folder. Its lock file names a process id as `postmaster.pid` does, with
/// the same trouble once another program has it. Only for the holder of the lock, when no server runs.
pub(super) fn clear(folder: &Path) -> Result<(), EmbeddedError> {
    for name in [format!(".s.PGSQL.{PORT}.lock"), format!(".s.PGSQL.{PORT}")] {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(EmbeddedError::io("remove", &path)(error)),
        }
    }
    Ok(())
}

fn fits(folder: &Path) -> bool {
    path_in(folder).as_os_str().len() <= LONGEST_PATH
}

/// Every process that shares the server must come to the same folder, so no variable of its environment has a say.
fn runtime_folder(user: &OsUser) -> PathBuf {
    let preferred = if user.switch { PathBuf::from("/run") } else { PathBuf::from(format!("/run/user/{}", user.uid)) };
    if preferred.is_dir() { preferred } else { PathBuf::from("/tmp") }
}

/// One name for one data folder.
fn short_name(data_dir: &Path) -> String {
    let digest = Sha256::digest(data_dir.as_os_str().as_encoded_bytes());
    let first = u64::from_be_bytes(*digest.first_chunk().expect("a digest has 32 bytes"));
    format!("wagate-{first:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_107_bytes_fits_and_one_of_108_does_not() {
        let socket_name = "/.s.PGSQL.5432".len();
        let longest = PathBuf::from(format!("/{}", "d".repeat(LONGEST_PATH - socket_name - 1)));
        assert_eq!(path_in(&longest).as_os_str().len(), 107);
        assert!(fits(&longest));
        assert!(!fits(&PathBuf::from(format!("{}d", longest.display()))));
    }

    #[test]
    fn the_short_name_tells_folders_apart_and_always_fits() {
        let (one, other) = (short_name(Path::new("/one")), short_name(Path::new("/other")));
        assert_ne!(one, other);
        assert!(fits(&Path::new("/run/user/4294967295").join(one)));
    }
}
