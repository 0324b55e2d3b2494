//! Finding the installed PostgreSQL. Debian keeps its programs out of `PATH`, one folder for each major version.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::EmbeddedError;

/// Older ones lost their support years ago and miss functions that our migrations use.
const OLDEST_MAJOR: u32 = 13;

/// A folder with `postgres` and `initdb`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    pub(super) fn postgres(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.dir.join("initdb")
    }

    /// The programs in a folder, if they are there, run, and are young enough.
    fn in_dir(dir: &Path) -> Option<Self> {
        if !dir.join("initdb").is_file() {
            return None;
        }
        let output = Command::new(dir.join("postgres")).arg("--version").output().ok()?;
        let major = parse_major(&String::from_utf8_lossy(&output.stdout))?;
        (major >= OLDEST_MAJOR).then(|| Self { dir: dir.to_owned(), major })
    }
}

/// Finds the programs: in `bin_dir` if one is configured, else wherever systems put them. With data of a certain major
/// version that one is preferred, else the highest.
pub(super) fn find(bin_dir: Option<&Path>, data_major: Option<u32>) -> Result<Binaries, EmbeddedError> {
    match bin_dir {
        Some(dir) => Binaries::in_dir(dir).ok_or_else(|| EmbeddedError::NotInBinDir { dir: dir.to_owned() }),
        None => find_in(&candidates(), data_major),
    }
}

fn find_in(dirs: &[PathBuf], data_major: Option<u32>) -> Result<Binaries, EmbeddedError> {
    let found = dirs.iter().filter_map(|dir| Binaries::in_dir(dir)).collect();
    choose(found, data_major).ok_or_else(|| EmbeddedError::NotInstalled { advice: advice() })
}

fn choose(found: Vec<Binaries>, data_major: Option<u32>) -> Option<Binaries> {
    found.into_iter().max_by_key(|binaries| (Some(binaries.major) == data_major, binaries.major))
}

fn candidates() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    // Debian and Ubuntu; Red Hat with the PGDG packages; Alpine; Homebrew on both kinds of Mac.
    for (parent, inside) in [
        ("/usr/lib/postgresql", "bin"),
        ("/usr", "bin"),
        ("/usr/libexec", ""),
        ("/opt/homebrew/opt", "bin"),
        ("/usr/local/opt", "bin"),
    ] {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        dirs.extend(entries.filter(|entry| looks_like_postgres(parent, entry)).map(|entry| entry.path().join(inside)));
    }
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        dirs.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    dirs.sort();
    dirs.dedup();
    dirs.retain(|dir| dir.is_absolute());
    dirs
}

fn looks_like_postgres(parent: &str, entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    parent.ends_with("/postgresql") || name.starts_with("pgsql-") || name.starts_with("postgresql")
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` → 15
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// One line to type, for the system at hand.
fn advice() -> &'static str {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    advice_for(&release)
}

fn advice_for(os_release: &str) -> &'static str {
    let names: Vec<&str> = os_release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
        .flat_map(|value| value.trim_matches('"').split(' '))
        .collect();
    let is = |name| names.contains(&name);
    if is("debian") || is("ubuntu") {
        "sudo apt-get install -y postgresql"
    } else if is("fedora") || is("rhel") || is("centos") {
        "sudo dnf install -y postgresql-server"
    } else if is("alpine") {
        "sudo apk add postgresql"
    } else if is("arch") {
        "sudo pacman -S --noconfirm postgresql"
    } else if is("suse") || is("opensuse") {
        "sudo zypper install -y postgresql-server"
    } else if cfg!(target_os = "macos") {
        "brew install postgresql"
    } else {
        "your package manager's command for the PostgreSQL server, version 13 or newer"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(majors: &[u32]) -> Vec<Binaries> {
        majors.iter().map(|&major| Binaries { dir: PathBuf::from(format!("/pg/{major}")), major }).collect()
    }

    #[test]
    fn the_version_of_the_data_is_preferred_and_the_highest_otherwise() {
        let majors = |data| choose(installed(&[15, 17, 13]), data).map(|binaries| binaries.major);
        assert_eq!(majors(None), Some(17));
        assert_eq!(majors(Some(13)), Some(13));
        assert_eq!(majors(Some(14)), Some(17), "the caller refuses it then");
        assert_eq!(choose(vec![], Some(15)), None);
    }

    #[test]
    fn versions_are_read_as_packagers_write_them() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_major("postgres (Greenplum) 6\n"), None);
    }

    #[test]
    fn where_nothing_is_installed_the_error_is_one_line_to_type() {
        let error = find_in(&["/nowhere".into(), "/tmp".into()], None).expect_err("there is no PostgreSQL there");
        assert!(matches!(error, EmbeddedError::NotInstalled { .. }), "{error:?}");
        let line = error.to_string();
        assert!(line.contains(advice()) && !line.contains('\n'), "{line}");
    }

    #[test]
    fn each_system_gets_its_own_line() {
        for (release, line) in [
            ("ID=debian\n", "sudo apt-get install -y postgresql"),
            ("NAME=Mint\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "sudo apt-get install -y postgresql"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "sudo dnf install -y postgresql-server"),
            ("ID=alpine\n", "sudo apk add postgresql"),
        ] {
            assert_eq!(advice_for(release), line, "{release}");
        }
    }
}
