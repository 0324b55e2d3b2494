//! Which boots of nodes a data folder has seen, and which of them are dead beyond doubt.
//!
//! A node that was killed holds its lease in the database until that runs out, half a minute later. Its successor on
//! the same machine need not wait: each process keeps a file in `nodes/` that lists the ids it registers under and holds
//! a `flock` on it. The kernel drops the lock when the process ends, however it ends, and closes its sockets too. A
//! file that can be locked is therefore the will of a dead process, and its ids may be removed at once.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::domain::lease::NodeId;

/// The file of this process.
#[derive(Debug)]
pub struct Boots {
    path: PathBuf,
    /// Locked until the process ends or this is dropped.
    file: File,
}

impl Boots {
    /// Opens the folder (made if absent): this process's file, and the ids that dead processes were registered under.
    /// `name` must be a new one.
    pub fn open(folder: &Path, name: Uuid) -> io::Result<(Self, Vec<NodeId>)> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let dead = read_wills(folder)?;
        // Locked before it has the name that others look for: nobody may take it for a dead one's.
        let unfinished = folder.join(format!("{name}.new"));
        let path = folder.join(format!("{name}.boot"));
        let file = File::create_new(&unfinished)?;
        file.lock()?;
        fs::rename(&unfinished, &path)?;
        Ok((Self { path, file }, dead))
    }

    /// Notes an id, durably, before the node registers under it.
    pub fn record(&self, id: NodeId) -> io::Result<()> {
        writeln!(&self.file, "{}", id.0)?;
        self.file.sync_data()
    }

    /// Forgets the wills of dead processes, once their ids are gone from the database.
    pub fn bury(folder: &Path) -> io::Result<()> {
        for (path, _locked) in wills(folder)? {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

impl Drop for Boots {
    fn drop(&mut self) {
        // A process that ends in order has resigned: there is nothing to inherit. One that is left is read and buried.
        let _ = fs::remove_file(&self.path);
    }
}

fn read_wills(folder: &Path) -> io::Result<Vec<NodeId>> {
    let mut dead = Vec::new();
    for (_, mut file) in wills(folder)? {
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // A line cut short by the death of its writer names an id that was never registered.
        dead.extend(text.lines().filter_map(|line| Uuid::parse_str(line).ok()).map(NodeId));
    }
    Ok(dead)
}

/// The files of processes that have ended, locked by us while the caller holds them.
fn wills(folder: &Path) -> io::Result<Vec<(PathBuf, File)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "boot") {
            continue;
        }
        match File::open(&path) {
            Ok(file) => {
                if file.try_lock().is_ok() {
                    found.push((path, file));
                }
            }
            // Its process ended in order a moment ago.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> NodeId {
        NodeId(Uuid::from_u128(number))
    }

    #[test]
    fn a_living_process_is_not_inherited_from() {
        let folder = tempfile::tempdir().unwrap();
        let (first, dead) = Boots::open(folder.path(), Uuid::from_u128(1)).unwrap();
        assert_eq!(dead, []);
        first.record(id(7)).unwrap();
        let (_second, dead) = Boots::open(folder.path(), Uuid::from_u128(2)).unwrap();
        assert_eq!(dead, []);
    }

    #[test]
    fn a_dead_process_leaves_all_of_its_ids_until_they_are_buried() {
        let folder = tempfile::tempdir().unwrap();
        // What a killed process leaves: a file that nobody holds locked, its last line perhaps cut short.
        let will = format!("{}\n{}\n{}", Uuid::from_u128(7), Uuid::from_u128(8), "0193-cut");
        fs::write(folder.path().join("killed.boot"), will).unwrap();
        let (second, dead) = Boots::open(folder.path(), Uuid::from_u128(2)).unwrap();
        assert_eq!(dead, [id(7), id(8)]);
        Boots::bury(folder.path()).unwrap();
        second.record(id(9)).unwrap();
        let (_third, dead) = Boots::open(folder.path(), Uuid::from_u128(3)).unwrap();
        assert_eq!(dead, [], "buried, and the living one's file is still there");
        assert!(second.path.exists());
    }

    #[test]
    fn a_process_that_ends_in_order_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (first, _) = Boots::open(folder.path(), Uuid::from_u128(1)).unwrap();
        first.record(id(7)).unwrap();
        drop(first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
