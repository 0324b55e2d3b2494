//! The house rules of `docs/architecture.md`: who may import whom. A module that reaches past its neighbours fails here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module and what it may use beside itself. `*` is everything.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("qr", &["domain"]),
    ("config", &["domain"]),
    ("telemetry", &["domain", "config"]),
    ("limit", &["domain", "config"]),
    ("store", &["telemetry", "domain", "config"]),
    ("media", &["outside", "store", "domain", "config"]),
    ("outside", &["domain"]),
    ("engine", &["media", "domain", "config", "store"]),
    ("cluster", &["store", "telemetry", "domain", "config"]),
    ("webhook", &["outside", "store", "telemetry", "domain", "config"]),
    ("supervisor", &["engine", "media", "cluster", "store", "telemetry", "domain", "config"]),
    ("api", &["supervisor", "media", "cluster", "webhook", "store", "limit", "qr", "telemetry", "domain", "config"]),
    ("web", &["api", "domain"]),
    ("sandbox", &["domain", "qr"]),
    ("lifecycle", &[]),
    ("fuzzing", &["api", "domain", "media", "outside", "sandbox"]),
    ("app", &["*"]),
    ("cli", &["*"]),
    ("main", &["*"]),
    ("lib", &["*"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the source folder can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The top-level modules that a source text names through `crate::`, `use crate::{…}` included.
fn imported(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut names = BTreeSet::new();
    for (position, matched) in code.match_indices("crate::") {
        // `$crate::` and `other_crate::` are not ours to judge.
        if code[..position].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[position + matched.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut name = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        names.insert(std::mem::take(&mut name));
                        continue;
                    }
                    _ => {}
                }
                if depth == 0 {
                    name.push(c);
                }
            }
            names.insert(name);
        } else {
            names.insert(rest.to_owned());
        }
    }
    names
        .iter()
        .map(|name| name.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn every_module_imports_only_what_the_house_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 30, "only {} sources were found", files.len());
    let mut broken = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&root).expect("it was found below");
        let first = relative.iter().next().expect("a file has a name").to_string_lossy();
        let module = first.trim_end_matches(".rs");
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            broken.push(format!("{}: the module `{module}` has no line in the table", relative.display()));
            continue;
        };
        let text = fs::read_to_string(&file).expect("a source can be read");
        for name in imported(&text) {
            let known = MAY_USE.iter().any(|(module, _)| *module == name);
            if known && name != module && !allowed.contains(&"*") && !allowed.contains(&name.as_str()) {
                broken.push(format!("{}: `{module}` may not use `{name}`", relative.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    let text = "use crate::store::Pool;\nuse crate::{api::{x, y}, domain::Z};\n// crate::web\nlet a = crate::qr::render();\n$crate::cli::x";
    let expected = ["api", "domain", "qr", "store"].map(str::to_owned).into();
    assert_eq!(imported(text), expected);
}
