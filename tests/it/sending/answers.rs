//! What WhatsApp answers, and what it does not, decides where a message stands.

use std::time::Duration;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_is_late_or_comes_twice_is_one() {
    let post = Post::new().await;
    let network = &post.gateway.network;
    for fault in [json!({ "kind": "ack_late", "delay_ms": 1500 }), json!({ "kind": "ack_twice" })] {
        let fault = network.fault(&fault).await;
        let id = post.say("patience").await;
        network.mend(&fault).await;
        let message = post.message(&id).await;
        assert_eq!((&message["id"], &message["reason"]), (&json!(id), &Value::Null));
        assert_ne!(message["status"], "queued");
    }
    let inbox = post.inbox(2).await;
    assert_eq!((inbox.len(), &inbox[0]["copies"], &inbox[1]["copies"]), (2, &json!(1), &json!(1)));
    post.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_with_its_reason_and_the_next_message_goes() {
    let post = Post::new().await;
    let fault = post.gateway.network.fault(&json!({ "kind": "463", "count": 1 })).await;
    let (status, body) = post.ask("/v2/send/text", json!({ "message": "to a stranger" })).await;
    assert_eq!((status, &body["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("message_failed")), "{body}");
    assert_eq!(body["reason"], "reachout_timelock");
    let id = body["message_id"].as_str().unwrap();
    let message = post.message(id).await;
    assert_eq!((&message["status"], &message["reason"]), (&json!("failed"), &json!("reachout_timelock")));
    // It is the account that may not, so the session says so too.
    let wish = json!({ "instance_id": post.instance });
    until("the session tells why", || async {
        let (_, info) = post.gateway.client.post("/v2/session/info", &wish).await;
        (info["status"] == "WORKING" && info["reason"] == "reachout_timelock").then_some(())
    })
    .await;
    post.gateway.network.mend(&fault).await;
    post.say("and one that goes").await;

    // Once WhatsApp lets it, the same message goes, under the same id.
    let (status, body) = post.ask("/v2/messages/retry", json!({ "message_id": id })).await;
    let is_sent = ["sent", "delivered"].iter().any(|state| body["status"] == *state);
    assert!(status == StatusCode::OK && is_sent && body["id"] == id, "{status} {body}");
    let texts: Vec<Value> = post.inbox(2).await.iter().map(|item| item["text"].clone()).collect();
    assert_eq!(texts, ["and one that goes", "to a stranger"]);
    let (status, body) = post.ask("/v2/messages/retry", json!({ "message_id": id })).await;
    assert_eq!((status, &body["code"]), (StatusCode::CONFLICT, &json!("message_not_retriable")));
    post.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_from_sent_to_delivered_to_read_and_never_back() {
    let post = Post::new().await;
    let network = &post.gateway.network;
    post.other_is_online(false).await;
    let id = post.say("read me").await;
    assert_eq!(post.message(&id).await["status"], "sent");
    post.other_is_online(true).await;
    post.becomes(&id, "delivered").await;
    let (status, body) = network.post(&format!("/phones/{}/read", post.other), &json!({})).await;
    assert_eq!((status, &body["read"]), (StatusCode::OK, &json!(1)));
    let read = post.becomes(&id, "read").await;
    assert!(read["timestamp"].as_i64() >= read["created_at"].as_i64().map(|at| at / 1_000 * 1_000), "{read}");
    post.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_never_acknowledged_is_unknown_until_a_receipt_settles_it() {
    let post = Post::with(|config| config.engine.request_timeout = Duration::from_secs(2)).await;
    let network = &post.gateway.network;
    post.other_is_online(false).await;
    let fault = network.fault(&json!({ "kind": "ack_never", "count": 1 })).await;
    let (status, body) = post.ask("/v2/send/text", json!({ "message": "are you there" })).await;
    assert_eq!((status, &body["status"]), (StatusCode::ACCEPTED, &json!("unknown")), "{body}");
    network.mend(&fault).await;
    // It holds nobody up.
    post.say("the next one").await;
    post.other_is_online(true).await;
    post.becomes(body["id"].as_str().unwrap(), "delivered").await;
    let inbox = post.inbox(2).await;
    assert_eq!((&inbox[0]["text"], &inbox[0]["copies"]), (&json!("are you there"), &json!(1)));
    // It is told like everything that was sent, once it is known, and once.
    let told: Vec<Value> = post.logged().await.iter().map(|message| message["body"].clone()).collect();
    assert_eq!(told, ["the next one", "are you there"]);
    post.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_connection_broke_is_settled_by_the_receipt_and_not_sent_again() {
    let post = Post::new().await;
    let network = &post.gateway.network;
    post.other_is_online(false).await;
    network.fault(&json!({ "kind": "drop_before_ack", "count": 1 })).await;
    let (status, body) = post.ask("/v2/send/text", json!({ "message": "half said" })).await;
    assert_eq!((status, &body["status"]), (StatusCode::ACCEPTED, &json!("unknown")), "{body}");
    let id = body["id"].as_str().unwrap();
    // Queued, should the instance still be about to connect again.
    let (_, after) = post.ask("/v2/send/text", json!({ "message": "after the break" })).await;
    post.becomes(after["id"].as_str().unwrap(), "sent").await;
    assert_eq!(post.message(id).await["status"], "unknown");
    let told = post.logged().await;
    assert!(told.iter().all(|message| message["id"] != *id), "{told:?}");
    post.other_is_online(true).await;
    post.becomes(id, "delivered").await;
    let told = post.logged().await;
    assert_eq!(told.iter().filter(|message| message["id"] == *id).count(), 1, "{told:?}");
    let inbox = post.inbox(2).await;
    assert_eq!((&inbox[0]["id"], &inbox[0]["copies"]), (&json!(id), &json!(1)), "it went out, and once");
    post.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_arrived_though_nobody_knew_is_told_with_its_address() {
    let post = Post::new().await;
    let network = &post.gateway.network;
    post.other_is_online(false).await;
    network.fault(&json!({ "kind": "drop_before_ack", "count": 1 })).await;
    let file = json!({ "data": "JVBERi0xLjQKJSVFT0YK", "filename": "offer.pdf" });
    let (status, body) = post.ask("/v2/send/document", json!({ "file": file })).await;
    assert_eq!((status, &body["status"]), (StatusCode::ACCEPTED, &json!("unknown")), "{body}");
    let id = body["id"].as_str().unwrap();
    post.gateway.client.reaches(&post.instance, "WORKING").await;
    post.other_is_online(true).await;
    post.becomes(id, "delivered").await;
    let told = post.logged().await;
    let told = told.iter().find(|message| message["id"] == *id).expect("the message is told");
    let fetched = reqwest::Client::new()
        .get(format!("{}{}?instance_id={}", post.gateway.url, told["media"]["url"].as_str().unwrap(), post.instance))
        .bearer_auth(post.gateway.client.key())
        .send()
        .await
        .unwrap();
    assert_eq!(
        (fetched.status(), fetched.bytes().await.unwrap().as_ref()),
        (StatusCode::OK, &b"%PDF-1.4\n%%EOF\n"[..])
    );
    post.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_repeated_sends_one_message() {
    let post = Post::new().await;
    let ask = |key: &'static str, words: &'static str| {
        let (body, client) = (post.body(json!({ "message": words })), &post.gateway.client);
        async move { client.ask("/v2/send/text", &body, &[("Idempotency-Key", key)]).await }
    };
    let first = ask("one", "once").await;
    assert_eq!((first.status(), first.headers().get("idempotency-replayed")), (StatusCode::OK, None));
    let first: Value = first.json().await.unwrap();
    let again = ask("one", "once").await;
    assert_eq!((again.status(), again.headers()["idempotency-replayed"].to_str().unwrap()), (StatusCode::OK, "true"));
    assert_eq!(again.json::<Value>().await.unwrap()["id"], first["id"]);
    let other = ask("one", "twice").await;
    assert_eq!(other.json::<Value>().await.unwrap()["code"], "idempotency_key_reused");
    ask("two", "twice").await;
    let inbox = post.inbox(2).await;
    assert_eq!((inbox.len(), &inbox[0]["copies"], &inbox[1]["text"]), (2, &json!(1), &json!("twice")));
    post.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_sent_is_not_found_and_a_token_without_the_scope_sends_nothing() {
    let post = Post::new().await;
    let path = format!("/v2/messages/3EB0AAAA?instance_id={}", post.instance);
    let (status, body) = post.gateway.client.call(reqwest::Method::GET, &path, &json!({})).await;
    assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &json!("message_not_found")));
    let minted = json!({ "instance_id": post.instance, "scopes": ["read", "control"] });
    let (status, minted) = post.gateway.client.post("/v2/session/token", &minted).await;
    assert!(status.is_success(), "{minted}");
    let reader = post.gateway.client.with_key(minted["access_token"].as_str().unwrap());
    let fields = json!({
        "message": "hello", "message_id": "3EB0", "message_ids": "3EB0", "latitude": 1, "longitude": 1, "name": "x",
        "phone_number": "4915112345678", "question": "when", "options": "now,later",
    });
    for path in [
        "/v2/send/text",
        "/v2/send/location",
        "/v2/send/contact",
        "/v2/send/poll",
        "/v2/send/reaction",
        "/v2/send/seen",
        "/v2/send/typing",
        "/v2/messages/edit",
        "/v2/messages/delete",
        "/v2/messages/retry",
    ] {
        let (status, body) = reader.post(path, &post.body(fields.clone())).await;
        assert_eq!((status, &body["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")), "{path}");
    }
    post.gateway.stop().await;
}
