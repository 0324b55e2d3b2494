use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::api::routes;

use super::*;

/// Each path with its methods; HEAD goes with GET.
fn documented() -> BTreeMap<String, Vec<String>> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let methods = |operations: &Value| {
        let mut methods: Vec<String> =
            operations.as_object().unwrap().keys().map(|method| method.to_ascii_uppercase()).collect();
        methods.sort();
        methods
    };
    paths.iter().map(|(path, operations)| (path.clone(), methods(operations))).collect()
}

#[test]
fn the_document_names_what_the_routes_answer_to() {
    let routed = routes::public().into_iter().map(|route| {
        let methods = route.methods.iter().map(ToString::to_string);
        let mut methods: Vec<String> = methods.filter(|method| method != "HEAD").collect();
        methods.sort();
        (route.path.to_owned(), methods)
    });
    let routed: BTreeMap<String, Vec<String>> = routed.collect();
    assert!(routed.len() > 10, "{routed:?}");
    assert_eq!(documented(), routed);
}

#[test]
fn every_operation_has_a_name_of_its_own_and_a_summary() {
    let document = document();
    let mut names = BTreeMap::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap().to_owned();
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{method} {path}");
            assert_eq!(names.insert(name, (path, method)), None, "{method} {path}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    match value.as_str() {
                        Some(reference) if key == "$ref" => found.push(reference),
                        Some(_) | None => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn the_committed_document_is_the_codes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    // Compared as values: which order the keys are printed in is a matter of how a dependency was built.
    assert!(committed == document(), "run: wagate openapi > docs/openapi.json");
}

/// The sources of the API, but for the table itself.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("openapi/codes.rs") {
            found.push(path);
        }
    }
}

fn source_text() -> String {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api"), &mut files);
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn every_documented_code_is_one_that_the_code_gives() {
    let text = source_text();
    for code in ErrorCode::ALL {
        assert!(text.contains(&format!("\"{}\"", code.word)), "{} is nowhere in src/api", code.word);
    }
}

#[test]
fn every_parameter_that_a_handler_reads_is_documented() {
    let document = document().to_string();
    let text = source_text();
    let mut read = 0;
    for getter in [
        "integer",
        "boolean",
        "word",
        "text",
        "object",
        "status",
        "statuses",
        "scopes",
        "origins",
        "phone_number",
        "phone_numbers",
        "chat",
        "people",
        "assertion",
        "uuid",
        "moment",
    ] {
        for (at, matched) in text.match_indices(&format!("read.{getter}(\"")) {
            let name = text[at + matched.len()..].split('"').next().unwrap();
            // What a link's page asks of its own routes is between the two of them.
            let is_page_s = name == "show";
            assert!(is_page_s || document.contains(&format!(r#""name":"{name}""#)), "{name} is in no operation");
            read += 1;
        }
    }
    assert!(read > 10, "only {read} were found");
}
