//! The OpenAPI document against the gateway that it describes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wagate::domain::session::{Desired, Reason, Status};

use super::gateway::{Answer, Gateway};

/// Path, method, and the operation, of every route that takes a credential.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    all.filter(|(_, _, operation)| operation.get("security").is_none()).collect()
}

async fn served(gateway: &Gateway) -> Value {
    let answer = Answer::of(gateway.request("GET", "/openapi.json")).await;
    assert_eq!(answer.header("content-type"), "application/json");
    answer.json()
}

#[tokio::test]
async fn the_document_is_served_to_anybody_as_it_is_committed() {
    let gateway = Gateway::start().await;
    let document = served(&gateway).await;
    assert_eq!(document, wagate::api::openapi::document());
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn every_documented_parameter_is_read_in_the_query_and_in_the_body() {
    let gateway = Gateway::with(|config| config.limits.api_burst = 1_000_000).await;
    let document = served(&gateway).await;
    let mut tried = 0;
    for (path, method, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            if parameter["in"] != "query" {
                continue;
            }
            // No parameter takes a control character.
            let mut requests = vec![gateway.request(&method.to_ascii_uppercase(), &format!("{path}?{name}=%01"))];
            if method == "post" {
                requests.push(gateway.request("POST", path).json(&json!({ name: "\u{1}" })));
                requests.push(
                    gateway
                        .request("POST", path)
                        .header("Content-Type", "application/x-www-form-urlencoded")
                        .body(format!("{name}=%01")),
                );
            }
            for request in requests {
                let answer = Answer::of(request.bearer_auth(gateway.key.expose())).await;
                // The method is judged before the parameters.
                if answer.status == 405 && path != "/v2/session/list" && method == "get" {
                    continue;
                }
                let named: BTreeSet<String> = answer.json()["parameters"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|problem| problem["name"].as_str().unwrap().to_owned())
                    .collect();
                assert!(named.contains(name), "{method} {path} does not read {name}: {}", answer.text());
                tried += 1;
            }
        }
    }
    assert!(tried > 30, "only {tried} were tried");
}

#[tokio::test]
async fn every_documented_bound_is_the_one_that_holds() {
    let gateway = Gateway::start().await;
    let document = served(&gateway).await;
    let mut tried = 0;
    for (path, method, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().unwrap() {
            let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
            let (Some(least), Some(most)) = (schema["minimum"].as_i64(), schema["maximum"].as_i64()) else { continue };
            for (value, is_refused) in [(least - 1, true), (least, false), (most, false), (most + 1, true)] {
                let path = format!("{path}?{name}={value}");
                let request = gateway.request(&method.to_ascii_uppercase(), &path);
                let answer = Answer::of(request.bearer_auth(gateway.key.expose())).await;
                let refused = answer.text().contains(&format!(r#""name":"{name}""#));
                assert_eq!(refused, is_refused, "{method} {path}: {}", answer.text());
                tried += 1;
            }
        }
    }
    assert!(tried > 20, "only {tried} were tried");
}

#[test]
fn a_word_is_documented_as_it_is_sent() {
    let document = wagate::api::openapi::document();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Status"]["enum"], json!(Status::ALL));
    assert_eq!(schemas["Reason"]["enum"], json!(Reason::ALL));
    assert_eq!(schemas["Desired"]["enum"], json!(Desired::ALL));
}

/// A schema that is met first would silently stand for every other of its name.
#[test]
fn no_two_types_are_documented_under_one_name() {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            for (position, _) in text.match_indices("ToSchema)]\n") {
                let lines: Vec<&str> = text[position..].lines().skip(1).map(str::trim).collect();
                let declared =
                    lines.iter().position(|line| line.contains("struct ") || line.contains("enum ")).unwrap();
                let word = |line: &str, after: &str| {
                    let rest = &line[line.find(after)? + after.len()..];
                    Some(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
                };
                let own = lines[..declared].iter().find_map(|line| word(line, "schema(as = "));
                let of_type = || ["struct ", "enum "].iter().find_map(|kind| word(lines[declared], kind));
                named.entry(own.or_else(of_type).unwrap()).or_default().push(path.display().to_string());
            }
        }
    }
    assert!(named.contains_key("CodeEnvelope") && named.contains_key("Envelope"), "the sources read otherwise now");
    named.retain(|_, places| places.len() > 1);
    assert!(named.is_empty(), "{named:#?}");
}
