//! What a gateway says of itself without being asked for a credential.

use reqwest::header::IF_NONE_MATCH;

use super::gateway::{Answer, Gateway};

async fn open(gateway: &Gateway, path: &str) -> Answer {
    Answer::of(gateway.request("GET", path)).await
}

#[tokio::test]
async fn about_tells_version_licences_and_where_the_source_is() {
    let gateway = Gateway::with(|config| config.server.source_url = "https://example.org/wagate".into()).await;
    let about = open(&gateway, "/about").await.json();
    assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(about["licences"]["source"], "MIT OR Apache-2.0");
    assert_eq!(about["licences"]["binary"], "AGPL-3.0-only");
    assert_eq!(about["source_url"], "https://example.org/wagate");
    assert!(about["notice"].as_str().unwrap().contains("https://example.org/wagate"), "{about}");
}

#[tokio::test]
async fn about_is_honest_where_nobody_said_where_the_source_is() {
    let gateway = Gateway::start().await;
    let about = open(&gateway, "/about").await.json();
    assert!(about["source_url"].is_null());
    assert!(about["notice"].as_str().unwrap().contains("server.source_url"), "{about}");
}

#[tokio::test]
async fn the_page_and_its_files_come_from_this_program_and_its_policy_forbids_others() {
    let gateway = Gateway::start().await;
    let page = open(&gateway, "/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let text = page.text();
    assert!(!text.contains("://"), "the page names another host: {text}");
    let mut files = 0;
    for reference in text.split(['"']).filter(|word| word.starts_with("docs/")) {
        let file = open(&gateway, &format!("/{reference}")).await;
        assert_eq!(file.status, 200, "{reference}");
        let expected = match reference.rsplit_once('.').unwrap().1 {
            "css" => "text/css",
            "js" => "text/javascript",
            _ => "image/png",
        };
        assert_eq!(file.header("content-type"), expected, "{reference}");
        files += 1;
    }
    assert_eq!(files, 4);
    assert_eq!(open(&gateway, "/docs/swagger-ui.js").await.error(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn what_only_a_release_changes_is_kept_until_then() {
    let gateway = Gateway::start().await;
    for path in ["/openapi.json", "/docs", "/docs/swagger-ui-bundle.js", "/docs/start.js"] {
        let first = open(&gateway, path).await;
        assert_eq!((first.status.as_u16(), first.header("cache-control")), (200, "public, no-cache"), "{path}");
        let etag = first.header("etag");
        for known in [etag.to_owned(), format!("\"other\", W/{etag}"), "*".to_owned()] {
            let again = Answer::of(gateway.request("GET", path).header(IF_NONE_MATCH, &known)).await;
            assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{path}: {known}");
            assert_eq!(again.header("etag"), etag);
        }
        let changed = Answer::of(gateway.request("GET", path).header(IF_NONE_MATCH, "\"other\"")).await;
        assert_eq!(changed.body, first.body, "{path}");
    }
}
