//! `/v2/send/text` with `preview`: what a phone is shown of the page that a text leads to.

use super::sent::server;
use super::*;

const PAGE: &str = "<!doctype html><title>Own title</title><meta property='og:title' content='The &quot;page&quot;'>\
    <meta property='og:description' content='What it is\nabout'>";

impl Scene {
    /// What the phone has of this text.
    async fn shown(&self, text: &str, preview: Option<bool>) -> Value {
        let (status, sent) = self.send("text", json!({ "message": text, "preview": preview })).await;
        assert_eq!(status, 200, "{sent}");
        let item = self.arrived(&sent).await;
        assert_eq!((&item["kind"], &item["text"]), (&json!("text"), &json!(text)));
        item["preview"].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_is_shown_the_page_that_a_text_leads_to_if_that_is_asked_for() {
    let scene = Scene::fetching().await;
    let page = server("200 OK\r\nContent-Type: text/html; charset=utf-8", PAGE.into()).await;
    let text = format!("Read this: {page}/a?b=c.");
    let shown = json!({ "link": format!("{page}/a?b=c"), "title": "The \"page\"", "description": "What it is about" });
    assert_eq!(scene.shown(&text, Some(true)).await, shown);
    let moved = Box::leak(format!("302 Found\r\nLocation: {page}/new").into_boxed_str());
    let moved = server(moved, Vec::new()).await;
    let shown = scene.shown(&moved, Some(true)).await;
    assert_eq!((&shown["link"], &shown["title"]), (&json!(moved), &json!("The \"page\"")));

    for unasked in [None, Some(false)] {
        assert_eq!(scene.shown(&text, unasked).await, Value::Null);
    }
    assert_eq!(scene.shown("It leads nowhere", Some(true)).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_whose_page_cannot_be_had_is_sent_all_the_same() {
    let scene = Scene::fetching().await;
    let nowhere = server("302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/", Vec::new()).await;
    for link in [
        server("404 Not Found\r\nContent-Type: text/html", PAGE.into()).await,
        server("200 OK\r\nContent-Type: image/png", PAGE.into()).await,
        server("200 OK\r\nContent-Type: text/html", b"<p>It has no title".to_vec()).await,
        nowhere,
        "http://127.0.0.1:1/".to_owned(),
        "http://10.0.0.1/".to_owned(),
    ] {
        assert_eq!(scene.shown(&link, Some(true)).await, Value::Null, "{link}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_shows_a_page_can_answer_another() {
    let scene = Scene::fetching().await;
    let page = server("200 OK\r\nContent-Type: text/html", PAGE.into()).await;
    let (_, first) = scene.send("text", json!({ "message": "first" })).await;
    let (_, second) = scene.send("text", json!({ "message": page, "preview": true, "reply_to": first["id"] })).await;
    let item = scene.arrived(&second).await;
    assert_eq!((&item["message"], &item["preview"]["title"]), (&first["id"], &json!("The \"page\"")));
}
