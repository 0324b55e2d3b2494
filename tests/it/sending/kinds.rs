//! Every kind of message arrives as it was written.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_text_arrives_under_the_id_that_the_answer_named() {
    let post = Post::new().await;
    let words = "Grüße,\n\"sehr\" 👋 <b>";
    let id = post.say(words).await;
    let item = post.inbox(1).await.remove(0);
    assert_eq!((&item["id"], &item["kind"], &item["text"]), (&json!(id), &json!("text"), &json!(words)));
    assert_eq!((&item["from"], &item["copies"]), (&json!(format!("{}@s.whatsapp.net", post.number)), &json!(1)));

    let query = format!("instance_id={}&chatId=%2B{}&message=by+GET", post.instance, post.other);
    let (status, body) =
        post.gateway.client.call(reqwest::Method::GET, &format!("/v2/send/text?{query}"), &json!({})).await;
    assert_eq!((status, &body["chatId"]), (StatusCode::OK, &json!(format!("{}@c.us", post.other))), "{body}");
    assert_eq!(post.inbox(2).await[1]["text"], "by GET");
    post.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_answers_a_message_and_mentions_people() {
    let post = Post::new().await;
    let first = post.say("the first").await;
    let mention = format!("{}@c.us", post.number);
    let fields = json!({ "message": "and another", "reply_to": first, "mentions": [mention], "preview": true });
    post.send("/v2/send/text", fields).await;
    let item = post.inbox(2).await.remove(1);
    assert_eq!((&item["text"], &item["message"]), (&json!("and another"), &json!(first)));
    assert_eq!(item["mentions"], json!([format!("{}@s.whatsapp.net", post.number)]));
    post.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_a_card_and_a_poll_arrive_as_they_were_written() {
    let post = Post::new().await;
    let place = json!({ "latitude": 30.0444, "longitude": "31.2357", "name": "Cairo", "address": "Tahrir Square" });
    post.send("/v2/send/location", place).await;
    post.send("/v2/send/contact", json!({ "name": "Jane Doe", "phone_number": "+20 10 1234-5678" })).await;
    post.send("/v2/send/poll", json!({ "question": "When?", "options": ["today", "tomorrow"], "selectable": 2 })).await;
    let inbox = post.inbox(3).await;
    assert_eq!((&inbox[0]["kind"], &inbox[0]["coordinates"]), (&json!("location"), &json!([30.0444, 31.2357])));
    assert_eq!((&inbox[0]["name"], &inbox[0]["text"]), (&json!("Cairo"), &json!("Tahrir Square")));
    assert_eq!((&inbox[1]["kind"], &inbox[1]["name"]), (&json!("contact"), &json!("Jane Doe")));
    assert!(inbox[1]["vcard"].as_str().unwrap().contains("waid=201012345678:+201012345678"), "{}", inbox[1]);
    assert_eq!((&inbox[2]["kind"], &inbox[2]["text"]), (&json!("poll"), &json!("When?")));
    assert_eq!(inbox[2]["options"], json!(["today", "tomorrow"]));
    post.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_reacted_to_edited_and_deleted() {
    let post = Post::new().await;
    let id = post.say("the first words").await;
    post.send("/v2/send/reaction", json!({ "message_id": id, "reaction": "👍" })).await;
    post.send("/v2/send/reaction", json!({ "message_id": id, "reaction": "" })).await;
    let edit = post.send("/v2/messages/edit", json!({ "message_id": id, "message": "other words" })).await;
    assert_ne!(edit, id, "an edit has an id of its own");
    post.send("/v2/messages/delete", json!({ "message_id": id })).await;
    let inbox = post.inbox(5).await;
    let about =
        |place: usize| (inbox[place]["kind"].as_str().unwrap(), &inbox[place]["message"], &inbox[place]["text"]);
    assert_eq!(about(1), ("reaction", &json!(id), &json!("👍")));
    assert_eq!(about(2), ("reaction", &json!(id), &json!("")));
    assert_eq!(about(3), ("edit", &json!(id), &json!("other words")));
    assert_eq!(about(4), ("revoke", &json!(id), &Value::Null));
    post.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_to_a_group_reaches_its_members() {
    let post = Post::new().await;
    let third = post.gateway.network.phone().await;
    let group = json!({ "creator": post.other, "subject": "us", "participants": [post.number, third] });
    let (status, group) = post.gateway.network.post("/groups", &group).await;
    assert_eq!(status, StatusCode::CREATED, "{group}");
    let chat = group["jid"].as_str().unwrap().to_owned();
    let id = post.send("/v2/send/text", json!({ "chatId": chat, "message": "to all" })).await;
    for number in [&post.other, &third] {
        let item = inbox(&post.gateway, number, 1).await.remove(0);
        assert_eq!((&item["text"], &item["chat"]), (&json!("to all"), &json!(chat)));
    }
    // An id alone does not say who wrote a message of a group.
    let (status, body) =
        post.ask("/v2/send/reaction", json!({ "chatId": chat, "message_id": "3EB0AA", "reaction": "👍" })).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("missing_parameter")));
    assert_eq!(body["parameters"][0]["name"], "participant");
    post.send("/v2/messages/delete", json!({ "chatId": chat, "message_id": id })).await;
    let item = inbox(&post.gateway, &third, 2).await.remove(1);
    assert_eq!((&item["kind"], &item["message"]), (&json!("revoke"), &json!(id)));
    post.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_sees_that_somebody_types_and_that_its_message_was_seen() {
    let post = Post::new().await;
    let network = &post.gateway.network;
    let (status, body) = post.ask("/v2/send/typing", json!({ "state": "typing" })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    until("the phone sees that somebody types", || async {
        let noted = network.get(&format!("/phones/{}/noted", post.other)).await;
        (noted[0]["state"] == "composing").then_some(())
    })
    .await;
    let written = json!({ "to": post.number, "text": "Hello?" });
    let (status, sent) = network.post(&format!("/phones/{}/send", post.other), &written).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    let (status, body) = post.ask("/v2/send/seen", json!({ "message_ids": [sent["id"]] })).await;
    assert_eq!((status, &body), (StatusCode::OK, &json!({ "seen": 1 })));
    let reader = json!(format!("{}@s.whatsapp.net", post.number));
    until("the phone knows that its message was seen", || async {
        let outbox = network.get(&format!("/phones/{}/outbox", post.other)).await;
        outbox[0]["read_by"].as_array().unwrap().contains(&reader).then_some(())
    })
    .await;
    post.gateway.stop().await;
}
