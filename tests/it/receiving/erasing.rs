//! What is stored of a contact goes when the account says so.

use wagate::domain::instance::InstanceId;
use wagate::store::message_reference;

use super::*;

impl Pair {
    async fn erase(&self, chat: &str) -> (StatusCode, Value) {
        let body = json!({ "instance_id": self.instance, "chatId": chat });
        self.gateway.client.post("/v2/contacts/erase", &body).await
    }

    /// Numbers of the log and whether anything is left under them.
    async fn left(&self) -> Vec<bool> {
        self.log().await.iter().map(|event| event.content.is_some()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn erasing_a_contact_takes_the_words_and_the_keys_of_files_and_leaves_the_numbers() {
    let pair = Pair::new().await;
    let third = pair.gateway.network.phone().await;
    let text = pair.hear(text("to go")).await;
    pair.told(EventKind::Message, &text).await;
    let picture = pair.hear(json!({ "kind": "image", "data": "YQ==" })).await;
    let told = pair.told(EventKind::Message, &picture).await;
    let stays = say(&pair.gateway.network, &third, &pair.own, super::text("to stay")).await;
    pair.told(EventKind::Message, &stays).await;

    // By the other name of the same person: both are known here.
    let lid = told["sender"]["lid"].as_str().unwrap();
    assert_eq!(pair.erase(lid).await, (StatusCode::OK, json!({ "events": 2, "references": 1, "messages": 0 })));
    assert_eq!(pair.left().await, [false, false, true]);
    let id = InstanceId::parse(&pair.instance).unwrap();
    let cipher = pair.gateway.cipher(&pair.instance).await;
    let mut conn = pair.gateway.database.pool().acquire().await.unwrap();
    assert!(message_reference::media(&mut conn, &cipher, id, &picture).await.unwrap().is_none());

    assert_eq!(
        pair.erase(&pair.other_id()).await,
        (StatusCode::OK, json!({ "events": 0, "references": 0, "messages": 0 }))
    );
    let (status, page) = pair.gateway.client.call(reqwest::Method::GET, "/v2/audit", &json!({})).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(page["entries"].as_array().unwrap().iter().any(|entry| {
        entry["action"] == "contact.erased" && entry["detail"] == json!({ "events": 2, "references": 1, "messages": 0 })
    }));
    assert!(!page.to_string().contains(&pair.other), "the audit log holds no number");
    pair.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_chat_is_refused_with_what_is_wrong() {
    let pair = Pair::new().await;
    let (status, body) = pair.erase("Nadia").await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_parameter")));
    let (status, body) = pair.gateway.client.post("/v2/contacts/erase", &json!({ "instance_id": pair.instance })).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("missing_parameter")));
    pair.gateway.stop().await;
}
